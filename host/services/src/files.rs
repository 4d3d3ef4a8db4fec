//! Files that a tenant keeps. Not here: how they are stored, those that come in parts (`uploads`), and what becomes of a document's file (`ingestion`).

use crate::{audit, shared::Shared};
use bytes::Bytes;
use riad_core::{
    Error, ErrorKind, FileId, Result, TenantPass, Timestamp,
    file::{FilePage, FilePurpose, NewFile, StoredFile, check_name},
    grants::{Access, Scope},
    ports::{FileReader, FileWriter},
};
use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

/// Files in one page of a listing; OpenAI's bound.
const PAGE_MAX: u32 = 10_000;
/// Seconds for which a file may be kept that is to expire: OpenAI's bounds, an hour and thirty days.
const EXPIRY: RangeInclusive<u64> = 3_600..=2_592_000;
/// Bytes of a file that are read at once to be sent.
pub const PIECE_BYTES: usize = 64 << 10;

pub struct FileService(pub(crate) Arc<Shared>);

/// A file that comes piece by piece. Dropped before it is finished, it leaves nothing.
pub struct FileUpload {
    shared: Arc<Shared>,
    pass: TenantPass,
    writer: Box<dyn FileWriter>,
    bytes: u64,
}

/// What a client says of a file.
pub struct FileRequest {
    pub name: String,
    pub purpose: FilePurpose,
    /// Seconds from now after which it is deleted.
    pub expires_after: Option<u64>,
}

/// A page of files, and whether there are more.
pub struct FileList {
    pub files: Vec<StoredFile>,
    pub has_more: bool,
}

/// A file whose bytes are read piece by piece.
pub struct FileContent {
    reader: Box<dyn FileReader>,
    bytes_left: u64,
}

impl FileService {
    /// # Errors
    /// `Forbidden`; `Busy` after too many changes; `StorageFull` if the room is full.
    pub async fn begin(&self, pass: &TenantPass) -> Result<FileUpload> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        Ok(FileUpload {
            writer: room.files.begin().await?,
            shared: Arc::clone(&self.0),
            pass: pass.clone(),
            bytes: 0,
        })
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn get(&self, pass: &TenantPass, id: &FileId) -> Result<StoredFile> {
        pass.require(Scope::Documents, Access::Read)?;
        self.0.rooms.open(pass).await?.files.get(id).await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn open(&self, pass: &TenantPass, id: &FileId) -> Result<FileContent> {
        pass.require(Scope::Documents, Access::Read)?;
        let reader = self.0.rooms.open(pass).await?.files.open(id).await?;
        let bytes_left = reader.file().bytes;
        Ok(FileContent { reader, bytes_left })
    }

    /// # Errors
    /// `InvalidRequest` for a limit of 0 or over the greatest.
    pub async fn list(&self, pass: &TenantPass, page: FilePage) -> Result<FileList> {
        pass.require(Scope::Documents, Access::Read)?;
        if !(1..=PAGE_MAX).contains(&page.limit) {
            return Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit"));
        }
        let limit = page.limit as usize;
        // One more than the limit tells whether there are more.
        let page = FilePage {
            limit: page.limit + 1,
            ..page
        };
        let mut files = self.0.rooms.open(pass).await?.files.list(&page).await?;
        let has_more = files.len() > limit;
        files.truncate(limit);
        Ok(FileList { files, has_more })
    }

    /// # Errors
    /// `NotFound` if the room has none with the id; `Forbidden`; `Busy` after too many changes.
    pub async fn delete(&self, pass: &TenantPass, id: &FileId) -> Result<()> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            room.files.delete(&id).await?;
            audit::record(&shared, &pass, "file.delete", id.as_str()).await
        })
        .await
    }
}

impl FileUpload {
    /// # Errors
    /// `TooLarge` when there are more bytes than a file may have, `StorageFull` when the room has no space for them.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        let most = self.shared.limits.kept_file_bytes;
        if self.bytes > most {
            let text = format!("a file may have {most} bytes; split it");
            return Err(Error::new(ErrorKind::TooLarge, text).with_param("file"));
        }
        self.writer.write(bytes).await
    }

    /// # Errors
    /// `InvalidRequest` for an empty file, a name that is none, or an expiry out of bounds; `StorageFull`.
    pub async fn finish(self, request: FileRequest) -> Result<StoredFile> {
        if self.bytes == 0 {
            return Err(Error::invalid("the file is empty").with_param("file"));
        }
        check_name(&request.name, "file")?;
        check_expiry(request.expires_after)?;
        let expires = request
            .expires_after
            .map(|seconds| Timestamp::now().as_seconds() + seconds);
        let file = NewFile {
            name: request.name,
            purpose: request.purpose,
            expires,
        };
        let Self {
            shared, pass, writer, ..
        } = self;
        audit::run_to_completion(async move {
            let stored = writer.finish(file).await?;
            audit::record(&shared, &pass, "file.create", stored.id.as_str()).await?;
            Ok(stored)
        })
        .await
    }
}

pub(crate) fn check_expiry(seconds: Option<u64>) -> Result<()> {
    if seconds.is_some_and(|seconds| !EXPIRY.contains(&seconds)) {
        let text = format!("a file expires after {} to {} seconds", EXPIRY.start(), EXPIRY.end());
        return Err(Error::invalid(text).with_param("expires_after"));
    }
    Ok(())
}

impl FileContent {
    #[must_use]
    pub fn file(&self) -> &StoredFile {
        self.reader.file()
    }

    /// Only a part of it is read, which it must have.
    pub fn select(&mut self, part: &Range<u64>) {
        self.reader.seek(part.start);
        self.bytes_left = part.end.saturating_sub(part.start);
    }

    /// # Errors
    /// `NotFound` if the file's bytes were deleted meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.bytes_left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(self.bytes_left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let piece = self.reader.read(most).await?;
        if piece.is_empty() {
            return Err(Error::internal("a file is shorter than its length"));
        }
        self.bytes_left = self.bytes_left.saturating_sub(piece.len() as u64);
        Ok(Some(piece))
    }
}
