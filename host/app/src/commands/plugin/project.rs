//! A plugin's folder: its manifest and where its files are.

use riad_core::{Error, ErrorKind, Result, manifest, manifest::Manifest};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Below a plugin's folder: what this program writes for building, which is no part of the plugin.
pub const SUPPORT: &str = ".riad";

pub struct Project {
    /// Absolute, because tools run in it.
    pub folder: PathBuf,
    pub manifest: Manifest,
}

impl Project {
    /// # Errors
    /// `InvalidRequest` if the folder has no `riad.toml`, or says what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().map_err(|error| cannot("open", folder, error))?;
        Ok(Self {
            manifest: read_manifest(&folder)?,
            folder,
        })
    }

    /// The component that `build` makes.
    pub fn component(&self) -> PathBuf {
        self.folder.join("build").join(format!("{}.wasm", self.manifest.name))
    }

    pub fn support(&self) -> PathBuf {
        self.folder.join(SUPPORT)
    }
}

pub fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(manifest::FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Manifest::from_toml(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::invalid(format!(
            "{} has no {}; make a plugin with `riad plugin new --lang rust NAME`, or name its folder",
            folder.display(),
            manifest::FILE
        ))),
        Err(error) => Err(cannot("read", &path, error)),
    }
}

/// Writes a file, and the folders above it.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| cannot("make", parent, error))?;
    }
    fs::write(path, content).map_err(|error| cannot("write", path, error))
}

/// What a user's own disk refuses is not a fault of the program.
pub fn cannot(verb: &str, path: &Path, error: io::Error) -> Error {
    let message = format!("cannot {verb} {}: {error}", path.display());
    Error::new(ErrorKind::InvalidRequest, message).with_source(error)
}
