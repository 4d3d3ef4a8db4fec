//! `/operator/v1/plans`: price lists in versions. Not here: what a tenant pays (`usage`).

use crate::{
    auth::Operator,
    body::{JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::{
    Error, PlanName,
    price::{Plan, PriceList},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Integer millionths of the server's currency. Requests and tokens per million; fuel and byte-hours per billion, so that a
/// byte-hour price is that of a gigabyte for an hour. What is not named is free.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Prices {
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    embedded_tokens: u64,
    fuel: u64,
    stored_byte_hours: u64,
    adapter_byte_hours: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanBody {
    name: String,
    /// 1, 2, 3 …; entries of the ledger keep the version that they were priced with.
    version: u32,
    prices: Prices,
    #[schema(example = "usd")]
    currency: String,
    created: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PlanList {
    #[schema(example = "list")]
    object: &'static str,
    /// By name, newest version first.
    data: Vec<PlanBody>,
}

impl From<Prices> for PriceList {
    fn from(prices: Prices) -> Self {
        Self {
            requests: prices.requests,
            prompt_tokens: prices.prompt_tokens,
            completion_tokens: prices.completion_tokens,
            embedded_tokens: prices.embedded_tokens,
            fuel: prices.fuel,
            stored_byte_hours: prices.stored_byte_hours,
            adapter_byte_hours: prices.adapter_byte_hours,
        }
    }
}

impl PlanBody {
    fn new(plan: Plan, currency: &str) -> Self {
        Self {
            name: plan.name.into(),
            version: plan.version,
            prices: Prices {
                requests: plan.prices.requests,
                prompt_tokens: plan.prices.prompt_tokens,
                completion_tokens: plan.prices.completion_tokens,
                embedded_tokens: plan.prices.embedded_tokens,
                fuel: plan.prices.fuel,
                stored_byte_hours: plan.prices.stored_byte_hours,
                adapter_byte_hours: plan.prices.adapter_byte_hours,
            },
            currency: currency.to_owned(),
            created: plan.created,
        }
    }
}

/// Set the prices of a plan from now on
///
/// Makes the next version. What was billed before keeps its prices.
#[utoipa::path(put, path = "/operator/v1/plans/{name}", tag = "operator", security(("operator_key" = [])),
    params(("name" = String, Path)), request_body = Prices, responses((status = 200, body = PlanBody), Failures))]
pub(crate) async fn put_plan(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(name): PathParts<String>,
    JsonBody(prices): JsonBody<Prices>,
) -> ApiResult<Json<PlanBody>> {
    let name: PlanName = name.parse().map_err(|error: Error| error.with_param("name"))?;
    let plan = state.services.plans().put(&operator, &name, &prices.into()).await?;
    Ok(Json(PlanBody::new(plan, state.services.currency())))
}

/// List all plans in all versions
#[utoipa::path(get, path = "/operator/v1/plans", tag = "operator", security(("operator_key" = [])),
    responses((status = 200, body = PlanList), Failures))]
pub(crate) async fn list_plans(
    State(state): State<AppState>,
    Operator(operator): Operator,
) -> ApiResult<Json<PlanList>> {
    let plans = state.services.plans().list(&operator).await?;
    let currency = state.services.currency();
    Ok(Json(PlanList {
        object: "list",
        data: plans.into_iter().map(|plan| PlanBody::new(plan, currency)).collect(),
    }))
}
