//! Makes a document of what a client sent: extracted, chunked and embedded, ready to be stored. Not here: the stages (`ingestion`), who waits for
//! the document (`documents`, `indexing`).

use crate::{
    embeddings,
    ingestion::{Ingestion, SectionedText, check_source},
    metering::RequestMeter,
    shared::Shared,
};
use riad_admission::Work;
use riad_core::{
    Digest, Error, ErrorKind, Result, TenantPass,
    document::{self, BYTE_ORDER_MARK, Document, DocumentFile, Metadata, NewChunk, NewDocument, Original, Position},
    document_job::{JobProgress, JobStage},
    file::NAME_MAX,
    ingestion::{DocumentRequest, DocumentSource, Extracted, Piece, Section, Upload},
    ports::{Room, TextRole},
};
use serde::Serialize;
use std::sync::Arc;

const TITLE_MAX: usize = 512;
/// Bytes of the media type that a client claims.
const MEDIA_TYPE_MAX: usize = 255;
/// Texts that go to the embedder at once: bounds what one document adds to memory.
const BATCH: usize = 256;

/// What a request has become.
pub(crate) enum Made {
    /// The document that was made of the same file in the same way.
    Existing(Document),
    New {
        document: NewDocument,
        chunks: Vec<NewChunk>,
    },
}

pub(crate) struct DocumentMaker<'a> {
    pub shared: &'a Arc<Shared>,
    pub pass: &'a TenantPass,
    pub room: &'a Room,
    pub meter: &'a RequestMeter,
    /// Called at each step.
    pub report: &'a (dyn Fn(JobProgress) + Send + Sync),
}

/// A request as it is made into a document.
///
/// # Errors
/// `InvalidRequest` for a bad title or a text without words, `TooLarge` for a text, file or metadata over the limit.
pub(crate) fn check(shared: &Shared, request: DocumentRequest) -> Result<DocumentRequest> {
    let DocumentRequest {
        title,
        source,
        metadata,
    } = request;
    let title = title.as_deref().map(check_title).transpose()?;
    if title.is_none() && matches!(source, DocumentSource::Text { .. }) {
        return Err(no_title());
    }
    let source = bound_claims(check_source(source, shared)?);
    check_metadata(shared, &metadata)?;
    Ok(DocumentRequest {
        title,
        source,
        metadata,
    })
}

impl DocumentMaker<'_> {
    /// Of a request that [`check`] has let pass.
    pub async fn make(&self, request: DocumentRequest, work: &mut Work) -> Result<Made> {
        // Before anything is billed. With its chunks it is more; the room checks that when it stores them.
        self.room.storage.check(request.source.bytes())?;
        let mut ingestion = Ingestion::begin(self.shared, self.pass, self.room, self.meter, &request.source).await?;
        self.meter.record_usage(|used| used.requests = 1);
        let DocumentRequest {
            title,
            metadata,
            source,
        } = request;
        let (title, text, metadata, file) = match source {
            DocumentSource::Text { text, format } => {
                let title = title.ok_or_else(no_title)?;
                (title, SectionedText::of_text(text, format), metadata, None)
            }
            DocumentSource::File(upload) => {
                let source = ingestion.source(&upload, title.as_deref(), &metadata, work).await?;
                if let Some(document) = self.room.documents.find_source(&source).await? {
                    return Ok(Made::Existing(document));
                }
                let original = Original {
                    name: file_name(&upload.name),
                    bytes: upload.bytes.clone(),
                };
                let name = upload.name.clone();
                let extracted = self.extract(&mut ingestion, upload).await?;
                let title = title.unwrap_or_else(|| title_of(&extracted.title, &name));
                let mut warnings = extracted.warnings;
                let most = self.shared.limits.metadata_bytes;
                let metadata = merge(metadata, extracted.metadata, most, &mut warnings)?;
                let file = DocumentFile {
                    media_type: extracted.media_type,
                    warnings,
                    source,
                    original: Some(original),
                };
                (
                    title,
                    SectionedText::of_sections(extracted.sections),
                    metadata,
                    Some(file),
                )
            }
        };
        (self.report)(JobProgress::before_chunks(JobStage::Chunking));
        let pieces = ingestion.chunk(&title, Arc::clone(&text.sections), None).await?;
        let chunks = self.embed(&title, &text, &pieces, work).await?;
        let count = u32::try_from(chunks.len()).map_err(Error::internal)?;
        (self.report)(JobProgress {
            stage: JobStage::Storing,
            chunks_done: count,
            chunks_total: Some(count),
        });
        let document = NewDocument {
            title,
            text: text.text,
            metadata,
            file,
        };
        Ok(Made::New { document, chunks })
    }

    async fn extract(&self, ingestion: &mut Ingestion<'_>, upload: Upload) -> Result<Extracted> {
        (self.report)(JobProgress::before_chunks(JobStage::Extraction));
        ingestion.extract(upload).await
    }

    /// The pieces with their embeddings, ready to be stored.
    pub(crate) async fn embed(
        &self,
        title: &str,
        text: &SectionedText,
        pieces: &[Piece],
        work: &mut Work,
    ) -> Result<Vec<NewChunk>> {
        let placed = pieces.iter().map(|piece| {
            let at = piece.section as usize;
            let found = text.sections.get(at).zip(text.starts.get(at));
            let (section, start) = found.ok_or_else(|| Error::internal("a piece of a section that is not there"))?;
            Ok((piece, section, start + piece.start))
        });
        let placed = placed.collect::<Result<Vec<_>>>()?;
        let embedded = |(piece, section, _): &(&Piece, &Section, usize)| {
            document::embedded_text(title, &section.heading, &piece.text)
        };
        let length = |(piece, section, _): &(&Piece, &Section, usize)| {
            let above: usize = section.heading.iter().map(|heading| heading.len() + 1).sum();
            title.len() + 1 + above + piece.text.len()
        };
        // For the whole document before the first batch, because half a document is of no use.
        let embedder = self.shared.embedder.as_ref();
        let most = embeddings::at_most(embedder, placed.iter().map(length));
        self.meter.hold(most).await?;
        let total = u32::try_from(placed.len()).map_err(Error::internal)?;
        let mut progress = JobProgress {
            stage: JobStage::Embedding,
            chunks_done: 0,
            chunks_total: Some(total),
        };
        (self.report)(progress);
        let mut chunks = Vec::with_capacity(placed.len());
        for batch in placed.chunks(BATCH) {
            let vectors = self.vectors(batch.iter().map(embedded).collect(), work).await?;
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
            progress.chunks_done = total.min(
                progress
                    .chunks_done
                    .saturating_add(batch.len().try_into().unwrap_or(total)),
            );
            (self.report)(progress);
        }
        Ok(chunks)
    }

    /// A text that a chunk of the room has been made of already has the vector of that one, and is not embedded again.
    async fn vectors(&self, texts: Vec<String>, work: &mut Work) -> Result<Vec<Vec<f32>>> {
        let digests: Vec<_> = texts.iter().map(|text| Digest::of(text.as_bytes())).collect();
        let known = self.room.documents.find_embeddings(&digests).await?;
        let is_new = |(text, known): (String, &Option<_>)| known.is_none().then_some(text);
        let new: Vec<_> = texts.into_iter().zip(&known).filter_map(is_new).collect();
        let most = embeddings::at_most(self.shared.embedder.as_ref(), new.iter().map(String::len));
        let (embedded, _) =
            embeddings::run(self.shared, work, self.meter.handle(), new, TextRole::Passage, most).await?;
        let mut embedded = embedded.into_iter();
        let vectors: Option<_> = known
            .into_iter()
            .map(|known| known.or_else(|| embedded.next()))
            .collect();
        vectors.ok_or_else(|| Error::internal("a text has no vector"))
    }
}

