//! `/v1/pipeline`: which plugin serves each stage of the caller's requests.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::pipeline::Pipeline;

/// Which plugin serves each stage
#[utoipa::path(get, path = "/v1/pipeline", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = Pipeline), Failures))]
pub(crate) async fn get_pipeline(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<Pipeline>> {
    Ok(Json(state.services.pipeline().get(&pass).await?.into()))
}

/// Choose the plugin of each stage, for requests that come after
///
/// The pipeline is a whole: read it, change it, and send it back with its `last_canary`. If the server has ended a canary since it was read,
/// nothing is changed and the answer is 409 `conflict`.
#[utoipa::path(put, path = "/v1/pipeline", tag = "room", security(("tenant_key" = [])),
    request_body = Pipeline, responses((status = 200, body = Pipeline), Failures))]
pub(crate) async fn put_pipeline(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<Pipeline>,
) -> ApiResult<Json<Pipeline>> {
    Ok(Json(state.services.pipeline().put(&pass, &body.into()).await?.into()))
}
