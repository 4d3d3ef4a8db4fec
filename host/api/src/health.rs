//! For load balancers: whether the process lives, and whether it wants requests. Not here: metrics.

use crate::{
    error::{ApiError, ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether requests should be sent here
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Health), Failures))]
pub(crate) async fn readyz(State(state): State<AppState>) -> ApiResult<Json<Health>> {
    if state.readiness.is_ready() {
        return Ok(Json(Health { status: "ok" }));
    }
    Err(ApiError::from(Error::new(
        ErrorKind::Unavailable,
        "the server is shutting down",
    )))
}
