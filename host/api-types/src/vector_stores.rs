//! `/v1/vector_stores`, in OpenAI's shapes. Not here: the filters of a search (`filters`), the files themselves (`files`).

mod filters;

pub use filters::Filter;

use crate::{nulls, ranking::RankingOptions, strings};
use riad_core::{Error, Result, vector_store};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVectorStore {
    /// Empty if it is not given.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<String>)]
    pub name: String,
    /// A text of up to 512 characters, which answers have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Files of the caller's, which are indexed then.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Vec<String>>)]
    pub file_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<ExpiresAfter>,
    /// Of the files above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunking_strategy: Option<ChunkingStrategy>,
    /// Texts by name.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Map<String, Value>,
}

/// Members that are not given stay as they are.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorStoreChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Null for one that does not expire.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nulls::some_or_null"
    )]
    #[schema(value_type = Option<ExpiresAfter>)]
    pub expires_after: Option<Option<ExpiresAfter>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpiresAfter {
    #[schema(example = "last_active_at")]
    pub anchor: String,
    /// 1 to 365.
    pub days: u32,
}

/// How large chunks are.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum ChunkingStrategy {
    /// As the server has it.
    Auto {},
    Static {
        r#static: StaticChunking,
    },
    /// In answers only: as the server has it.
    Other {},
}

