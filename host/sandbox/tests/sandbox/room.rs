//! What guests reach, in memory: documents, SQLite, settings, and counters of what was asked. It can be made slow.
//! Not here: the rules that the real ports keep (`riad-store`, `riad-services`).

use async_trait::async_trait;
use parking_lot::Mutex;
use riad_core::{
    DocumentId, Error, ErrorKind, Result, VectorStoreId,
    document::{Document, DocumentWithText, Metadata, Page, Passage, Position},
    ports::{
        CallObserver, Capabilities, DocumentReader, Generated, Generator, GuestCall, GuestPrompt, HttpClient,
        HttpFailure, HttpRequest, HttpResponse, KvStore, LogLevel, SettingsStore, SqlRows, SqlStore, SqlValue,
        TenantLog, TextEmbedder, TokenCounter,
    },
};
use rusqlite::{
    Connection, ErrorCode, params_from_iter,
    types::{Value, ValueRef},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Milliseconds of one SQL call.
pub const SQL_MS: u64 = 400;

pub struct Room {
    state: Arc<State>,
}

struct State {
    documents: Vec<DocumentWithText>,
    settings: Mutex<Metadata>,
    sql: Arc<Mutex<Connection>>,
    log: Mutex<Vec<(LogLevel, String)>>,
    guest_calls: Mutex<Vec<GuestCall>>,
    values: Mutex<BTreeMap<String, Vec<u8>>>,
    prompts: Mutex<Vec<GuestPrompt>>,
    requests: Mutex<Vec<HttpRequest>>,
    /// How long a search and a count of tokens take.
    search_time: Duration,
    count_time: Duration,
    searches: AtomicU32,
    counts: AtomicU32,
}

impl Room {
    pub fn empty() -> Self {
        Self::with(&[])
    }

    /// Documents of a title and a text. The metadata of each is `{"place": n}`, from 0.
    pub fn with(documents: &[(&str, &str)]) -> Self {
        Self::slow(documents, Duration::ZERO, Duration::ZERO)
    }

    pub fn slow(documents: &[(&str, &str)], search_time: Duration, count_time: Duration) -> Self {
        let documents = documents
            .iter()
            .enumerate()
            .map(|(place, (title, text))| DocumentWithText {
                document: Document {
                    id: format!("d{place}").parse().unwrap(),
                    title: (*title).into(),
                    metadata: metadata(json!({ "place": place })),
                    chunks: 1,
                    bytes: text.len() as u64,
                    created: 1,
                    media_type: None,
                    warnings: Vec::new(),
                    file: None,
                },
                text: (*text).into(),
            });
        Self {
            state: Arc::new(State {
                documents: documents.collect(),
                settings: Mutex::default(),
                sql: Arc::new(Mutex::new(Connection::open_in_memory().unwrap())),
                log: Mutex::default(),
                guest_calls: Mutex::default(),
                values: Mutex::default(),
                prompts: Mutex::default(),
                requests: Mutex::default(),
                search_time,
                count_time,
                searches: AtomicU32::new(0),
                counts: AtomicU32::new(0),
            }),
        }
    }

    pub fn capabilities(&self) -> Capabilities {
        let state = &self.state;
        Capabilities {
            documents: Arc::clone(state) as _,
            sql: Arc::clone(state) as _,
            kv: Arc::clone(state) as _,
            generation: Arc::clone(state) as _,
            http: Arc::clone(state) as _,
            embeddings: Arc::clone(state) as _,
            settings: Arc::clone(state) as _,
            tokens: Arc::clone(state) as _,
            log: Arc::clone(state) as _,
            calls: Arc::clone(state) as _,
        }
    }

    /// The calls of guests that have ended.
    pub fn guest_calls(&self) -> Vec<GuestCall> {
        self.state.guest_calls.lock().clone()
    }

    pub fn set(&self, settings: serde_json::Value) {
        *self.state.settings.lock() = metadata(settings);
    }

    pub fn log(&self) -> Vec<(LogLevel, String)> {
        self.state.log.lock().clone()
    }

    /// Searches that have begun.
    pub fn searches(&self) -> u32 {
        self.state.searches.load(Ordering::SeqCst)
    }

    /// Prompts of guests.
    pub fn prompts(&self) -> Vec<GuestPrompt> {
        self.state.prompts.lock().clone()
    }

    /// Requests of guests.
    pub fn requests(&self) -> Vec<HttpRequest> {
        self.state.requests.lock().clone()
    }

    /// Texts whose tokens were counted.
    pub fn counts(&self) -> u32 {
        self.state.counts.load(Ordering::SeqCst)
    }

    /// The first column of each row.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = self.state.query(sql, Vec::new()).await.unwrap();
        let text = |row: Vec<SqlValue>| {
            let Some(SqlValue::Text(text)) = row.into_iter().next() else {
                panic!("the first column is no text");
            };
            text
        };
        rows.rows.into_iter().map(text).collect()
    }
}

