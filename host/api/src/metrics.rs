//! `/metrics`, for Prometheus. Not here: what is measured (`riad-telemetry`).

use crate::{
    auth,
    error::{ApiResult, Failures},
    state::{AppState, MetricsAccess},
};
use axum::{
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::IntoResponse,
};
use riad_core::pass::hash_key;
use subtle::ConstantTimeEq;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Proof that the request may read the metrics.
pub(crate) struct Reader;

impl FromRequestParts<AppState> for Reader {
    type Rejection = crate::error::ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        match &state.metrics {
            MetricsAccess::Open => return Ok(Self),
            MetricsAccess::Key(hash) if bool::from(hash.ct_eq(&hash_key(&auth::bearer(parts)?))) => return Ok(Self),
            MetricsAccess::Key(_) | MetricsAccess::Operator => {}
        }
        auth::Operator::from_request_parts(parts, state).await?;
        Ok(Self)
    }
}

/// All metrics, in OpenMetrics' text format
#[utoipa::path(get, path = "/metrics", tag = "operator", security(("operator_key" = []), ("metrics_key" = [])),
    responses((status = 200, description = "Names and units of OpenTelemetry's GenAI conventions, and `riad_*`",
        content_type = "application/openmetrics-text", body = String), Failures))]
pub(crate) async fn metrics(State(state): State<AppState>, _: Reader) -> ApiResult<impl IntoResponse> {
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], state.services.scale().metrics()))
}
