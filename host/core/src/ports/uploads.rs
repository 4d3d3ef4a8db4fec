//! The uploads of one room: files that come in parts.

use crate::{
    PartId, Result, UploadId,
    upload::{Md5, NewUpload, Upload, UploadPart},
};
use async_trait::async_trait;
use bytes::Bytes;

/// The implementation is bound to one room. `InvalidRequest` for an upload that has ended, with its status; `NotFound` for one that this room
/// does not have, which is one that has ended long ago, too.
#[async_trait]
pub trait UploadStore: Send + Sync {
    /// `StorageFull` if the room has no space for its bytes now, which are not reserved, or if too many are pending.
    async fn create(&self, upload: NewUpload) -> Result<Upload>;

    /// Begins a part whose bytes come piece by piece. Others may be written at the same time.
    async fn begin_part(&self, id: &UploadId) -> Result<Box<dyn PartWriter>>;

    /// Joins the parts in this order. When it returns, `kill -9` does not lose the file, and no part is there any more. `InvalidRequest` if they
    /// have not as many bytes as were announced or another MD5, `NotFound` if one is not this upload's; then it goes on. A caller that goes away
    /// does not cancel it half-way.
    async fn complete(&self, id: &UploadId, parts: &[PartId], md5: Option<Md5>) -> Result<Upload>;

    /// When it returns, no part is there any more.
    async fn cancel(&self, id: &UploadId) -> Result<Upload>;
}

/// A part that is being written. Dropped before it is finished, it leaves nothing.
#[async_trait]
pub trait PartWriter: Send {
    /// `StorageFull` if the room has no space for so many; `InvalidRequest` if they are more than the whole upload may have.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// When it returns, `kill -9` does not lose the part. `InvalidRequest` if the upload's different parts have more bytes together than were
    /// announced, or too many parts have come. A caller that goes away does not cancel it half-way.
    async fn finish(self: Box<Self>) -> Result<UploadPart>;
}