/// A token counts as four characters.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticChunking {
    /// 100 to 4096.
    pub max_chunk_size_tokens: u32,
    /// Half of it at most.
    pub chunk_overlap_tokens: u32,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct VectorStore {
    pub id: String,
    #[schema(example = "vector_store")]
    pub object: Cow<'static, str>,
    /// Seconds since 1970-01-01 UTC, as all times here.
    pub created_at: u64,
    pub name: String,
    pub description: Option<String>,
    /// Bytes of the texts that are searched.
    pub usage_bytes: u64,
    pub file_counts: FileCounts,
    /// `in_progress`, `completed` or `expired`.
    pub status: Cow<'static, str>,
    pub expires_after: Option<ExpiresAfter>,
    pub expires_at: Option<u64>,
    pub last_active_at: u64,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct FileCounts {
    pub in_progress: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub total: u64,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VectorStoreParams {
    /// 1 to 100, 20 if it is not given.
    pub limit: Option<u32>,
    /// `desc`, the latest first, if it is not given, or `asc`.
    pub order: Option<String>,
    /// The last id of the page before, also if it was deleted since.
    pub after: Option<String>,
    /// The first id of the page after, also if it was deleted since.
    pub before: Option<String>,
}

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VectorStoreFileParams {
    /// 1 to 100, 20 if it is not given.
    pub limit: Option<u32>,
    /// `desc`, the latest first, if it is not given, or `asc`.
    pub order: Option<String>,
    /// The last id of the page before, also if it was deleted since.
    pub after: Option<String>,
    /// The first id of the page after, also if it was deleted since.
    pub before: Option<String>,
    /// `in_progress`, `completed`, `failed` or `cancelled`.
    pub filter: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct VectorStoreList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    pub data: Vec<VectorStore>,
    pub first_id: Option<String>,
    pub last_id: Option<String>,
    pub has_more: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct VectorStoreFileList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    pub data: Vec<VectorStoreFile>,
    pub first_id: Option<String>,
    pub last_id: Option<String>,
    pub has_more: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedVectorStore {
    pub id: String,
    #[schema(example = "vector_store.deleted")]
    pub object: Cow<'static, str>,
    pub deleted: bool,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVectorStoreFile {
    pub file_id: String,
    /// Texts, numbers and booleans by name.
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>)]
    pub attributes: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunking_strategy: Option<ChunkingStrategy>,
}

/// Either `file_ids`, with attributes and a strategy that all of them have, or `files`.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFileBatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<NewVectorStoreFile>>,
    #[serde(default, deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>)]
    pub attributes: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunking_strategy: Option<ChunkingStrategy>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributesChange {
    /// Texts, numbers and booleans by name, in place of those that were there; `null` for none.
    #[serde(deserialize_with = "nulls::or_default")]
    #[schema(value_type = Option<Object>, required = true)]
    pub attributes: Map<String, Value>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct VectorStoreFile {
    pub id: String,
    #[schema(example = "vector_store.file")]
    pub object: Cow<'static, str>,
    pub created_at: u64,
    pub vector_store_id: String,
    /// `in_progress`, `completed`, `failed` or `cancelled`.
    pub status: Cow<'static, str>,
    pub last_error: Option<LastError>,
    /// Bytes of its text.
    pub usage_bytes: u64,
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    pub chunking_strategy: ChunkingStrategy,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    /// `server_error`, `unsupported_file` or `invalid_file`.
    pub code: Cow<'static, str>,
    pub message: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct FileBatch {
    pub id: String,
    #[schema(example = "vector_store.files_batch")]
    pub object: Cow<'static, str>,
    pub created_at: u64,
    pub vector_store_id: String,
    /// `in_progress`, `completed` or `cancelled`.
    pub status: Cow<'static, str>,
    pub file_counts: FileCounts,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct DeletedVectorStoreFile {
    pub id: String,
    #[schema(example = "vector_store.file.deleted")]
    pub object: Cow<'static, str>,
    pub deleted: bool,
}

/// The text of a file as it is searched.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct FileText {
    #[schema(example = "vector_store.file_content.page")]
    pub object: Cow<'static, str>,
    pub data: Vec<TextPart>,
    pub has_more: bool,
    pub next_page: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TextPart {
    #[schema(example = "text")]
    pub r#type: Cow<'static, str>,
    pub text: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorStoreSearch {
    /// A text, or a list of texts that are searched as one.
    #[schema(schema_with = strings::schema)]
    pub query: Value,
    pub filters: Option<Filter>,
    /// 1 to 50, 10 if it is not given.
    pub max_num_results: Option<u32>,
    pub ranking_options: Option<RankingOptions>,
    /// Whether the model is to word the query for a search first, which is billed as a completion.
    pub rewrite_query: Option<bool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct VectorStoreSearchResults {
    #[schema(example = "vector_store.search_results.page")]
    pub object: Cow<'static, str>,
    /// What was searched for.
    pub search_query: Vec<String>,
    /// Best first.
    pub data: Vec<VectorStoreSearchResult>,
    pub has_more: bool,
    pub next_page: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct VectorStoreSearchResult {
    pub file_id: String,
    pub filename: String,
    /// 0 to 1, by the ranks in two lists: what is the first by words and by meaning has 1. No similarity.
    pub score: f64,
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    pub content: Vec<TextPart>,
}

impl VectorStoreSearch {
    /// The texts of the query.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no text.
    pub fn queries(&mut self) -> Result<Vec<String>> {
        strings::read(self.query.take()).map_err(|text| Error::invalid(format!("query {text}")).with_param("query"))
    }
}

impl TextPart {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self {
            r#type: "text".into(),
            text,
        }
    }
}

impl From<vector_store::FileCounts> for FileCounts {
    fn from(counts: vector_store::FileCounts) -> Self {
        Self {
            in_progress: counts.in_progress,
            completed: counts.completed,
            failed: counts.failed,
            cancelled: counts.cancelled,
            total: counts.total(),
        }
    }
}

impl VectorStore {
    /// As it is at this time, in seconds.
    #[must_use]
    pub fn at(now: u64, store: vector_store::VectorStore) -> Self {
        let expires = store.expires();
        let status = match expires {
            Some(expires) if expires <= now => "expired",
            Some(_) | None if store.files.in_progress > 0 => "in_progress",
            Some(_) | None => "completed",
        };
        Self {
            id: store.id.into(),
            object: "vector_store".into(),
            created_at: store.created,
            name: store.name,
            description: store.description,
            usage_bytes: store.bytes,
            file_counts: store.files.into(),
            status: status.into(),
            expires_after: store.expires_after_days.map(|days| ExpiresAfter {
                anchor: "last_active_at".into(),
                days,
            }),
            expires_at: expires,
            last_active_at: store.last_active,
            metadata: store.metadata,
        }
    }
}

impl From<vector_store::VectorStoreFile> for VectorStoreFile {
    fn from(file: vector_store::VectorStoreFile) -> Self {
        Self {
            id: file.file.into(),
            object: "vector_store.file".into(),
            created_at: file.created,
            vector_store_id: file.store.into(),
            status: file.status.as_str().into(),
            last_error: file.error.map(|error| LastError {
                code: error.code.as_str().into(),
                message: error.message,
            }),
            usage_bytes: file.bytes,
            attributes: file.attributes,
            chunking_strategy: match file.chunk_size {
                None => ChunkingStrategy::Other {},
                Some(size) => ChunkingStrategy::Static {
                    r#static: StaticChunking {
                        max_chunk_size_tokens: size.max_tokens,
                        chunk_overlap_tokens: size.overlap_tokens,
                    },
                },
            },
        }
    }
}

impl From<vector_store::FileBatch> for FileBatch {
    fn from(batch: vector_store::FileBatch) -> Self {
        let status = match (batch.is_cancelled, batch.files.in_progress) {
            (true, _) => "cancelled",
            (false, 0) => "completed",
            (false, _) => "in_progress",
        };
        Self {
            id: batch.id.into(),
            object: "vector_store.files_batch".into(),
            created_at: batch.created,
            vector_store_id: batch.store.into(),
            status: status.into(),
            file_counts: batch.files.into(),
        }
    }
}
