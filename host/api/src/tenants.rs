//! `/operator/v1/tenants`: who lives here. Not here: what a tenant does in its room.

use crate::{
    auth::Operator,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_core::{TenantId, tenant::Tenant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// a-z, 0-9, - and _; never changes.
    #[schema(value_type = String, example = "acme")]
    id: TenantId,
    /// For people.
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TenantList {
    #[schema(example = "list")]
    object: &'static str,
    /// By id.
    data: Vec<TenantBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantBody {
    id: String,
    name: String,
    created: u64,
}

/// A tenant with its first key, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedTenant {
    #[serde(flatten)]
    tenant: TenantBody,
    #[schema(example = "riad_sk_…")]
    key: String,
    key_id: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedTenant {
    #[schema(example = "tenant.deleted")]
    object: &'static str,
    id: String,
    deleted: bool,
}

impl From<Tenant> for TenantBody {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.into(),
            name: tenant.name,
            created: tenant.created,
        }
    }
}

/// Make a tenant with its first key
#[utoipa::path(post, path = "/operator/v1/tenants", tag = "operator", security(("operator_key" = [])),
    request_body = NewTenant, responses((status = 201, body = CreatedTenant), Failures))]
pub(crate) async fn create_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    JsonBody(body): JsonBody<NewTenant>,
) -> ApiResult<(StatusCode, Json<CreatedTenant>)> {
    let (tenant, key) = state.services.tenants().create(&operator, body.id, &body.name).await?;
    let created = CreatedTenant {
        tenant: tenant.into(),
        key: key.secret.reveal().clone(),
        key_id: key.key.id.into(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// List all tenants
#[utoipa::path(get, path = "/operator/v1/tenants", tag = "operator", security(("operator_key" = [])),
    responses((status = 200, body = TenantList), Failures))]
pub(crate) async fn list_tenants(
    State(state): State<AppState>,
    Operator(operator): Operator,
) -> ApiResult<Json<TenantList>> {
    let tenants = state.services.tenants().list(&operator).await?;
    Ok(Json(TenantList {
        object: "list",
        data: tenants.into_iter().map(TenantBody::from).collect(),
    }))
}

/// One tenant
#[utoipa::path(get, path = "/operator/v1/tenants/{id}", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = TenantBody), Failures))]
pub(crate) async fn get_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<TenantBody>> {
    let id = body::existing("tenant", &id)?;
    Ok(Json(state.services.tenants().get(&operator, &id).await?.into()))
}

/// Revoke a tenant's keys and remove its room with everything in it
#[utoipa::path(delete, path = "/operator/v1/tenants/{id}", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedTenant), Failures))]
pub(crate) async fn delete_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedTenant>> {
    let tenant = body::existing("tenant", &id)?;
    state.services.tenants().delete(&operator, &tenant).await?;
    Ok(Json(DeletedTenant {
        object: "tenant.deleted",
        id,
        deleted: true,
    }))
}
