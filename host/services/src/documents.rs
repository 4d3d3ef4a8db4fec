//! Documents: checking, chunking, embedding and storing them. Not here: how they are stored, and searching (`search`).

use crate::{
    chunking::{self, Format},
    embeddings,
    shared::Shared,
};
use riad_core::{
    DocumentId, Error, ErrorKind, Result, TenantPass,
    document::{Document, DocumentWithText, Metadata, NewChunk, NewDocument, Page},
};
use std::sync::Arc;

const TITLE_MAX: usize = 512;
/// Documents in one page of a listing.
const PAGE_MAX: u32 = 100;
/// Texts that go to the embedder at once: bounds what one document adds to memory.
const BATCH: usize = 256;

pub struct DocumentRequest {
    pub title: String,
    pub text: String,
    pub metadata: Metadata,
    pub format: Format,
}

/// Some documents and whether there are more.
pub struct DocumentList {
    pub documents: Vec<Document>,
    pub has_more: bool,
}

pub struct DocumentService(pub(crate) Arc<Shared>);

impl DocumentService {
    /// When it returns, a search finds the document.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad title or a text without words, `TooLarge` for a text over the limit.
    pub async fn create(&self, pass: &TenantPass, request: DocumentRequest) -> Result<Document> {
        let title = check_title(&request.title)?;
        self.check_size(&request.text)?;
        self.check_metadata(&request.metadata)?;
        let room = self.0.rooms.open(pass).await?;

        let (text, format, characters) = (request.text, request.format, self.0.limits.chunk_characters as usize);
        let (text, pieces) = tokio::task::spawn_blocking(move || {
            let pieces = chunking::chunk(&text, format, characters);
            (text, pieces)
        })
        .await
        .map_err(Error::internal)?;

        let mut chunks = Vec::new();
        for batch in pieces?.chunks(BATCH) {
            // The title says what a chunk from the middle of a document is about.
            let texts = batch.iter().map(|piece| format!("{title}\n{}", piece.text)).collect();
            let (vectors, _) = embeddings::embed(&self.0, pass, texts, 0).await?;
            chunks.extend(batch.iter().zip(vectors).map(|(piece, embedding)| NewChunk {
                text: piece.text.clone(),
                offset: piece.offset as u64,
                embedding,
            }));
        }
        let document = NewDocument {
            title,
            text,
            metadata: request.metadata,
        };
        room.documents.insert(document, chunks).await
    }

    /// # Errors
    /// `NotFound` if the room has none with the id.
    pub async fn get(&self, pass: &TenantPass, id: &DocumentId) -> Result<DocumentWithText> {
        self.0.rooms.open(pass).await?.documents.get(id).await
    }

    /// By id, which is the order of insertion, beginning after `after`.
    ///
    /// # Errors
    /// `InvalidRequest` for a limit of 0 or over the greatest.
    pub async fn list(&self, pass: &TenantPass, limit: u32, after: Option<DocumentId>) -> Result<DocumentList> {
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit"));
        }
        // One more than was asked for says whether there are more.
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
        self.0.rooms.open(pass).await?.documents.delete(id).await
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

fn check_title(title: &str) -> Result<String> {
    let title = title.trim();
    if title.is_empty() || title.chars().count() > TITLE_MAX || title.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "a title must have 1 to {TITLE_MAX} characters, none of them a control character"
        ))
        .with_param("title"));
    }
    Ok(title.to_owned())
}