pub fn metadata(value: serde_json::Value) -> Metadata {
    let serde_json::Value::Object(metadata) = value else {
        panic!("{value} is no object");
    };
    metadata
}

fn words(text: &str) -> HashSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[async_trait]
impl DocumentReader for State {
    /// The documents that share most words with the query.
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>> {
        self.searches.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.search_time).await;
        if limit == 0 {
            return Err(Error::invalid("`limit` must be at least 1"));
        }
        let query = words(query);
        let mut found: Vec<Passage> = self
            .documents
            .iter()
            .filter(|found| {
                filter
                    .iter()
                    .all(|(key, value)| found.document.metadata.get(key) == Some(value))
            })
            .map(|found| Passage {
                document: found.document.id.clone(),
                chunk: 0,
                title: found.document.title.clone(),
                text: found.text.clone(),
                score: words(&found.text).intersection(&query).count() as f64,
                metadata: found.document.metadata.clone(),
                position: Position::default(),
                file: None,
                hit: None,
            })
            .filter(|passage| passage.score > 0.0)
            .collect();
        found.sort_by(|one, other| other.score.total_cmp(&one.score));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn search_stores(
        &self,
        _stores: Vec<VectorStoreId>,
        _query: &str,
        _limit: u32,
        _filter: Metadata,
    ) -> Result<Vec<Passage>> {
        Err(Error::not_found("there is no such vector store"))
    }

    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText> {
        self.documents
            .iter()
            .find(|found| found.document.id == *id)
            .cloned()
            .ok_or_else(|| Error::not_found("there is no such document"))
    }

    async fn list(&self, page: &Page) -> Result<Vec<Document>> {
        let documents = self.documents.iter().map(|found| found.document.clone());
        let after = documents.filter(|found| page.after.as_ref().is_none_or(|after| found.id > *after));
        Ok(after.take(page.limit as usize).collect())
    }
}

/// Without times and bounds.
#[async_trait]
impl KvStore for State {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.values.lock().get(key).cloned())
    }

    async fn set(&self, key: &str, value: Vec<u8>, seconds: u32) -> Result<()> {
        if seconds == 0 {
            return Err(Error::invalid("a value lives for 1 second at least"));
        }
        self.values.lock().insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        Ok(self.values.lock().remove(key).is_some())
    }

    async fn increment(&self, key: &str, by: i64, _: u32) -> Result<i64> {
        let mut values = self.values.lock();
        let value = values.entry(key.to_owned()).or_insert_with(|| vec![0; 8]);
        let sum = i64::from_le_bytes(value.as_slice().try_into().unwrap()) + by;
        *value = sum.to_le_bytes().to_vec();
        Ok(sum)
    }
}

