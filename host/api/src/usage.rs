//! `/v1/usage`, `/v1/costs` and the operator's, in the shape of OpenAI's usage API. Not here: what may be asked (`question`), the
//! shapes of the answers (`wire`), sums for invoices (`rollups`), entries (`ledger`).

pub(crate) mod question;
pub(crate) mod wire;

use crate::{
    auth::{Operator, Tenant},
    body::QueryParts,
    error::{ApiResult, Failures},
    export::{self, Format},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use question::{AllUsageParams, Asked, UsageParams};
use riad_core::usage::UsageBucket;
use wire::{Bucket, Cost, CostBucket, CostPage, UsagePage, rows};

/// What the caller's tenant used
#[utoipa::path(get, path = "/v1/usage", tag = "usage", security(("tenant_key" = [])), params(UsageParams),
    responses((status = 200, body = UsagePage), Failures))]
pub(crate) async fn get_usage(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<UsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage(&pass, asked.query.clone()).await?;
    asked.usage(buckets)
}

/// What the caller's tenant paid
#[utoipa::path(get, path = "/v1/costs", tag = "usage", security(("tenant_key" = [])), params(UsageParams),
    responses((status = 200, body = CostPage), Failures))]
pub(crate) async fn get_costs(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<UsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage(&pass, asked.query.clone()).await?;
    asked.costs(buckets, state.services.currency())
}

/// What everybody used
#[utoipa::path(get, path = "/operator/v1/usage", tag = "operator", security(("operator_key" = [])),
    params(AllUsageParams), responses((status = 200, body = UsagePage), Failures))]
pub(crate) async fn get_all_usage(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<AllUsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage_all(&operator, asked.query.clone()).await?;
    asked.usage(buckets)
}

/// What everybody paid
#[utoipa::path(get, path = "/operator/v1/costs", tag = "operator", security(("operator_key" = [])),
    params(AllUsageParams), responses((status = 200, body = CostPage), Failures))]
pub(crate) async fn get_all_costs(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<AllUsageParams>,
) -> ApiResult<Response> {
    let asked = params.read()?;
    let buckets = state.services.usage().usage_all(&operator, asked.query.clone()).await?;
    asked.costs(buckets, state.services.currency())
}

impl Asked {
    fn usage(&self, buckets: Vec<UsageBucket>) -> ApiResult<Response> {
        match self.format {
            Format::Csv => export::csv("usage", &rows(&buckets)),
            Format::Json | Format::CloudEvents => Ok(Json(UsagePage {
                object: "page",
                data: buckets.into_iter().map(Bucket::from).collect(),
                has_more: self.next.is_some(),
                next_page: self.next.map(|next| next.to_string()),
            })
            .into_response()),
        }
    }

    fn costs(&self, buckets: Vec<UsageBucket>, currency: &str) -> ApiResult<Response> {
        match self.format {
            Format::Csv => export::csv("costs", &rows(&buckets)),
            Format::Json | Format::CloudEvents => Ok(Json(CostPage {
                object: "page",
                data: buckets
                    .into_iter()
                    .map(|bucket| CostBucket {
                        object: "bucket",
                        start_time: bucket.start,
                        end_time: bucket.end,
                        results: bucket
                            .results
                            .into_iter()
                            .map(|result| Cost::new(result, currency))
                            .collect(),
                    })
                    .collect(),
                has_more: self.next.is_some(),
                next_page: self.next.map(|next| next.to_string()),
            })
            .into_response()),
        }
    }
}
