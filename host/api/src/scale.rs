//! `GET /operator/v1/scale`: one small JSON that an autoscaler reads. Not here: metrics (`metrics`).

use crate::{
    auth::Operator,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::scale::Scale;

/// Signals for an autoscaler
#[utoipa::path(get, path = "/operator/v1/scale", tag = "operator", security(("operator_key" = [])),
    responses((status = 200, body = Scale), Failures))]
pub(crate) async fn get_scale(State(state): State<AppState>, Operator(operator): Operator) -> ApiResult<Json<Scale>> {
    Ok(Json(state.services.scale().gauges(&operator).into()))
}
