//! `/v1/receipts`: a tenant's signed receipts, and the keys to check them with. Not here: one receipt's shape in a chat's
//! answer (`receipt`).

use crate::{
    auth::Tenant,
    body::QueryParts,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::ledger::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptParams {
    /// `next` of the page before; from the first if it is not given.
    after: Option<u64>,
    /// 1 to 1000; 100 if it is not given.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ReceiptList {
    #[schema(example = "list")]
    object: &'static str,
    /// Oldest first; each names the SHA-256 of the one before it.
    data: Vec<SignedReceiptBody>,
    has_more: bool,
    next: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignedReceipt)]
pub(crate) struct SignedReceiptBody {
    number: u64,
    request: String,
    at_ms: u64,
    #[schema(example = "chat")]
    kind: &'static str,
    #[schema(example = "completed")]
    outcome: &'static str,
    /// Prompt, completion and embedded tokens.
    tokens: u64,
    cost_nanos: u64,
    /// The receipt itself: a compact JWS (EdDSA).
    jws: String,
}

impl From<Entry> for SignedReceiptBody {
    fn from(entry: Entry) -> Self {
        Self {
            number: entry.number,
            request: entry.request,
            at_ms: entry.at_ms,
            kind: entry.purpose.kind.as_str(),
            outcome: entry.outcome.as_str(),
            tokens: entry.used.tokens(),
            cost_nanos: entry.cost_nanos,
            jws: entry.receipt,
        }
    }
}

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
        object: "list",
        data: page.items.into_iter().map(SignedReceiptBody::from).collect(),
        has_more: page.next.is_some(),
        next: page.next,
    }))
}

/// The keys that receipts are signed with, as a JWK set; without a key, for whoever was shown a receipt
#[utoipa::path(get, path = "/v1/receipts/keys", tag = "usage",
    responses((status = 200, description = "A JWK set (RFC 7517)", body = Object), Failures))]
pub(crate) async fn list_receipt_keys(State(state): State<AppState>) -> Json<Value> {
    Json(state.services.usage().receipt_keys())
}
