//! `/v1/audit` and `/operator/v1/audit`: who changed what, when, from where. Not here: writing it (`services`).

use crate::{
    auth::{Operator, Tenant},
    error::{ApiResult, Failures},
    query::QueryParts,
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::audit::{AuditEntry, AuditList, AuditParams, OperatorAuditParams};
use riad_core::{Error, audit::AuditQuery};
use riad_services::audit::AuditPage;

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
    Ok(Json(list(state.services.audit().list(&pass, query).await?)))
}

/// What was changed in all tenants, and by the operator
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
    Ok(Json(list(state.services.audit().list_all(&operator, query).await?)))
}

fn query(limit: Option<u32>, before: Option<u64>) -> AuditQuery {
    AuditQuery {
        limit: limit.unwrap_or(100),
        before: before.unwrap_or(0),
        ..AuditQuery::default()
    }
}

fn list(page: AuditPage) -> AuditList {
    AuditList {
        object: "list".into(),
        data: page.records.into_iter().map(AuditEntry::from).collect(),
        has_more: page.has_more,
    }
}
