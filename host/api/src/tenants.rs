//! `/operator/v1/tenants`: tenants and their policies.

use crate::{
    auth::Operator,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_api_types::tenants::{CreatedTenant, DeletedTenant, NewTenant, Tenant, TenantList, TenantPatch};

/// Create a tenant with its first key
#[utoipa::path(post, path = "/operator/v1/tenants", tag = "operator", security(("operator_key" = [])),
    request_body = NewTenant, responses((status = 201, body = CreatedTenant), Failures))]
pub(crate) async fn create_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    JsonBody(body): JsonBody<NewTenant>,
) -> ApiResult<(StatusCode, Json<CreatedTenant>)> {
    let policy = body.policy.into_patch();
    let tenants = state.services.tenants();
    let (tenant, key) = tenants.create(&operator, body.id, &body.name, &policy).await?;
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
        object: "list".into(),
        data: tenants.into_iter().map(Tenant::from).collect(),
    }))
}

/// One tenant
#[utoipa::path(get, path = "/operator/v1/tenants/{id}", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = Tenant), Failures))]
pub(crate) async fn get_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<Tenant>> {
    let id = body::parse_id("tenant", &id)?;
    Ok(Json(state.services.tenants().get(&operator, &id).await?.into()))
}

/// Change a tenant's name, plan, weight, budget or limits
///
/// Requests that come after the answer are under the new policy.
#[utoipa::path(patch, path = "/operator/v1/tenants/{id}", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = TenantPatch,
    responses((status = 200, body = Tenant), Failures))]
pub(crate) async fn patch_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<TenantPatch>,
) -> ApiResult<Json<Tenant>> {
    let id = body::parse_id("tenant", &id)?;
    let (name, patch) = (body.name, body.policy.into_patch());
    let tenants = state.services.tenants();
    Ok(Json(
        tenants.change(&operator, &id, name.as_deref(), &patch).await?.into(),
    ))
}

/// Revoke a tenant's keys and remove its room with everything in it
#[utoipa::path(delete, path = "/operator/v1/tenants/{id}", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedTenant), Failures))]
pub(crate) async fn delete_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedTenant>> {
    let tenant = body::parse_id("tenant", &id)?;
    state.services.tenants().delete(&operator, &tenant).await?;
    Ok(Json(DeletedTenant {
        object: "tenant.deleted".into(),
        id,
        deleted: true,
    }))
}
