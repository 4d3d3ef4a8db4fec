//! `/v1/search`: hybrid search in the caller's documents. Not here: ranking.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::document::Passage;
use riad_services::search::SearchRequest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

const DEFAULT_LIMIT: u32 = 10;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SearchRequest)]
pub(crate) struct SearchIn {
    query: String,
    /// 10 if it is not given.
    limit: Option<u32>,
    /// Only documents whose metadata has each of these members with an equal value.
    #[serde(default)]
    #[schema(value_type = Object)]
    filter: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SearchResults {
    #[schema(example = "list")]
    object: &'static str,
    /// Best first.
    data: Vec<PassageBody>,
    /// Number of the last change that was searched.
    index_watermark: u64,
}

/// A chunk of a document, or a part of one.
#[derive(Serialize, ToSchema)]
#[schema(as = Passage)]
pub(crate) struct PassageBody {
    document: String,
    /// Position of the chunk in its document, from 0.
    chunk: u32,
    title: String,
    text: String,
    /// Only the order of scores means something.
    score: f64,
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

impl From<Passage> for PassageBody {
    fn from(passage: Passage) -> Self {
        Self {
            document: passage.document.into(),
            chunk: passage.chunk,
            title: passage.title,
            text: passage.text,
            score: passage.score,
            metadata: passage.metadata,
        }
    }
}

/// Search the caller's documents by words and by meaning
#[utoipa::path(post, path = "/v1/search", tag = "room", security(("tenant_key" = [])),
    request_body = SearchIn, responses((status = 200, body = SearchResults), Failures))]
pub(crate) async fn search(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<SearchIn>,
) -> ApiResult<Json<SearchResults>> {
    let request = SearchRequest {
        query: body.query,
        limit: body.limit.unwrap_or(DEFAULT_LIMIT),
        filter: body.filter,
    };
    let results = state.services.search().search(&pass, request).await?;
    Ok(Json(SearchResults {
        object: "list",
        data: results.passages.into_iter().map(PassageBody::from).collect(),
        index_watermark: results.index_watermark,
    }))
}
