//! `/v1/audit` and `/operator/v1/audit`: who changed what, when, from where. Not here: writing it (`services`).

use crate::{
    auth::{Operator, Tenant},
    body::QueryParts,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_core::{
    Error,
    audit::{AuditQuery, AuditRecord},
};
use riad_services::audit::AuditPage;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditParams {
    /// 1 to 1000; 100 if it is not given.
    limit: Option<u32>,
    /// `number` of the last entry that is known already: older ones follow.
    before: Option<u64>,
    /// `operator`, or a key's id.
    actor: Option<String>,
    /// `key.revoke`, or `key` for all that was done with keys.
    action: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorAuditParams {
    /// 1 to 1000; 100 if it is not given.
    limit: Option<u32>,
    /// `number` of the last entry that is known already: older ones follow.
    before: Option<u64>,
    /// `operator`, or a key's id.
    actor: Option<String>,
    /// `key.revoke`, or `key` for all that was done with keys.
    action: Option<String>,
    /// Only what was done to or by this tenant, or a former one with the same id.
    tenant: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AuditList {
    #[schema(example = "list")]
    object: &'static str,
    /// Newest first.
    data: Vec<AuditBody>,
    has_more: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditBody {
    number: u64,
    /// Milliseconds since 1970-01-01 UTC.
    at_ms: u64,
    actor: String,
    tenant: Option<String>,
    account: Option<u64>,
    #[schema(example = "key.revoke")]
    action: String,
    /// The id of what was changed.
    object: String,
    /// What it was changed to, where that is no content.
    #[schema(value_type = Option<Object>)]
    detail: Option<serde_json::Value>,
    /// Where the request came from.
    address: Option<String>,
    /// The request's id, as its `x-request-id` said.
    request: String,
}

impl From<AuditRecord> for AuditBody {
    fn from(record: AuditRecord) -> Self {
        let entry = record.entry;
        Self {
            number: record.number,
            at_ms: entry.at_ms,
            actor: entry.actor,
            tenant: entry.tenant.map(String::from),
            account: entry.account.map(riad_core::Account::number),
            action: entry.action,
            object: entry.object,
            detail: entry.detail.and_then(|text| serde_json::from_str(&text).ok()),
            address: entry.origin.address.map(|address| address.to_string()),
            request: entry.origin.request,
        }
    }
}

/// What was changed in the caller's tenant; for admins
#[utoipa::path(get, path = "/v1/audit", tag = "usage", security(("tenant_key" = [])), params(AuditParams),
    responses((status = 200, body = AuditList), Failures))]
pub(crate) async fn list_audit(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<AuditParams>,
) -> ApiResult<Json<AuditList>> {
    let query = AuditQuery {
        actor: params.actor,
        action: params.action,
        ..query(params.limit, params.before)
    };
    Ok(Json(state.services.audit().list(&pass, query).await?.into()))
}

/// What was changed, by anybody
#[utoipa::path(get, path = "/operator/v1/audit", tag = "operator", security(("operator_key" = [])),
    params(OperatorAuditParams), responses((status = 200, body = AuditList), Failures))]
pub(crate) async fn list_all_audit(
    State(state): State<AppState>,
    Operator(operator): Operator,
    QueryParts(params): QueryParts<OperatorAuditParams>,
) -> ApiResult<Json<AuditList>> {
    let tenant = params.tenant.map(|id| id.parse()).transpose();
    let query = AuditQuery {
        tenant: tenant.map_err(|error: Error| error.with_param("tenant"))?,
        actor: params.actor,
        action: params.action,
        ..query(params.limit, params.before)
    };
    Ok(Json(state.services.audit().list_all(&operator, query).await?.into()))
}

fn query(limit: Option<u32>, before: Option<u64>) -> AuditQuery {
    AuditQuery {
        limit: limit.unwrap_or(100),
        before: before.unwrap_or(0),
        ..AuditQuery::default()
    }
}

impl From<AuditPage> for AuditList {
    fn from(page: AuditPage) -> Self {
        Self {
            object: "list",
            data: page.records.into_iter().map(AuditBody::from).collect(),
            has_more: page.has_more,
        }
    }
}
