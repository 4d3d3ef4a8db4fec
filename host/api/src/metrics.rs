//! `/metrics`, for Prometheus. Not here: what is measured (`riad-telemetry`).

use crate::{
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{extract::State, http::header, response::IntoResponse};
use riad_core::ports::OPENMETRICS_CONTENT_TYPE;

/// All metrics, in OpenMetrics' text format
#[utoipa::path(get, path = "/metrics", tag = "operator", security(("operator_key" = []), ("metrics_key" = [])),
    responses((status = 200, description = "Names and units of OpenTelemetry's GenAI conventions, and `riad_*`",
        content_type = "application/openmetrics-text", body = String), Failures))]
pub(crate) async fn metrics(State(state): State<AppState>) -> ApiResult<impl IntoResponse> {
    let content_type = [(header::CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE)];
    Ok((content_type, state.services.scale().metrics()))
}
