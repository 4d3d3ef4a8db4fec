//! `/v1/usage`, `/v1/costs` and the operator's, in the shape of OpenAI's usage API. Not here: sums for invoices (`rollups`),
//! entries (`ledger`).

mod csv;
pub(crate) mod query;

use crate::{
    auth::{Operator, Tenant},
    error::{ApiResult, Failures},
    export::{self, Format},
    query::QueryParts,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use csv::rows;
use query::PagedUsageQuery;
use riad_api_types::usage::{CostBucket, CostPage, OperatorUsageParams, UsageBucket, UsagePage, UsageParams};
use riad_core::{Timestamp, usage};

/// What the caller's tenant used
#[utoipa::path(get, path = "/v1/usage", tag = "usage", security(("tenant_key" = [])), params(UsageParams),
    responses((status = 200, body = UsagePage), Failures))]
pub(crate) async fn get_usage(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<UsageParams>,
) -> ApiResult<Response> {
    let paged = PagedUsageQuery::read(&params.into(), Timestamp::now())?;
    let buckets = state.services.usage().usage(&pass, paged.query.clone()).await?;
    paged.usage(buckets)
}

/// What the caller's tenant paid
#[utoipa::path(get, path = "/v1/costs", tag = "usage", security(("tenant_key" = [])), params(UsageParams),
    responses((status = 200, body = CostPage), Failures))]
pub(crate) async fn get_costs(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<UsageParams>,
) -> ApiResult<Response> {
    let paged = PagedUsageQuery::read(&params.into(), Timestamp::now())?;
    let buckets = state.services.usage().usage(&pass, paged.query.clone()).await?;
    paged.costs(buckets, state.services.currency())
}

/// What all tenants used
#[utoipa::path(get, path = "/operator/v1/usage", tag = "operator", security(("operator_key" = [])),
    params(OperatorUsageParams), responses((status = 200, body = UsagePage), Failures))]
pub(crate) async fn get_all_usage(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<OperatorUsageParams>,
) -> ApiResult<Response> {
    let paged = PagedUsageQuery::read(&params, Timestamp::now())?;
    let buckets = state.services.usage().usage_all(&operator, paged.query.clone()).await?;
    paged.usage(buckets)
}

/// What all tenants paid
#[utoipa::path(get, path = "/operator/v1/costs", tag = "operator", security(("operator_key" = [])),
    params(OperatorUsageParams), responses((status = 200, body = CostPage), Failures))]
pub(crate) async fn get_all_costs(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<OperatorUsageParams>,
) -> ApiResult<Response> {
    let paged = PagedUsageQuery::read(&params, Timestamp::now())?;
    let buckets = state.services.usage().usage_all(&operator, paged.query.clone()).await?;
    paged.costs(buckets, state.services.currency())
}

impl PagedUsageQuery {
    fn usage(&self, buckets: Vec<usage::UsageBucket>) -> ApiResult<Response> {
        match self.format {
            Format::Csv => export::csv("usage", &rows(&buckets)),
            Format::Json | Format::CloudEvents => Ok(Json(UsagePage {
                object: "page".into(),
                data: buckets.into_iter().map(UsageBucket::from).collect(),
                has_more: self.next_page.is_some(),
                next_page: self.next_page.map(|next| next.to_string()),
            })
            .into_response()),
        }
    }

    fn costs(&self, buckets: Vec<usage::UsageBucket>, currency: &str) -> ApiResult<Response> {
        match self.format {
            Format::Csv => export::csv("costs", &rows(&buckets)),
            Format::Json | Format::CloudEvents => Ok(Json(CostPage {
                object: "page".into(),
                data: buckets
                    .into_iter()
                    .map(|bucket| CostBucket::new(bucket, currency))
                    .collect(),
                has_more: self.next_page.is_some(),
                next_page: self.next_page.map(|next| next.to_string()),
            })
            .into_response()),
        }
    }
}
