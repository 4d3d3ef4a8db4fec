//! The map in its file: read and written by commands, and watched by a server.

use crate::CellMap;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use riad_core::{CellName, Error, ErrorKind, Result, ports::Cells, slot::Slot};
use std::{
    fs::{self, File},
    io::{ErrorKind as IoErrorKind, Write as _},
    path::{Path, PathBuf},
};

/// Of a server; commands have the same file as `--map`.
const KEY: &str = "cell.map";

/// # Errors
/// `InvalidRequest` names the file and what is wrong with it.
pub fn read_map(path: &Path) -> Result<CellMap> {
    let text = fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() == IoErrorKind::NotFound {
            true => "; `riad cell plan` makes a map",
            false => "",
        };
        Error::invalid(format!("cannot read the map {}: {error}{hint}", path.display()))
    })?;
    CellMap::parse(&text).map_err(|error| wrong(path, &error))
}

/// Replaces the file at once: who reads it has the old map or the new one.
///
/// # Errors
/// `InvalidRequest` if it cannot be written.
pub fn write_map(path: &Path, map: &CellMap) -> Result<()> {
    let text = map.to_text()?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = write(&new, &text).and_then(|()| {
        if let Ok(old) = fs::metadata(path) {
            fs::set_permissions(&new, old.permissions())?;
        }
        fs::rename(&new, path)
    });
    written.map_err(|error| Error::invalid(format!("cannot write the map {}: {error}", path.display())))
}

/// # Errors
/// `Conflict` if there is a file of this name.
pub fn create_map(path: &Path, map: &CellMap) -> Result<()> {
    if path.exists() {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{} is there already: `riad cell assign` changes it, because a map that is planned anew would part tenants from their rooms",
                path.display()
            ),
        ));
    }
    write_map(path, map)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn wrong(path: &Path, error: &Error) -> Error {
    Error::invalid(format!(
        "the map {} cannot be used: {}",
        path.display(),
        error.message()
    ))
}

/// The map of a server, as its file was when it was last read.
pub struct MapFile {
    path: PathBuf,
    own: CellName,
    map: ArcSwap<CellMap>,
    /// Of tenants that move.
    kept: RwLock<Vec<Slot>>,
    /// What the file had when it was last read, usable or not.
    last_text: Mutex<String>,
}

impl MapFile {
    /// # Errors
    /// `InvalidRequest` with the key as its param: the file cannot be used, or has no cell of this server's name.
    pub fn open(path: &Path, own: &CellName) -> Result<Self> {
        let (text, map) = Self::read(path, own)?;
        Ok(Self {
            path: path.to_owned(),
            own: own.clone(),
            map: ArcSwap::from_pointee(map?),
            kept: RwLock::default(),
            last_text: Mutex::new(text),
        })
    }

    /// Reads the file again. Returns whether it had changed.
    ///
    /// # Errors
    /// As [`MapFile::open`], once for the same contents. The map that was in use stays in use.
    pub fn reload(&self) -> Result<bool> {
        let (text, map) = Self::read(&self.path, &self.own)?;
        {
            let mut last_text = self.last_text.lock();
            if *last_text == text {
                return Ok(false);
            }
            *last_text = text;
        }
        self.map.store(map?.into());
        Ok(true)
    }

    /// The file's text, and its map if it has one.
    fn read(path: &Path, own: &CellName) -> Result<(String, Result<CellMap>)> {
        let text = fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("{KEY}: cannot read {}: {error}", path.display())).with_param(KEY)
        })?;
        let map = CellMap::parse(&text).and_then(|map| match map.has(own) {
            true => Ok(map),
            false => Err(Error::invalid(format!(
                "it has no cell `{own}`, which cell.name says that this server is"
            ))),
        });
        let map = map.map_err(|error| wrong(path, &error).with_param(KEY));
        Ok((text, map))
    }
}

impl Cells for MapFile {
    fn check(&self, slot: Slot) -> Result<()> {
        let map = self.map.load();
        let owner = &map.owner(slot).name;
        if *owner == self.own || self.kept.read().contains(&slot) {
            return Ok(());
        }
        // Its URL is the operator's: whoever makes up a key reads this.
        Err(Error::new(
            ErrorKind::Misdirected,
            format!(
                "this server is the cell \"{}\", and the tenants of slot {slot} are served by the cell \"{owner}\"; send the request there",
                self.own
            ),
        )
        .with_cell(owner.as_str()))
    }

    fn keep(&self, slots: Vec<Slot>) {
        *self.kept.write() = slots;
    }

    fn owner(&self, slot: Slot) -> CellName {
        self.map.load().owner(slot).name.clone()
    }

    fn name(&self) -> &CellName {
        &self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(urls: &[&str]) -> CellMap {
        let cell = |(url, name): (&&str, char)| (name.to_string().parse().unwrap(), url.parse().unwrap());
        CellMap::even(urls.iter().zip('a'..).map(cell).collect()).unwrap()
    }

    fn slot(number: u16) -> Slot {
        number.to_string().parse().unwrap()
    }

    #[test]
    fn a_slot_of_another_cell_is_misdirected_and_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells.toml");
        create_map(&path, &map(&["http://10.0.0.1:8080", "http://10.0.0.2:8080"])).unwrap();
        let file = MapFile::open(&path, &"a".parse().unwrap()).unwrap();
        assert!(file.check(slot(8191)).is_ok());
        let error = file.check(slot(8192)).unwrap_err();
        assert_eq!((error.kind(), error.cell()), (ErrorKind::Misdirected, Some("b")));
        assert!(!error.message().contains("10.0.0"), "{error}");
        // A tenant of that slot moves.
        file.keep(vec![slot(8192)]);
        assert!(file.check(slot(8192)).is_ok() && file.check(slot(8193)).is_err());
        assert_eq!((file.owner(slot(8192)).as_str(), file.name().as_str()), ("b", "a"));
        file.keep(Vec::new());
        assert!(file.check(slot(8192)).is_err());
    }

    #[test]
    fn a_changed_file_is_used_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells.toml");
        let mut map = map(&["http://a.example", "http://b.example"]);
        create_map(&path, &map).unwrap();
        let file = MapFile::open(&path, &"a".parse().unwrap()).unwrap();
        assert!(!file.reload().unwrap());
        map.assign(&["8192".parse().unwrap()], &"a".parse().unwrap()).unwrap();
        write_map(&path, &map).unwrap();
        assert!(file.check(slot(8192)).is_err());
        assert!(file.reload().unwrap() && file.check(slot(8192)).is_ok());
        for broken in [
            "nothing",
            "default = \"b\"\n[cells.b]\nurl = \"http://b.example\"\nslots = [\"0-16383\"]",
        ] {
            fs::write(&path, broken).unwrap();
            assert_eq!(file.reload().unwrap_err().param(), Some(KEY));
            assert!(!file.reload().unwrap(), "the same fault is said once");
            assert!(file.check(slot(8192)).is_ok() && file.check(slot(8193)).is_err());
        }
        fs::remove_file(&path).unwrap();
        assert!(file.reload().is_err() && file.reload().is_err());
    }

    #[test]
    fn a_map_is_not_planned_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cells.toml");
        assert!(read_map(&path).unwrap_err().message().contains("riad cell plan"));
        let one = map(&["http://a.example"]);
        create_map(&path, &one).unwrap();
        assert_eq!(create_map(&path, &one).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(read_map(&path).unwrap(), one);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
