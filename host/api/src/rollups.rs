//! `/operator/v1/rollups`: sums per day, account and price version. Not here: finer questions (`usage`).

use crate::{
    auth::Operator,
    body::QueryParts,
    error::{ApiResult, Failures},
    export::{self, Format},
    state::AppState,
    usage::question::{now, scope},
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use riad_core::usage::Rollup;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollupParams {
    /// Seconds since 1970-01-01 UTC.
    start_time: u64,
    /// Exclusive; now if it is not given.
    end_time: Option<u64>,
    /// Only this tenant, and former ones with the same id.
    tenant: Option<String>,
    /// `json` or `csv`.
    format: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RollupList {
    #[schema(example = "list")]
    object: &'static str,
    /// By day, then by account.
    data: Vec<RollupBody>,
}

/// A day of an account at one version of its prices: a line of an invoice.
#[derive(Serialize, ToSchema)]
#[schema(as = Rollup)]
pub(crate) struct RollupBody {
    /// Midnight, seconds since 1970-01-01 UTC.
    day: u64,
    tenant: String,
    account: u64,
    plan: String,
    plan_version: u32,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    embedded_tokens: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
    cost_nanos: u64,
    currency: String,
}

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
    let end = params.end_time.unwrap_or_else(now);
    let rollups = state
        .services
        .usage()
        .rollups(&operator, scope, params.start_time, end)
        .await?;
    let currency = state.services.currency();
    let data: Vec<RollupBody> = rollups
        .into_iter()
        .map(|rollup| RollupBody::new(rollup, currency))
        .collect();
    match format {
        Format::Csv => export::csv("rollups", &data),
        Format::Json | Format::CloudEvents => Ok(Json(RollupList { object: "list", data }).into_response()),
    }
}

impl RollupBody {
    fn new(rollup: Rollup, currency: &str) -> Self {
        let used = rollup.used;
        Self {
            day: rollup.day,
            tenant: rollup.tenant.into(),
            account: rollup.account.number(),
            plan: rollup.plan.into(),
            plan_version: rollup.plan_version,
            requests: used.requests,
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            cost_nanos: rollup.cost_nanos,
            currency: currency.to_owned(),
        }
    }
}
