//! The room of a case, in memory, but for the SQL store, which is the server's own in a temporary folder. What a guest asks is
//! counted. Results are the same on every machine.

use super::{
    case::{Case, Document, HttpAnswer, Json},
    embedder::{embed, words},
};
use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    DocumentId, Error, ErrorKind, Limits, Result, VectorStoreId,
    document::{self, DocumentWithText, Metadata, Page, Passage, Position},
    ports::{
        CallObserver, Capabilities, DOCUMENTS_LISTED, DocumentReader, GuestCall, LogLevel, SettingsStore, SqlRows,
        SqlStore, SqlValue, TenantLog, TextEmbedder, TokenCounter,
    },
    search_scope,
};
use riad_store::ScratchSql;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};
use tempfile::TempDir;

pub struct Room {
    documents: Vec<Document>,
    settings: Map<String, Value>,
    sql: ScratchSql,
    pub(super) values: Values,
    /// The model's answers, in the order in which they are given.
    pub(super) answers: Mutex<VecDeque<String>>,
    pub(super) hosts: Vec<HttpAnswer>,
    log: Mutex<Vec<String>>,
    calls: AtomicU32,
    memory: AtomicU64,
    limits: Limits,
    /// With the SQL store.
    _folder: TempDir,
}

impl Room {
    /// # Errors
    /// A statement of the case that SQLite or the guard refuses.
    pub async fn of(case: &Case, limits: &Limits) -> Result<Arc<Self>> {
        let folder = tempfile::tempdir().map_err(Error::internal)?;
        let sql = ScratchSql::new(folder.path(), limits);
        for statement in &case.sql {
            sql.execute(statement, Vec::new()).await.map_err(|error| {
                Error::invalid(format!("the case \"{}\": {statement}: {}", case.name, error.message()))
            })?;
        }
        let mut documents = case.documents.clone();
        documents.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Arc::new(Self {
            documents,
            settings: case.settings.clone(),
            sql,
            values: Values::of(&case.kv),
            answers: Mutex::new(case.generation.clone().into()),
            hosts: case.http.clone(),
            log: Mutex::default(),
            calls: AtomicU32::new(0),
            memory: AtomicU64::new(0),
            limits: limits.clone(),
            _folder: folder,
        }))
    }

    pub fn capabilities(self: &Arc<Self>) -> Capabilities {
        Capabilities {
            documents: Arc::clone(self) as _,
            sql: Arc::clone(self) as _,
            kv: Arc::clone(self) as _,
            embeddings: Arc::clone(self) as _,
            generation: Arc::clone(self) as _,
            http: Arc::clone(self) as _,
            settings: Arc::clone(self) as _,
            tokens: Arc::clone(self) as _,
            log: Arc::clone(self) as _,
            calls: Arc::clone(self) as _,
        }
    }

    /// Calls of host functions so far.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The most bytes of linear memory that the guest had.
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// What was logged, each line behind its level.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().clone()
    }

    pub(super) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Within one case no time passes.
#[derive(Default)]
pub struct Values(pub(super) Mutex<BTreeMap<String, Vec<u8>>>);

impl Values {
    /// A text is kept as it is, any other value as its JSON.
    pub fn of(values: &Json) -> Self {
        let bytes = values.iter().map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key.clone(), text.into_bytes())
        });
        Self(Mutex::new(bytes.collect()))
    }
}

fn stored(found: &Document) -> document::Document {
    document::Document {
        id: found.id.clone(),
        title: found.title.clone(),
        metadata: found.metadata.clone(),
        chunks: 1,
        bytes: found.text.len() as u64,
        created: 0,
        media_type: None,
        warnings: Vec::new(),
        file: None,
    }
}

impl Room {
    /// Those that are in no vector store.
    fn own(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(|found| found.vector_store.is_none())
    }

