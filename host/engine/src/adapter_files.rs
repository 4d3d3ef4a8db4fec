//! An adapter's files in its room's folder. Not here: what they must be (`peft`).

use crate::tokens::engine_error;
use riad_core::{
    Digest, Error, ErrorKind, Result,
    adapter::{AdapterFiles, CONFIG, WEIGHTS},
};
use std::{fs, path::Path};

/// Keeps a thread busy until the disk has given all of them.
///
/// # Errors
/// `ModelNotFound` if they are gone; `Internal` if they are not those of the generation.
pub(crate) fn read(folder: &Path, generation: Digest) -> Result<AdapterFiles> {
    let read = |name: &str| {
        fs::read(folder.join(name)).map_err(|error| {
            Error::new(
                ErrorKind::ModelNotFound,
                "the adapter's files are gone; upload it again",
            )
            .with_source(error)
        })
    };
    let files = AdapterFiles {
        config: read(CONFIG)?.into(),
        weights: read(WEIGHTS)?.into(),
    };
    match files.generation() == generation {
        true => Ok(files),
        false => Err(engine_error(
            "found an adapter damaged on disk; upload it again",
            generation.to_string(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_and_lost_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(CONFIG, "{}");
        write(WEIGHTS, "weights");
        let generation = AdapterFiles {
            config: b"{}".as_slice().into(),
            weights: b"weights".as_slice().into(),
        }
        .generation();
        assert_eq!(read(folder.path(), generation).unwrap().weights, "weights");
        write(WEIGHTS, "others");
        let kind = || read(folder.path(), generation).err().unwrap().kind();
        assert_eq!(kind(), ErrorKind::Internal);
        fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
        assert_eq!(kind(), ErrorKind::ModelNotFound);
    }
}
