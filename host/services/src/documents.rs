//! Documents: adding, reading and deleting them. Not here: their way from a file to pieces (`ingestion`), how they are stored, and searching
//! (`search`).

pub use crate::ingestion::{DocumentSource, TextFormat};
use crate::{
    audit, embeddings,
    ingestion::{Ingestion, SectionedText},
    metering::RequestMeter,
    shared::Shared,
};
use bytes::Bytes;
use riad_admission::{Kept, Work};
use riad_core::{
    DocumentId, Error, ErrorKind, Result, TenantPass,
    document::{BYTE_ORDER_MARK, Document, DocumentFile, Metadata, NewChunk, NewDocument, Page, Position},
    grants::{Access, Scope},
    ingestion::{Piece, Section},
    ledger::Kind,
    ports::{RequestMark, Room},
};
use serde::Serialize;
use std::sync::Arc;

const TITLE_MAX: usize = 512;
/// Documents in one page of a listing.
const PAGE_MAX: u32 = 100;
/// Texts that go to the embedder at once: bounds what one document adds to memory.
const BATCH: usize = 256;

/// Bytes of a text that are read at once to be sent.
pub const PIECE_BYTES: u64 = 64 << 10;

pub struct DocumentRequest {
    /// Of a file, the one that is in it or its name's if it is not given.
    pub title: Option<String>,
    pub source: DocumentSource,
    pub metadata: Metadata,
}

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
    /// When it returns, a search finds the document. `upload` is kept as long as a processor works for it, also when the caller has gone.
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
        let request = DocumentRequest {
            title: request.title.as_deref().map(check_title).transpose()?,
            source: request.source.check(&self.0)?,
            ..request
        };
        self.check_metadata(&request.metadata)?;
        let purpose = embeddings::purpose(&self.0, Kind::Document);
        let meter = self.0.metering.admit(pass, purpose).await?;
        // The handle keeps the request open, so that it counts among the tenant's concurrent ones.
        let work = self.0.work(pass).keep(upload).keep(meter.handle());
        let stored = self.store(pass, request, mark, &meter, work).await;
        let added = meter.record_engine_result(stored)?;
        meter.settle().await?;
        Ok(added)
    }

    /// Extracts, chunks, embeds and stores a document.
    async fn store(
        &self,
        pass: &TenantPass,
        request: DocumentRequest,
        mark: Option<RequestMark>,
        meter: &RequestMeter,
        mut work: Work,
    ) -> Result<Added> {
        let room = self.0.rooms.open(pass).await?;
        // Before anything is billed. With its chunks it is more; the room checks that when it stores them.
        room.storage.check(request.source.bytes())?;
        let mut ingestion = Ingestion::begin(&self.0, pass, &room, meter, &request.source).await?;
        meter.record_usage(|used| used.requests = 1);
        let DocumentRequest {
            title,
            metadata,
            source,
        } = request;
        let (title, text, metadata, file) = match source {
            DocumentSource::Text { text, format } => {
                let title = title.ok_or_else(|| Error::invalid("a text needs a title").with_param("title"))?;
                (title, SectionedText::of_text(text, format), metadata, None)
            }
            DocumentSource::File(upload) => {
                let source = ingestion
                    .source(&upload, title.as_deref(), &metadata, &mut work)
                    .await?;
                if let Some(document) = room.documents.find_source(&source).await? {
                    return Ok(Added {
                        document,
                        is_new: false,
                    });
                }
                let name = upload.name.clone();
                let extracted = ingestion.extract(upload).await?;
                let title = title.unwrap_or_else(|| title_of(&extracted.title, &name));
                let mut warnings = extracted.warnings;
                let most = self.0.limits.metadata_bytes;
                let metadata = merge(metadata, extracted.metadata, most, &mut warnings)?;
                let file = DocumentFile {
                    media_type: extracted.media_type,
                    warnings,
                    source,
                };
                (
                    title,
                    SectionedText::of_sections(extracted.sections),
                    metadata,
                    Some(file),
                )
            }
        };
        let pieces = ingestion.chunk(&title, Arc::clone(&text.sections), None).await?;
        let chunks = self.embed(&title, &text, &pieces, meter, &mut work).await?;
        drop(work);
        let source = file.as_ref().map(|file| file.source);
        let document = NewDocument {
            title,
            text: text.text,
            metadata,
            file,
        };
        let (shared, pass) = (Arc::clone(&self.0), pass.clone());
        audit::run_to_completion(async move {
            let stored = room.documents.insert(document, chunks, mark).await;
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

    /// The pieces with their embeddings, ready to be stored.
    pub(crate) async fn embed(
        &self,
        title: &str,
        text: &SectionedText,
        pieces: &[Piece],
        meter: &RequestMeter,
        work: &mut Work,
    ) -> Result<Vec<NewChunk>> {
        let placed = pieces.iter().map(|piece| {
            let at = piece.section as usize;
            let found = text.sections.get(at).zip(text.starts.get(at));
            let (section, start) = found.ok_or_else(|| Error::internal("a piece of a section that is not there"))?;
            Ok((piece, section, start + piece.start))
        });
        let placed = placed.collect::<Result<Vec<_>>>()?;
        let embedded =
            |(piece, section, _): &(&Piece, &Section, usize)| embeddings::text_of(title, &section.heading, &piece.text);
        let length = |(piece, section, _): &(&Piece, &Section, usize)| {
            let above: usize = section.heading.iter().map(|heading| heading.len() + 1).sum();
            title.len() + 1 + above + piece.text.len()
        };
        // For the whole document before the first batch, because half a document is of no use.
        meter.hold(embeddings::at_most(placed.iter().map(length))).await?;
        let mut chunks = Vec::with_capacity(placed.len());
        for batch in placed.chunks(BATCH) {
            let texts = batch.iter().map(embedded).collect();
            let most = embeddings::at_most(batch.iter().map(length));
            let (vectors, _) = embeddings::run(&self.0, work, meter.handle(), texts, most).await?;
            chunks.extend(
                batch
                    .iter()
                    .zip(vectors)
                    .map(|((piece, section, offset), embedding)| NewChunk {
                        text: piece.text.clone(),
                        offset: *offset as u64,
                        position: Position {
                            heading: section.heading.clone(),
                            page: section.page,
                        },
                        embedding,
                    }),
            );
        }
        Ok(chunks)
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
        let bytes = json_bytes(metadata)?;
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

/// The client's metadata, and what the file says of itself where the client says nothing and `most` bytes of JSON leave room.
fn merge(mut metadata: Metadata, found: Metadata, most: u64, warnings: &mut Vec<String>) -> Result<Metadata> {
    let mut bytes = json_bytes(&metadata)?;
    for (name, value) in found {
        if metadata.contains_key(&name) {
            continue;
        }
        // With its colon, and the comma after the member before it.
        let separators = if metadata.is_empty() { 1 } else { 2 };
        let more = json_bytes(&name)? + json_bytes(&value)? + separators;
        if bytes + more > most {
            warnings.push(format!("The file's own `{name}` is too long for the metadata."));
            continue;
        }
        bytes += more;
        metadata.insert(name, value);
    }
    Ok(metadata)
}

fn json_bytes(value: &impl Serialize) -> Result<u64> {
    Ok(serde_json::to_vec(value).map_err(Error::internal)?.len() as u64)
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

/// Titles that a file gives cannot be refused to anybody: they are made to fit.
pub(crate) fn title_of(found: &str, name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    [found, stem, name, "Untitled"]
        .into_iter()
        .map(fit_title)
        .find(|title| !title.is_empty())
        .unwrap_or_default()
}

fn fit_title(title: &str) -> String {
    let title = title.replace(BYTE_ORDER_MARK, "");
    let words: Vec<_> = title
        .split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words
        .join(" ")
        .chars()
        .take(TITLE_MAX)
        .collect::<String>()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_files_own_metadata_fills_what_the_client_leaves() {
        let object = |value: serde_json::Value| value.as_object().unwrap().clone();
        let own = object(json!({"author": "Client", "é": 1}));
        let found = object(json!({"author": "File", "pages": 7, "subject": "\u{1}\"long\"", "tags": ["a"]}));
        let whole = object(json!({"author": "Client", "é": 1, "pages": 7, "subject": "\u{1}\"long\"", "tags": ["a"]}));
        let bytes = serde_json::to_vec(&whole).unwrap().len() as u64;
        let mut warnings = Vec::new();
        let merged = merge(own.clone(), found.clone(), bytes, &mut warnings).unwrap();
        assert_eq!((merged, warnings.len()), (whole.clone(), 0), "it fits to the byte");
        let merged = merge(own.clone(), found.clone(), bytes - 1, &mut warnings).unwrap();
        let fewer = serde_json::to_vec(&merged).unwrap().len() as u64;
        assert!(fewer < bytes);
        assert_eq!(warnings, ["The file's own `tags` is too long for the metadata."]);
        let alone = merge(Metadata::new(), found.clone(), bytes, &mut Vec::new()).unwrap();
        let exactly = serde_json::to_vec(&found).unwrap().len() as u64;
        assert_eq!(alone, found);
        assert_eq!(merge(Metadata::new(), found, exactly, &mut Vec::new()).unwrap(), alone);
        assert_eq!(merge(own.clone(), alone, 0, &mut Vec::new()).unwrap(), own);
    }

    #[test]
    fn a_file_without_a_title_is_named_by_what_it_says_or_by_its_name() {
        assert_eq!(title_of(" Refunds\tand\nreturns ", "a.pdf"), "Refunds and returns");
        assert_eq!(title_of("", "reports/2026.Q3.pdf"), "2026.Q3");
        assert_eq!(title_of("\u{7}", "C:\\files\\.env"), ".env");
        assert_eq!(title_of("", ""), "Untitled");
        assert_eq!(title_of(&"é".repeat(600), "").chars().count(), TITLE_MAX);
        assert_eq!(check_title("\u{FEFF} Refunds ").unwrap(), "Refunds");
    }
}
