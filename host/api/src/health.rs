//! For load balancers: whether the process runs, and whether it accepts requests.

use crate::error::Failures;
use axum::Json;
use riad_api_types::health::Health;

/// Whether the process runs
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok".into() })
}

/// Whether requests should be sent here
///
/// 503 while the models load and while the server drains: the server answers so before it routes a request.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Health), Failures))]
pub(crate) async fn readyz() -> Json<Health> {
    Json(Health { status: "ok".into() })
}
