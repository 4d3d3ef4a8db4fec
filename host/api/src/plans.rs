//! `/operator/v1/plans`: price lists in versions.

use crate::{
    auth::Operator,
    body::{JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::plans::{Plan, PlanList, Prices};
use riad_core::{Error, PlanName};

/// Set the prices of a plan from now on
///
/// Makes the next version. What was billed before keeps its prices.
#[utoipa::path(put, path = "/operator/v1/plans/{name}", tag = "operator", security(("operator_key" = [])),
    params(("name" = String, Path)), request_body = Prices, responses((status = 200, body = Plan), Failures))]
pub(crate) async fn put_plan(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(name): PathParts<String>,
    JsonBody(prices): JsonBody<Prices>,
) -> ApiResult<Json<Plan>> {
    let name: PlanName = name.parse().map_err(|error: Error| error.with_param("name"))?;
    let plan = state.services.plans().put(&operator, &name, &prices.into()).await?;
    Ok(Json(Plan::new(plan, state.services.currency())))
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
        object: "list".into(),
        data: plans.into_iter().map(|plan| Plan::new(plan, currency)).collect(),
    }))
}
