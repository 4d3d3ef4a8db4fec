//! `/v1/search`: hybrid search in the caller's documents.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    ranking,
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
    let ranking = body.ranking_options.as_ref().map(ranking::read).transpose()?;
    let ranking = ranking.unwrap_or_default();
    let request = search::SearchRequest {
        filter: body.filter,
        ranking: ranking.options,
        least_score: ranking.least_score,
        neighbors: body.neighbors.unwrap_or(0),
        highlights: body.highlights,
        ..search::SearchRequest::new(body.query, body.limit.unwrap_or(DEFAULT_LIMIT), SearchScope::Documents)
    };
    let results = state.services.search().search(&pass, request).await?;
    let answer = |passage| Passage::new(passage, body.highlights, body.explain);
    Ok(Json(SearchResults {
        object: "list".into(),
        data: results.passages.into_iter().map(answer).collect(),
        index_watermark: results.index_watermark,
        unembedded_chunks: Some(results.unembedded_chunks).filter(|chunks| *chunks > 0),
    }))
}
