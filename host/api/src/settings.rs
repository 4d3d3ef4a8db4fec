//! `/v1/settings`: a JSON object that the caller's plugins read.

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use serde_json::{Map, Value};

/// The settings
#[utoipa::path(get, path = "/v1/settings", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = Object), Failures))]
pub(crate) async fn get_settings(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
) -> ApiResult<Json<Map<String, Value>>> {
    Ok(Json(state.services.settings().get(&pass).await?))
}

/// Replace the settings as a whole
#[utoipa::path(put, path = "/v1/settings", tag = "room", security(("tenant_key" = [])),
    request_body = Object, responses((status = 200, body = Object), Failures))]
pub(crate) async fn put_settings(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(settings): JsonBody<Map<String, Value>>,
) -> ApiResult<Json<Map<String, Value>>> {
    state.services.settings().put(&pass, &settings).await?;
    Ok(Json(settings))
}
