//! Files of a room that are being read. The disk gets the bytes of a deleted file back at once, however slowly somebody reads it.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, Weak},
};

/// By their names in the folder.
#[derive(Default)]
pub(crate) struct OpenFiles(Mutex<HashMap<OsString, Weak<OpenFile>>>);

/// Shared by all who read it. `None` once it was deleted.
pub(crate) struct OpenFile(Mutex<Option<File>>);

impl OpenFiles {
    pub(crate) fn open(&self, folder: &Path, name: &str) -> io::Result<Arc<OpenFile>> {
        // Locked while the file is opened: one that is deleted later is closed.
        let mut open = self.0.lock();
        if let Some(file) = open.get(OsStr::new(name)).and_then(Weak::upgrade) {
            return Ok(file);
        }
        open.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(OpenFile(Mutex::new(Some(File::open(folder.join(name))?))));
        open.insert(name.into(), Arc::downgrade(&file));
        Ok(file)
    }

    /// After the same bytes were put in place again: the disk must not keep those that were there.
    pub(crate) fn replace(&self, folder: &Path, name: &str) -> io::Result<()> {
        let found = self.0.lock().get(OsStr::new(name)).and_then(Weak::upgrade);
        if let Some(file) = found {
            *file.0.lock() = Some(File::open(folder.join(name))?);
        }
        Ok(())
    }

    /// After the file was deleted.
    pub(crate) fn close(&self, name: &OsStr) {
        let found = self.0.lock().remove(name);
        if let Some(file) = found.and_then(|file| file.upgrade()) {
            file.close();
        }
    }

    pub(crate) fn close_all(&self) {
        let open = std::mem::take(&mut *self.0.lock());
        for file in open.into_values().filter_map(|file| file.upgrade()) {
            file.close();
        }
    }
}

impl OpenFile {
    /// So many bytes from `start` on, less at the end; `None` if the file was deleted.
    pub(crate) fn read(&self, start: u64, bytes: usize) -> io::Result<Option<Vec<u8>>> {
        let mut file = self.0.lock();
        let Some(file) = file.as_mut() else { return Ok(None) };
        file.seek(SeekFrom::Start(start))?;
        let mut read = Vec::with_capacity(bytes);
        file.take(bytes as u64).read_to_end(&mut read)?;
        Ok(Some(read))
    }

    fn close(&self) {
        *self.0.lock() = None;
    }
}
