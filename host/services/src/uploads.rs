//! Files that come in parts, each with a request of its own. Not here: files that come whole (`files`), and how parts are stored.

use crate::{audit, files, shared::Shared};
use bytes::Bytes;
use riad_core::{
    Error, ErrorKind, PartId, Result, TenantPass, UploadId,
    file::{FilePurpose, check_name},
    grants::{Access, Scope},
    ports::PartWriter,
    upload::{Md5, NewUpload, Upload, UploadPart},
};
use serde_json::json;
use std::sync::Arc;

/// Of one part; OpenAI's bound.
pub const PART_BYTES: u64 = 64 << 20;
/// Characters of a media type.
const MEDIA_TYPE_MAX: usize = 255;

pub struct UploadService(pub(crate) Arc<Shared>);

/// What a client says of a file before it sends its parts.
pub struct UploadRequest {
    pub name: String,
    pub purpose: FilePurpose,
    /// Of all parts together.
    pub bytes: u64,
    /// OpenAI's clients must name one. What a file is, its bytes decide: it is checked and not kept.
    pub media_type: String,
    /// Seconds after which the file is deleted, from when it is whole.
    pub expires_after: Option<u64>,
}

/// A part that comes piece by piece. Dropped before it is finished, it leaves nothing.
pub struct PartUpload {
    writer: Box<dyn PartWriter>,
    bytes: u64,
}

impl UploadService {
    /// # Errors
    /// `InvalidRequest` for a name or media type that is none, no bytes, or an expiry out of bounds; `TooLarge` for more bytes than a file may
    /// have; `StorageFull` if the room has no space for them, or too many pending uploads; `Forbidden`; `Busy` after too many changes.
    pub async fn create(&self, pass: &TenantPass, request: UploadRequest) -> Result<Upload> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        check_name(&request.name, "filename")?;
        files::check_expiry(request.expires_after)?;
        self.check_bytes(request.bytes)?;
        check_media_type(&request.media_type)?;
        let upload = NewUpload {
            name: request.name,
            purpose: request.purpose,
            bytes: request.bytes,
            file_expires_after: request.expires_after,
        };
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass) = (Arc::clone(&self.0), pass.clone());
        audit::run_to_completion(async move {
            let created = room.uploads.create(upload).await?;
            audit::record(&shared, &pass, "upload.create", created.id.as_str()).await?;
            Ok(created)
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id; `InvalidRequest` if it has ended; `StorageFull`; `Forbidden`; `Busy` after too many changes.
    pub async fn begin_part(&self, pass: &TenantPass, id: &UploadId) -> Result<PartUpload> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        Ok(PartUpload {
            writer: room.uploads.begin_part(id).await?,
            bytes: 0,
        })
    }

    /// Joins parts to a file, in this order.
    ///
    /// # Errors
    /// `NotFound` if the room has no such upload or the upload no such part; `InvalidRequest` if it has ended, or its parts are not what was
    /// announced: then it goes on. `StorageFull`; `Forbidden`; `Busy` after too many changes.
    pub async fn complete(
        &self,
        pass: &TenantPass,
        id: &UploadId,
        parts: Vec<PartId>,
        md5: Option<Md5>,
    ) -> Result<Upload> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            let completed = room.uploads.complete(&id, &parts, md5).await?;
            let file = completed.file.as_ref().map(|file| json!({"file": file.id.as_str()}));
            let entry = audit::by_tenant(&pass, "upload.complete", id.as_str(), file.as_ref());
            audit::append(&shared, &pass, entry).await?;
            Ok(completed)
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id; `InvalidRequest` if it has ended; `Forbidden`; `Busy` after too many changes.
    pub async fn cancel(&self, pass: &TenantPass, id: &UploadId) -> Result<Upload> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            let canceled = room.uploads.cancel(&id).await?;
            audit::record(&shared, &pass, "upload.cancel", id.as_str()).await?;
            Ok(canceled)
        })
        .await
    }

    fn check_bytes(&self, bytes: u64) -> Result<()> {
        let most = self.0.limits.kept_file_bytes;
        if bytes == 0 {
            return Err(Error::invalid("bytes must be at least 1").with_param("bytes"));
        }
        if bytes > most {
            let text = format!("a file may have {most} bytes; split it");
            return Err(Error::new(ErrorKind::TooLarge, text).with_param("bytes"));
        }
        Ok(())
    }
}

impl PartUpload {
    /// # Errors
    /// `TooLarge` when there are more bytes than a part may have, `InvalidRequest` when there are more than the whole upload may have,
    /// `StorageFull` when the room has no space for them.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > PART_BYTES {
            let text = format!("a part may have {PART_BYTES} bytes; send more parts");
            return Err(Error::new(ErrorKind::TooLarge, text).with_param("data"));
        }
        self.writer.write(bytes).await
    }

    /// # Errors
    /// `InvalidRequest` for an empty part, one too many, or an upload that has ended meanwhile; `StorageFull`.
    pub async fn finish(self) -> Result<UploadPart> {
        if self.bytes == 0 {
            return Err(Error::invalid("the part is empty").with_param("data"));
        }
        self.writer.finish().await
    }
}

fn check_media_type(media_type: &str) -> Result<()> {
    let is_one = media_type.len() <= MEDIA_TYPE_MAX
        && media_type.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        && media_type
            .split_once('/')
            .is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty());
    if is_one {
        return Ok(());
    }
    let text =
        format!("mime_type must be a media type of at most {MEDIA_TYPE_MAX} characters, such as application/pdf");
    Err(Error::invalid(text).with_param("mime_type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_has_two_parts_of_ascii() {
        for right in ["text/plain", "text/plain; charset=utf-8", "application/vnd.ms-excel"] {
            check_media_type(right).unwrap();
        }
        let long = format!("text/{}", "x".repeat(MEDIA_TYPE_MAX));
        for wrong in ["", "pdf", "/", "text/", "/plain", "text/pl\nain", "text/ö", &long] {
            let refused = check_media_type(wrong).unwrap_err();
            assert_eq!(refused.param(), Some("mime_type"), "{wrong:?}");
        }
    }
}