/// Answers the prompt in capitals, after the time that a search takes.
#[async_trait]
impl Generator for State {
    async fn generate(&self, prompt: GuestPrompt) -> Result<Generated> {
        tokio::time::sleep(self.search_time).await;
        let text = prompt.messages[0].content.to_uppercase();
        self.prompts.lock().push(prompt);
        Ok(Generated {
            prompt_tokens: 3,
            completion_tokens: 2,
            is_cut: false,
            text,
        })
    }
}

/// Answers for one host only, after the time that a search takes.
#[async_trait]
impl HttpClient for State {
    async fn send(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpFailure> {
        tokio::time::sleep(self.search_time).await;
        if !request.url.starts_with("https://api.acme.example/") {
            return Err(HttpFailure::NotGranted(format!("{} is not granted", request.url)));
        }
        self.requests.lock().push(request);
        Ok(HttpResponse {
            status: 418,
            headers: vec![("x-pot".into(), "tea".into())],
            body: "short".into(),
        })
    }
}

#[async_trait]
impl SqlStore for State {
    async fn query(&self, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
        self.statement(sql, move |statement| {
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut found = statement.query(params_from_iter(params.into_iter().map(bound)))?;
            let mut rows = Vec::new();
            while let Some(row) = found.next()? {
                let values = (0..columns.len()).map(|index| row.get_ref(index).map(taken));
                rows.push(values.collect::<Result<_, rusqlite::Error>>()?);
            }
            Ok(SqlRows { columns, rows })
        })
        .await
    }

    async fn execute(&self, sql: &str, params: Vec<SqlValue>) -> Result<u64> {
        self.statement(sql, move |statement| {
            Ok(statement.execute(params_from_iter(params.into_iter().map(bound)))? as u64)
        })
        .await
    }
}

impl State {
    /// Off the async threads and under a deadline, as the real port does it.
    async fn statement<T: Send + 'static>(
        &self,
        sql: &str,
        run: impl FnOnce(&mut rusqlite::Statement<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T> {
        let (connection, sql) = (Arc::clone(&self.sql), sql.to_owned());
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock();
            let deadline = Instant::now() + Duration::from_millis(SQL_MS);
            connection
                .progress_handler(1000, Some(move || Instant::now() > deadline))
                .unwrap();
            let mut statement = connection.prepare(&sql)?;
            run(&mut statement)
        });
        task.await.unwrap().map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Error::new(
                ErrorKind::PluginLimit,
                format!("the statement took more than {SQL_MS} ms"),
            ),
            _ => Error::invalid(error.to_string()),
        })
    }
}

fn bound(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(integer) => Value::Integer(integer),
        SqlValue::Real(real) => Value::Real(real),
        SqlValue::Text(text) => Value::Text(text),
        SqlValue::Blob(blob) => Value::Blob(blob),
    }
}

fn taken(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(integer) => SqlValue::Integer(integer),
        ValueRef::Real(real) => SqlValue::Real(real),
        ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => SqlValue::Blob(blob.to_vec()),
    }
}

#[async_trait]
impl TextEmbedder for State {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
    }
}

#[async_trait]
impl SettingsStore for State {
    async fn get(&self) -> Result<Metadata> {
        Ok(self.settings.lock().clone())
    }

    async fn put(&self, settings: &Metadata) -> Result<()> {
        *self.settings.lock() = settings.clone();
        Ok(())
    }
}

#[async_trait]
impl TokenCounter for State {
    /// Words.
    async fn count(&self, text: String) -> Result<u32> {
        self.counts.fetch_add(1, Ordering::SeqCst);
        if !self.count_time.is_zero() {
            tokio::time::sleep(self.count_time).await;
        }
        Ok(u32::try_from(text.split_whitespace().count()).unwrap())
    }
}

impl CallObserver for State {
    fn called(&self, call: &GuestCall) {
        self.guest_calls.lock().push(*call);
    }
}

impl TenantLog for State {
    fn write(&self, level: LogLevel, message: &str) {
        self.log.lock().push((level, message.to_owned()));
    }
}
