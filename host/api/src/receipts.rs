//! `/v1/receipts`: a tenant's signed receipts, and the keys to check them with.

use crate::{
    auth::Tenant,
    error::{ApiResult, Failures},
    query::QueryParts,
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::receipts::{ReceiptList, ReceiptParams, SignedReceipt};
use serde_json::Value;

/// The caller's receipts in their order
#[utoipa::path(get, path = "/v1/receipts", tag = "usage", security(("tenant_key" = [])), params(ReceiptParams),
    responses((status = 200, body = ReceiptList), Failures))]
pub(crate) async fn list_receipts(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<ReceiptParams>,
) -> ApiResult<Json<ReceiptList>> {
    let (after, limit) = (params.after.unwrap_or(0), params.limit.unwrap_or(100));
    let page = state.services.usage().receipts(&pass, after, limit).await?;
    Ok(Json(ReceiptList {
        object: "list".into(),
        data: page.items.into_iter().map(SignedReceipt::from).collect(),
        has_more: page.next.is_some(),
        next: page.next,
    }))
}

/// The keys that receipts are signed with, as a JWK set; without a key, so that anybody can check a receipt
#[utoipa::path(get, path = "/v1/receipts/keys", tag = "usage",
    responses((status = 200, description = "A JWK set (RFC 7517)", body = Object), Failures))]
pub(crate) async fn list_receipt_keys(State(state): State<AppState>) -> Json<Value> {
    Json(state.services.usage().receipt_keys())
}