    /// Whole documents, by how many words of the query are in them.
    fn search_where(
        &self,
        query: &str,
        limit: u32,
        filter: &Metadata,
        is_searched: impl Fn(&Document) -> bool,
    ) -> Result<Vec<Passage>> {
        self.count();
        if limit == 0 {
            return Err(Error::invalid("`limit` must be at least 1"));
        }
        let query: HashSet<String> = words(query).collect();
        let matches = |found: &&Document| {
            is_searched(found) && filter.iter().all(|(key, value)| found.metadata.get(key) == Some(value))
        };
        let mut passages: Vec<Passage> = self
            .documents
            .iter()
            .filter(matches)
            .map(|found| {
                let own: HashSet<String> = words(&found.title).chain(words(&found.text)).collect();
                let shared = u32::try_from(own.intersection(&query).count()).unwrap_or(u32::MAX);
                Passage {
                    document: found.id.clone(),
                    chunk: 0,
                    title: found.title.clone(),
                    text: found.text.clone(),
                    score: f64::from(shared),
                    metadata: found.metadata.clone(),
                    position: Position::default(),
                    file: None,
                    hit: None,
                }
            })
            .filter(|passage| passage.score > 0.0)
            .collect();
        passages.sort_by(|one, other| other.score.total_cmp(&one.score));
        passages.truncate(limit.min(self.limits.search_results) as usize);
        Ok(passages)
    }
}

#[async_trait]
impl DocumentReader for Room {
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>> {
        self.search_where(query, limit, &filter, |found| found.vector_store.is_none())
    }

    async fn search_stores(
        &self,
        stores: Vec<VectorStoreId>,
        query: &str,
        limit: u32,
        filter: Metadata,
    ) -> Result<Vec<Passage>> {
        search_scope::check_stores(&stores)?;
        let is_there = |store| {
            self.documents
                .iter()
                .any(|found| found.vector_store.as_ref() == Some(store))
        };
        if let Some(missing) = stores.iter().find(|store| !is_there(store)) {
            return Err(Error::not_found(format!("this room has no vector store {missing}")));
        }
        self.search_where(query, limit, &filter, |found| {
            found.vector_store.as_ref().is_some_and(|store| stores.contains(store))
        })
    }

    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText> {
        self.count();
        let found = self.own().find(|found| found.id == *id);
        let found = found.ok_or_else(|| Error::not_found(format!("this room has no document {id}")))?;
        Ok(DocumentWithText {
            document: stored(found),
            text: found.text.clone(),
        })
    }

    async fn list(&self, page: &Page) -> Result<Vec<document::Document>> {
        self.count();
        if page.limit == 0 || page.limit > DOCUMENTS_LISTED {
            return Err(Error::invalid(format!("`limit` must be 1 to {DOCUMENTS_LISTED}")));
        }
        let follows = |found: &&Document| page.after.as_ref().is_none_or(|after| found.id > *after);
        Ok(self
            .own()
            .filter(follows)
            .take(page.limit as usize)
            .map(stored)
            .collect())
    }
}

#[async_trait]
impl SqlStore for Room {
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
        self.count();
        self.sql.query(sql, params).await
    }

    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64> {
        self.count();
        self.sql.execute(sql, params).await
    }
}

#[async_trait]
impl TextEmbedder for Room {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        self.count();
        let most = self.limits.embedding_inputs;
        if texts.len() > most as usize {
            return Err(Error::invalid(format!("at most {most} texts can be embedded at once")));
        }
        Ok(texts.iter().map(|text| embed(text)).collect())
    }
}

#[async_trait]
impl SettingsStore for Room {
    async fn get(&self) -> Result<Map<String, Value>> {
        self.count();
        Ok(self.settings.clone())
    }

    async fn put(&self, _settings: &Map<String, Value>) -> Result<()> {
        Err(Error::new(ErrorKind::Forbidden, "a plugin only reads settings"))
    }
}

#[async_trait]
impl TokenCounter for Room {
    /// Four bytes each, which is about what models need for English.
    async fn count(&self, text: String) -> Result<u32> {
        Room::count(self);
        u32::try_from(text.len().div_ceil(4)).map_err(Error::internal)
    }
}

impl CallObserver for Room {
    fn called(&self, call: &GuestCall) {
        self.memory.fetch_max(call.memory, Ordering::Relaxed);
    }
}

impl TenantLog for Room {
    fn write(&self, level: LogLevel, message: &str) {
        self.count();
        let level = match level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        self.log.lock().push(format!("{level}: {message}"));
    }
}
