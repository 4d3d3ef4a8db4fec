//! Documents: adding, reading and deleting them. Not here: making them of what was sent (`document_maker`), those that nobody waits for
//! (`document_jobs`), how they are stored, and searching (`search`).

use crate::{
    audit,
    document_maker::{self, DocumentMaker, Made},
    embeddings, indexing,
    metering::RequestMeter,
    shared::Shared,
};
use bytes::Bytes;
use riad_admission::{Kept, Work};
use riad_core::{
    DocumentId, Error, ErrorKind, Result, TenantPass,
    document::{Document, Page, StoredChunk},
    grants::{Access, Scope},
    ingestion::DocumentRequest,
    ledger::Kind,
    ports::{RequestMark, Room},
};
use std::sync::Arc;

/// Documents in one page of a listing, or chunks of one document.
const PAGE_MAX: u32 = 100;

/// Bytes of a text that are read at once to be sent.
pub const PIECE_BYTES: u64 = 64 << 10;

/// A document that the room has now.
pub struct Added {
    pub document: Document,
    /// Whether it was not there before: the same file is one document.
    pub is_new: bool,
}

/// A page of documents, and whether there are more.
pub struct DocumentList {
    pub documents: Vec<Document>,
    pub has_more: bool,
}

/// A document whose text is read piece by piece.
pub struct DocumentText {
    room: Room,
    document: Document,
    /// The piece at `offset`, if it has been read.
    piece: Option<Bytes>,
    offset: u64,
}

pub struct DocumentService(pub(crate) Arc<Shared>);

impl DocumentService {
    /// When it returns, a search finds the document. `upload` is kept as long as its bytes are in memory, also when the caller has gone.
    /// `mark` is the request's idempotency key, if it has one.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad title or a text without words, `TooLarge` for a text or file over the limit, `UnsupportedFile` and
    /// `UnreadableFile` for a file that has no text, `PluginFailed` and `PluginLimit` for the faults of a stage, `StorageFull` if it does
    /// not fit into the room; `Forbidden`, `Busy` and `QuotaExceeded` as for a chat. Nothing is stored then.
    pub async fn create(
        &self,
        pass: &TenantPass,
        request: DocumentRequest,
        upload: Kept,
        mark: Option<RequestMark>,
    ) -> Result<Added> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.rooms.check_change(pass)?;
        let request = document_maker::check(&self.0, request)?;
        let purpose = embeddings::purpose(&self.0, Kind::Document);
        let meter = self.0.metering.admit(pass, purpose).await?;
        // The handle keeps the request open, so that it counts among the tenant's concurrent ones.
        let work = self.0.work(pass).keep(Kept::clone(&upload)).keep(meter.handle());
        let stored = self.store(pass, request, upload, mark, &meter, work).await;
        let added = meter.record_engine_result(stored)?;
        meter.settle().await?;
        Ok(added)
    }

    async fn store(
        &self,
        pass: &TenantPass,
        request: DocumentRequest,
        upload: Kept,
        mark: Option<RequestMark>,
        meter: &RequestMeter,
        mut work: Work,
    ) -> Result<Added> {
        let room = self.0.rooms.open(pass).await?;
        indexing::resume(&self.0, pass, &room).await?;
        let maker = DocumentMaker {
            shared: &self.0,
            pass,
            room: &room,
            meter,
            report: &|_| {},
        };
        let (document, chunks) = match maker.make(request, &mut work).await? {
            Made::Existing(document) => {
                return Ok(Added {
                    document,
                    is_new: false,
                });
            }
            Made::New { document, chunks } => (document, chunks),
        };
        drop(work);
        let source = document.file.as_ref().map(|file| file.source);
        let (shared, pass) = (Arc::clone(&self.0), pass.clone());
        audit::run_to_completion(async move {
            let stored = room.documents.insert(document, chunks, mark).await;
            drop(upload);
            // The same file may have been added meanwhile.
            if let (Err(error), Some(source)) = (&stored, source)
                && error.kind() == ErrorKind::Conflict
                && let Some(document) = room.documents.find_source(&source).await?
            {
                return Ok(Added {
                    document,
                    is_new: false,
                });
            }
            let document = stored?;
            audit::record(&shared, &pass, "document.create", document.id.as_str()).await?;
            Ok(Added { document, is_new: true })
        })
        .await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn open(&self, pass: &TenantPass, id: &DocumentId) -> Result<DocumentText> {
        pass.require(Scope::Documents, Access::Read)?;
        let room = self.0.rooms.open(pass).await?;
        let (document, piece) = room.documents.get(id, 0..PIECE_BYTES).await?;
        Ok(DocumentText {
            room,
            document,
            piece: Some(piece),
            offset: 0,
        })
    }

    /// The document, and so many of its chunks from the one with this number on.
    ///
    /// # Errors
    /// `NotFound` if the room has none with the id; `InvalidRequest` for a limit of 0 or over the greatest.
    pub async fn chunks(
        &self,
        pass: &TenantPass,
        id: &DocumentId,
        first: u32,
        limit: u32,
    ) -> Result<(Document, Vec<StoredChunk>)> {
        pass.require(Scope::Documents, Access::Read)?;
        check_limit(limit)?;
        let room = self.0.rooms.open(pass).await?;
        room.documents.chunks(id, first..first.saturating_add(limit)).await
    }

    /// By id, which is the order of insertion, beginning after `after`.
    ///
    /// # Errors
    /// `InvalidRequest` for a limit of 0 or over the greatest.
    pub async fn list(&self, pass: &TenantPass, limit: u32, after: Option<DocumentId>) -> Result<DocumentList> {
        pass.require(Scope::Documents, Access::Read)?;
        check_limit(limit)?;
        // One more than the limit tells whether there are more.
        let page = Page {
            after,
            limit: limit + 1,
        };
        let room = self.0.rooms.open(pass).await?;
        let mut documents = room.documents.list(&page).await?;
        indexing::resume(&self.0, pass, &room).await?;
        let has_more = documents.len() > limit as usize;
        documents.truncate(limit as usize);
        Ok(DocumentList { documents, has_more })
    }

    /// When it returns, no search finds the document.
    ///
    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn delete(&self, pass: &TenantPass, id: &DocumentId) -> Result<()> {
        pass.require(Scope::Documents, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            room.documents.delete(&id).await?;
            audit::record(&shared, &pass, "document.delete", id.as_str()).await
        })
        .await
    }
}

fn check_limit(limit: u32) -> Result<()> {
    match (1..=PAGE_MAX).contains(&limit) {
        true => Ok(()),
        false => Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit")),
    }
}

impl DocumentText {
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The next piece, which may begin and end between the bytes of a character.
    ///
    /// # Errors
    /// `NotFound` if the document was deleted meanwhile.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.offset >= self.document.bytes {
            return Ok(None);
        }
        let piece = match self.piece.take() {
            Some(piece) => piece,
            None => {
                let range = self.offset..self.offset.saturating_add(PIECE_BYTES);
                self.room.documents.get(&self.document.id, range).await?.1
            }
        };
        if piece.is_empty() {
            return Err(Error::internal("a document's text is shorter than its length"));
        }
        self.offset += piece.len() as u64;
        Ok(Some(piece))
    }
}
