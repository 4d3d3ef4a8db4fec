//! The files of one room.

use crate::{
    FileId, Result,
    file::{FilePage, NewFile, StoredFile},
};
use async_trait::async_trait;
use bytes::Bytes;

/// The implementation is bound to one room. A file that has expired is not there, whether it was deleted already or not.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Begins a file whose bytes come piece by piece.
    async fn begin(&self) -> Result<Box<dyn FileWriter>>;

    /// `NotFound` if this room has none with the id.
    async fn get(&self, id: &FileId) -> Result<StoredFile>;

    /// Opens a file whose bytes are read piece by piece. `NotFound` as above.
    async fn open(&self, id: &FileId) -> Result<Box<dyn FileReader>>;

    /// By id, which is the order in which they were sent. `after` need not be there any more.
    async fn list(&self, page: &FilePage) -> Result<Vec<StoredFile>>;

    /// When it returns, no file of the room has the bytes, unless another one is the same. `NotFound` as above.
    async fn delete(&self, id: &FileId) -> Result<()>;
}

/// A file that is being read.
#[async_trait]
pub trait FileReader: Send {
    fn file(&self) -> &StoredFile;

    /// The next bytes that are read are those from here on.
    fn seek(&mut self, offset: u64);

    /// The next bytes, at most so many; none at its end. `NotFound` once no file of the room has the bytes any more.
    async fn read(&mut self, most: usize) -> Result<Bytes>;
}

/// A file that is being written. Dropped before it is finished, it leaves nothing.
#[async_trait]
pub trait FileWriter: Send {
    /// `StorageFull` if the room has no space for so many.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// When it returns, `kill -9` does not lose the file. A caller that goes away does not cancel it half-way.
    async fn finish(self: Box<Self>, file: NewFile) -> Result<StoredFile>;
}
