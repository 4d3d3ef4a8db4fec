//! `/v1/search`: hybrid search in the caller's documents.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::search::{Passage, SearchRequest, SearchResults};
use riad_core::search_scope::SearchScope;
use riad_services::search;

const DEFAULT_LIMIT: u32 = 10;

/// Search the caller's documents by words and by meaning
#[utoipa::path(post, path = "/v1/search", tag = "room", security(("tenant_key" = [])),
    request_body = SearchRequest, responses((status = 200, body = SearchResults), Failures))]
pub(crate) async fn search(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<SearchRequest>,
) -> ApiResult<Json<SearchResults>> {
    let request = search::SearchRequest {
        query: body.query,
        limit: body.limit.unwrap_or(DEFAULT_LIMIT),
        filter: body.filter,
        scope: SearchScope::Documents,
        attributes: None,
    };
    let results = state.services.search().search(&pass, request).await?;
    Ok(Json(SearchResults {
        object: "list".into(),
        data: results.passages.into_iter().map(Passage::from).collect(),
        index_watermark: results.index_watermark,
    }))
}
