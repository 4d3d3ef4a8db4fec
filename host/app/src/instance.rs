//! A name of this server's data folder that no other one has, for what it puts beside others' in a model server.

use riad_core::{Error, Result};
use std::{fs, io::ErrorKind, path::Path};
use uuid::Uuid;

const FILE: &str = "instance";

/// The same after each start; made at the first one. The caller holds the data folder's lock.
///
/// # Errors
/// `Internal` if the file can be neither read nor written, or is damaged.
pub fn read(data: &Path) -> Result<String> {
    let path = data.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let instance = Uuid::try_parse(text.trim()).map_err(Error::internal)?;
            Ok(instance.simple().to_string())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let instance = Uuid::now_v7().simple().to_string();
            let unfinished = data.join(format!("{FILE}.new"));
            fs::write(&unfinished, &instance).map_err(Error::internal)?;
            fs::rename(&unfinished, &path).map_err(Error::internal)?;
            Ok(instance)
        }
        Err(error) => Err(Error::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_keeps_its_name_and_shares_it_with_none() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = read(one.path()).unwrap();
        assert_eq!(read(one.path()).unwrap(), first);
        assert_ne!(read(other.path()).unwrap(), first);
        fs::write(one.path().join(FILE), "../damaged").unwrap();
        assert!(read(one.path()).is_err());
    }
}
