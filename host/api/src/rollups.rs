//! `/operator/v1/rollups`: sums per day, account and price version. Not here: finer questions (`usage`).

use crate::{
    auth::Operator,
    error::{ApiResult, Failures},
    export::{self, Format},
    query::QueryParts,
    state::AppState,
    usage::query::scope,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use riad_api_types::rollups::{Rollup, RollupList, RollupParams};
use riad_core::Timestamp;

/// Sums per day, account and price version, which outlive the tenant: what invoices are made of
#[utoipa::path(get, path = "/operator/v1/rollups", tag = "operator", security(("operator_key" = [])),
    params(RollupParams), responses((status = 200, body = RollupList), Failures))]
pub(crate) async fn list_rollups(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<RollupParams>,
) -> ApiResult<Response> {
    let format = Format::read(params.format.as_deref(), &[Format::Json, Format::Csv])?;
    let scope = scope(params.tenant.as_deref())?;
    let end = params
        .end_time
        .unwrap_or_else(|| Timestamp::now().as_seconds().saturating_add(1));
    let rollups = state
        .services
        .usage()
        .rollups(&operator, scope, params.start_time, end)
        .await?;
    let currency = state.services.currency();
    let data: Vec<Rollup> = rollups
        .into_iter()
        .map(|rollup| Rollup::new(rollup, currency))
        .collect();
    match format {
        Format::Csv => export::csv("rollups", &data),
        Format::Json | Format::CloudEvents => Ok(Json(RollupList {
            object: "list".into(),
            data,
        })
        .into_response()),
    }
}