/// What a client claims of a file is kept while the document waits, and need not be long to say what it says.
fn bound_claims(source: DocumentSource) -> DocumentSource {
    match source {
        DocumentSource::Text { .. } => source,
        DocumentSource::File(mut upload) => {
            // Its end says what kind of file it is.
            let start = upload.name.char_indices().rev().nth(NAME_MAX - 1);
            if let Some((start, _)) = start {
                upload.name.drain(..start);
            }
            if upload.media_type.len() > MEDIA_TYPE_MAX {
                upload.media_type.clear();
            }
            DocumentSource::File(upload)
        }
    }
}

fn no_title() -> Error {
    Error::invalid("a text needs a title").with_param("title")
}

fn check_metadata(shared: &Shared, metadata: &Metadata) -> Result<()> {
    let bytes = json_bytes(metadata)?;
    let most = shared.limits.metadata_bytes;
    if bytes > most {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the metadata has {bytes} bytes as JSON, it may have {most}"),
        )
        .with_param("metadata"));
    }
    Ok(())
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

/// The name that a document's file has among the room's files.
fn file_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name
        .chars()
        .filter(|character| !character.is_control())
        .take(NAME_MAX)
        .collect();
    match name.is_empty() {
        true => "file".to_owned(),
        false => name,
    }
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

    #[test]
    fn what_is_claimed_of_a_file_is_short() {
        let claimed = |name: String, media_type: String| {
            let bytes = "Hello".into();
            match bound_claims(DocumentSource::File(Upload {
                name,
                media_type,
                bytes,
            })) {
                DocumentSource::File(upload) => (upload.name, upload.media_type),
                DocumentSource::Text { .. } => panic!("a file became a text"),
            }
        };
        let fits = ("é".repeat(NAME_MAX), "x".repeat(MEDIA_TYPE_MAX));
        assert_eq!(claimed(fits.0.clone(), fits.1.clone()), fits);
        let long = claimed("é".repeat(60_000) + ".pdf", "x".repeat(MEDIA_TYPE_MAX + 1));
        assert_eq!(long, ("é".repeat(NAME_MAX - 4) + ".pdf", String::new()));
    }

    #[test]
    fn an_original_has_a_name_that_a_file_may_have() {
        for (sent, name) in [
            ("reports/2026.Q3.pdf", "2026.Q3.pdf"),
            ("C:\\files\\a\u{7}.pdf", "a.pdf"),
            ("", "file"),
            ("a/", "file"),
        ] {
            assert_eq!(file_name(sent), name);
        }
        assert_eq!(file_name(&"é".repeat(300)).chars().count(), NAME_MAX);
    }
}
