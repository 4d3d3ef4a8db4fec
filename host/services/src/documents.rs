//! Documents: checking, chunking, embedding and storing them. Not here: how they are stored, and searching (`search`).

use crate::{
    audit,
    chunking::{Format, Piece, Windows},
    embeddings,
    metering::RequestMeter,
    shared::Shared,
};
use bytes::Bytes;
use riad_admission::{Kept, Work};
use riad_core::{
    DocumentId, Error, ErrorKind, Result, TenantPass,
    document::{BYTE_ORDER_MARK, Document, Metadata, NewChunk, NewDocument, Page, normalize_text},
    grants::{Access, Scope},
    ledger::Kind,
    ports::{RequestMark, Room},
    price::Usage,
};
use std::sync::Arc;

const TITLE_MAX: usize = 512;
/// Documents in one page of a listing.
const PAGE_MAX: u32 = 100;
/// Texts that go to the embedder at once: bounds what one document adds to memory.
const BATCH: usize = 256;

/// Bytes of a text that are read at once to be sent.
pub const PIECE_BYTES: u64 = 64 << 10;

pub struct DocumentRequest {
    pub title: String,
    pub text: String,
    pub metadata: Metadata,
    pub format: Format,
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
    /// When it returns, a search finds the document. `upload` is kept as long as a processor works for it, also when the caller has gone.
    /// `mark` is the request's idempotency key, if it has one.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad title or a text without words, `TooLarge` for a text over the limit, `StorageFull` if it does not fit into
    /// the room; `Forbidden`, `Busy` and `QuotaExceeded` as for a chat. Nothing is stored then.
    pub async fn create(
        &self,
        pass: &TenantPass,
        request: DocumentRequest,
        upload: Kept,
        mark: Option<RequestMark>,
    ) -> Result<Document> {
        pass.require(Scope::Documents, Access::Write)?;
        let title = check_title(&request.title)?;
        self.check_size(&request.text)?;
        let request = DocumentRequest {
            text: check_text(request.text)?,
            ..request
        };
        self.check_metadata(&request.metadata)?;
        let purpose = embeddings::purpose(&self.0, Kind::Document);
        let meter = self.0.metering.admit(pass, purpose).await?;
        // The handle keeps the request open, so that it counts among the tenant's concurrent ones.
        let work = self.0.work(pass).keep(upload).keep(meter.handle());
        let stored = self.store(pass, title, request, mark, &meter, work).await;
        let document = meter.record_engine_result(stored)?;
        meter.settle().await?;
        Ok(document)
    }

    /// Chunks, embeds and stores a document.
    async fn store(
        &self,
        pass: &TenantPass,
        title: String,
        request: DocumentRequest,
        mark: Option<RequestMark>,
        meter: &RequestMeter,
        mut work: Work,
    ) -> Result<Document> {
        let room = self.0.rooms.open(pass).await?;
        // Before anything is billed. With its chunks it is more; the room checks that when it stores them.
        room.storage.check(request.text.len() as u64)?;
        let (text, pieces) = self.chunk(&mut work, request.text, request.format).await?;

        // The title tells the embedder what a chunk from the middle of a document is about.
        let lengths =
            |pieces: &[Piece]| embeddings::at_most(pieces.iter().map(|piece| title.len() + 1 + piece.text.len()));
        // For the whole document before the first batch, because half a document is of no use.
        meter
            .hold(Usage {
                requests: 1,
                ..lengths(&pieces)
            })
            .await?;
        let mut chunks = Vec::new();
        for batch in pieces.chunks(BATCH) {
            let texts = batch.iter().map(|piece| format!("{title}\n{}", piece.text)).collect();
            let (vectors, _) = embeddings::run(&self.0, &mut work, meter.handle(), texts, lengths(batch)).await?;
            chunks.extend(batch.iter().zip(vectors).map(|(piece, embedding)| NewChunk {
                text: piece.text.clone(),
                offset: piece.offset as u64,
                embedding,
            }));
        }
        let document = NewDocument {
            title: title.clone(),
            text,
            metadata: request.metadata,
        };
        drop(work);
        meter.record_usage(|used| used.requests = 1);
        let (shared, pass) = (Arc::clone(&self.0), pass.clone());
        audit::run_to_completion(async move {
            let document = room.documents.insert(document, chunks, mark).await?;
            audit::record(&shared, &pass, "document.create", document.id.as_str()).await?;
            Ok(document)
        })
        .await
    }

    /// Splits a text, a window in each slice.
    async fn chunk(&self, work: &mut Work, text: String, format: Format) -> Result<(String, Vec<Piece>)> {
        let mut windows = Windows::new(format, self.0.limits.chunk_characters as usize);
        let (mut text, mut pieces) = (text, Vec::new());
        loop {
            let more;
            (text, windows, more) = work
                .run(move || {
                    let more = windows.next(&text);
                    Ok((text, windows, more))
                })
                .await?;
            match more {
                Some(more) => pieces.extend(more),
                None => break,
            }
        }
        windows.check()?;
        Ok((text, pieces))
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

    /// By id, which is the order of insertion, beginning after `after`.
    ///
    /// # Errors
    /// `InvalidRequest` for a limit of 0 or over the greatest.
    pub async fn list(&self, pass: &TenantPass, limit: u32, after: Option<DocumentId>) -> Result<DocumentList> {
        pass.require(Scope::Documents, Access::Read)?;
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit"));
        }
        // One more than the limit tells whether there are more.
        let page = Page {
            after,
            limit: limit + 1,
        };
        let mut documents = self.0.rooms.open(pass).await?.documents.list(&page).await?;
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

    fn check_metadata(&self, metadata: &Metadata) -> Result<()> {
        let bytes = serde_json::to_vec(metadata).map_err(Error::internal)?.len() as u64;
        let most = self.0.limits.metadata_bytes;
        if bytes > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the metadata has {bytes} bytes as JSON, it may have {most}"),
            )
            .with_param("metadata"));
        }
        Ok(())
    }

    fn check_size(&self, text: &str) -> Result<()> {
        let most = self.0.limits.document_bytes;
        if text.len() as u64 > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the text has {} bytes, a document may have {most}; split it into several documents",
                    text.len()
                ),
            )
            .with_param("text"));
        }
        Ok(())
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

fn check_text(text: String) -> Result<String> {
    if text.contains('\0') {
        return Err(
            Error::invalid("the text has NUL characters in it; was it read in the wrong encoding?").with_param("text"),
        );
    }
    Ok(normalize_text(text))
}

fn check_title(title: &str) -> Result<String> {
    let title = title.trim_start_matches(BYTE_ORDER_MARK).trim();
    if title.is_empty() || title.chars().count() > TITLE_MAX || title.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "a title must have 1 to {TITLE_MAX} characters, none of them a control character"
        ))
        .with_param("title"));
    }
    Ok(title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_their_lines_alike_and_have_no_mark() {
        for (text, clean) in [
            ("\u{FEFF}a\r\nb\rc\n", "a\nb\nc\n"),
            ("a\u{FEFF}b", "a\u{FEFF}b"),
            ("\r\n\r\n", "\n\n"),
            ("", ""),
        ] {
            assert_eq!(check_text(text.to_owned()).unwrap(), clean);
        }
        assert_eq!(check_text("a\0b".to_owned()).unwrap_err().param(), Some("text"));
        assert_eq!(check_title("\u{FEFF} Refunds ").unwrap(), "Refunds");
    }
}
