//! What guests reach: a room in memory that answers at once, so that the sandbox is timed and not the disk. The native peer has the same
//! one, made of the same `world`.

use async_trait::async_trait;
use riad_core::{
    DocumentId, Error, Result, VectorStoreId,
    chat::Message,
    document::{Document, DocumentWithText, Metadata, Page, Passage, Position},
    plugin::StageRequest,
    ports::{
        CallObserver, Capabilities, DocumentReader, Generated, Generator, GuestCall, GuestPrompt, HttpClient,
        HttpFailure, HttpRequest, HttpResponse, KvStore, LogLevel, SettingsStore, SqlRows, SqlStore, SqlValue,
        TenantLog, TextEmbedder, TokenCounter,
    },
    profile::ModelProfile,
};
use serde_json::{Value, json};
use std::sync::Arc;

pub const QUESTION: &str = "How long is the warranty of the Kestrel drill, and who pays for the return?";
/// Passages that there are: as many as the standard retrieval asks for, for a prompt of four.
const PASSAGES: u32 = 12;
/// Sentences in each, so that it is about as long as a chunk (`limits.chunk_characters`).
const SENTENCES: u32 = 14;

pub fn request(question: &str) -> StageRequest {
    StageRequest {
        messages: vec![Message::user(question)],
        profile: ModelProfile {
            id: "bench".into(),
            context_tokens: 4096,
            prompt_tokens: 1500,
            passages: 4,
            sentences: 3,
            completion_tokens: 256,
            temperature: 0.0,
        },
        max_tokens: 256,
    }
}

pub fn passages() -> Vec<Passage> {
    (0..PASSAGES)
        .map(|number| {
            let sentences = (0..SENTENCES).map(|sentence| match sentence {
                7 => format!("The warranty of the Kestrel drill is {} months. ", 24 + number),
                _ => format!("Sentence {sentence} of page {number} is about other tools, too. "),
            });
            Passage {
                document: format!("d{number}").parse().unwrap(),
                chunk: number,
                title: format!("Page {number}"),
                text: sentences.collect(),
                score: 1.0 / f64::from(number + 1),
                metadata: Metadata::default(),
                position: Position::default(),
                file: None,
                hit: None,
            }
        })
        .collect()
}

/// An answer of 64 tokens, as a model writes it.
pub fn pieces() -> Vec<String> {
    let words = "The warranty of the Kestrel drill is 24 months. [1] ".split_inclusive(' ');
    words.cycle().take(64).map(str::to_owned).collect()
}

/// A text of 4 KB with numbers and addresses.
pub fn text() -> String {
    let line = "Order 4711 of ada@example.org is on its way since 12:30, ask bob@example.org. ";
    line.repeat(4096 / line.len())
}

/// All of this for a peer.
pub fn world() -> Value {
    let StageRequest {
        profile, max_tokens, ..
    } = request(QUESTION);
    let passages = passages().into_iter().map(|passage| {
        json!({
            "document": passage.document.as_str(), "chunk": passage.chunk, "title": passage.title, "text": passage.text,
            "score": passage.score, "metadata": Value::Object(passage.metadata).to_string(),
        })
    });
    json!({
        "question": QUESTION,
        "profile": {
            "id": profile.id, "context_tokens": profile.context_tokens, "prompt_tokens": profile.prompt_tokens,
            "passages": profile.passages, "sentences": profile.sentences, "max_tokens": max_tokens,
        },
        "passages": passages.collect::<Vec<_>>(),
        "pieces": pieces(),
        "text": text(),
    })
}

struct Room(Vec<Passage>);

pub fn capabilities() -> Capabilities {
    let room = Arc::new(Room(passages()));
    Capabilities {
        documents: room.clone(),
        sql: room.clone(),
        kv: room.clone(),
        generation: room.clone(),
        http: room.clone(),
        embeddings: room.clone(),
        settings: room.clone(),
        tokens: room.clone(),
        log: room.clone(),
        calls: room,
    }
}

#[async_trait]
impl DocumentReader for Room {
    async fn search(&self, _query: &str, limit: u32, _filter: Metadata) -> Result<Vec<Passage>> {
        Ok(self.0.iter().take(limit as usize).cloned().collect())
    }

    async fn search_stores(
        &self,
        _stores: Vec<VectorStoreId>,
        query: &str,
        limit: u32,
        filter: Metadata,
    ) -> Result<Vec<Passage>> {
        DocumentReader::search(self, query, limit, filter).await
    }

    async fn get(&self, _id: &DocumentId) -> Result<DocumentWithText> {
        Err(Error::not_found("there is no such document"))
    }

    async fn list(&self, _page: &Page) -> Result<Vec<Document>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl SqlStore for Room {
    async fn query(&self, _sql: &str, _params: Vec<SqlValue>) -> Result<SqlRows> {
        Ok(SqlRows {
            columns: Vec::new(),
            rows: Vec::new(),
        })
    }

    async fn execute(&self, _sql: &str, _params: Vec<SqlValue>) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl KvStore for Room {
    async fn get(&self, _key: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    async fn set(&self, _key: &str, _value: Vec<u8>, _seconds: u32) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, _key: &str) -> Result<bool> {
        Ok(false)
    }

    async fn increment(&self, _key: &str, by: i64, _seconds: u32) -> Result<i64> {
        Ok(by)
    }
}

#[async_trait]
impl Generator for Room {
    async fn generate(&self, _prompt: GuestPrompt) -> Result<Generated> {
        Err(Error::not_found("there is no model"))
    }
}

#[async_trait]
impl HttpClient for Room {
    async fn send(&self, _request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        Err(HttpFailure::NotGranted("no host is granted".into()))
    }
}

#[async_trait]
impl TextEmbedder for Room {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|_| vec![1.0]).collect())
    }
}

#[async_trait]
impl SettingsStore for Room {
    async fn get(&self) -> Result<Metadata> {
        Ok(Metadata::default())
    }

    async fn put(&self, _settings: &Metadata) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl TokenCounter for Room {
    /// Words.
    async fn count(&self, text: String) -> Result<u32> {
        Ok(u32::try_from(text.split_whitespace().count()).unwrap())
    }
}

impl CallObserver for Room {
    fn called(&self, _call: &GuestCall) {}
}

impl TenantLog for Room {
    fn write(&self, _level: LogLevel, _message: &str) {}
}
