//! `/v1/keys` for a tenant's admins and `/operator/v1/tenants/{id}/keys` for the operator: the same operations.
//! Not here: checking a key (`auth`).

use crate::{
    auth::{Operator, Tenant},
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    query::QueryParts,
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_api_types::keys::{CreatedKey, DeletedKey, Key, KeyList, KeyParams, KeyPatch, NewKey, Rotation};
use riad_core::{
    Error, KeyId, Result,
    grants::{Grants, KeyRole},
    policy::Budget,
    tenant::{self, KeyChange},
};
use riad_services::keys::{KeyOwner, KeyRequest, NewKey as MintedKey};
use serde_json::Value;

/// How long a rotated key goes on working by default: a day.
const DEFAULT_OVERLAP_SECONDS: u64 = 86_400;

fn key_request(body: NewKey) -> Result<KeyRequest> {
    let role: KeyRole = match body.role {
        Some(role) => role.parse().map_err(|error: Error| error.with_param("role"))?,
        None => KeyRole::Admin,
    };
    let scopes = match body.scopes {
        Some(scopes) => scopes
            .iter()
            .map(|scope| scope.parse())
            .collect::<Result<_>>()
            .map_err(|error| error.with_param("scopes"))?,
        None => Grants::default().scopes,
    };
    Ok(KeyRequest {
        name: body.name,
        grants: Grants { role, scopes },
        budget: budget(body.budget)?.unwrap_or_default(),
        expires: body.expires,
    })
}

fn key_change(body: KeyPatch) -> Result<KeyChange> {
    Ok(KeyChange {
        name: body.name,
        budget: budget(body.budget)?,
        expires: body.expires,
    })
}

fn budget(budget: Option<Value>) -> Result<Option<Budget>> {
    let read = |value: Value| serde_json::from_value(value).map_err(|error| Error::invalid(format!("budget: {error}")));
    budget.map(read).transpose().map_err(|error| error.with_param("budget"))
}

/// The key as its owner may see it: the address of the operator's webhook may be the operator's secret.
fn visible_key(owner: &KeyOwner, mut key: tenant::Key) -> Key {
    match owner {
        KeyOwner::Own(_) => key.budget.webhook = None,
        KeyOwner::Named(..) => {}
    }
    key.into()
}

fn created_key(owner: &KeyOwner, new_key: MintedKey) -> (StatusCode, Json<CreatedKey>) {
    let created = CreatedKey {
        key: new_key.secret.reveal().clone(),
        body: visible_key(owner, new_key.key),
    };
    (StatusCode::CREATED, Json(created))
}

async fn create(state: &AppState, owner: &KeyOwner, body: NewKey) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    let new_key = state.services.keys().create(owner, key_request(body)?).await?;
    Ok(created_key(owner, new_key))
}

async fn list(state: &AppState, owner: &KeyOwner, params: KeyParams) -> ApiResult<Json<KeyList>> {
    let keys = state.services.keys().list(owner, params.prefix.as_deref()).await?;
    Ok(Json(KeyList {
        object: "list".into(),
        data: keys.into_iter().map(|key| visible_key(owner, key)).collect(),
    }))
}

async fn change(state: &AppState, owner: &KeyOwner, id: &str, body: KeyPatch) -> ApiResult<Json<Key>> {
    let key: KeyId = body::parse_id("key", id)?;
    let changed = state.services.keys().change(owner, &key, key_change(body)?).await?;
    Ok(Json(visible_key(owner, changed)))
}

async fn rotate(
    state: &AppState,
    owner: &KeyOwner,
    id: &str,
    body: Rotation,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    let key: KeyId = body::parse_id("key", id)?;
    let overlap = body.overlap_seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS);
    let new_key = state.services.keys().rotate(owner, &key, overlap).await?;
    Ok(created_key(owner, new_key))
}

async fn delete(state: &AppState, owner: &KeyOwner, id: String) -> ApiResult<Json<DeletedKey>> {
    let key: KeyId = body::parse_id("key", &id)?;
    state.services.keys().revoke(owner, &key).await?;
    Ok(Json(DeletedKey {
        object: "key.deleted".into(),
        id,
        deleted: true,
    }))
}

/// Create another key for a tenant
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/keys", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = NewKey, responses((status = 201, body = CreatedKey), Failures))]
pub(crate) async fn create_key(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<NewKey>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    let owner = KeyOwner::Named(operator, body::parse_id("tenant", &id)?);
    create(&state, &owner, body).await
}

/// List a tenant's keys, without their secrets
#[utoipa::path(get, path = "/operator/v1/tenants/{id}/keys", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path), KeyParams), responses((status = 200, body = KeyList), Failures))]
pub(crate) async fn list_keys(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    QueryParts(params): QueryParts<KeyParams>,
) -> ApiResult<Json<KeyList>> {
    let owner = KeyOwner::Named(operator, body::parse_id("tenant", &id)?);
    list(&state, &owner, params).await
}

/// Change a key's name, budget or expiry
#[utoipa::path(patch, path = "/operator/v1/tenants/{id}/keys/{key_id}", tag = "operator",
    security(("operator_key" = [])), params(("id" = String, Path), ("key_id" = String, Path)),
    request_body = KeyPatch, responses((status = 200, body = Key), Failures))]
pub(crate) async fn patch_key(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts((id, key_id)): PathParts<(String, String)>,
    JsonBody(body): JsonBody<KeyPatch>,
) -> ApiResult<Json<Key>> {
    let owner = KeyOwner::Named(operator, body::parse_id("tenant", &id)?);
    change(&state, &owner, &key_id, body).await
}

/// Replace a key with a new one; the old key ends after an overlap
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/keys/{key_id}/rotate", tag = "operator",
    security(("operator_key" = [])), params(("id" = String, Path), ("key_id" = String, Path)),
    request_body = Rotation, responses((status = 201, body = CreatedKey), Failures))]
pub(crate) async fn rotate_key(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts((id, key_id)): PathParts<(String, String)>,
    JsonBody(body): JsonBody<Rotation>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    let owner = KeyOwner::Named(operator, body::parse_id("tenant", &id)?);
    rotate(&state, &owner, &key_id, body).await
}

/// Revoke a key: requests that come after are refused
#[utoipa::path(delete, path = "/operator/v1/tenants/{id}/keys/{key_id}", tag = "operator",
    security(("operator_key" = [])), params(("id" = String, Path), ("key_id" = String, Path)),
    responses((status = 200, body = DeletedKey), Failures))]
pub(crate) async fn delete_key(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts((id, key_id)): PathParts<(String, String)>,
) -> ApiResult<Json<DeletedKey>> {
    let owner = KeyOwner::Named(operator, body::parse_id("tenant", &id)?);
    delete(&state, &owner, key_id).await
}

/// Create another key of the caller's tenant; for admins
#[utoipa::path(post, path = "/v1/keys", tag = "usage", security(("tenant_key" = [])),
    request_body = NewKey, responses((status = 201, body = CreatedKey), Failures))]
pub(crate) async fn create_own_key(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<NewKey>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    create(&state, &KeyOwner::own(&pass)?, body).await
}

/// List the keys of the caller's tenant, without their secrets; for admins
#[utoipa::path(get, path = "/v1/keys", tag = "usage", security(("tenant_key" = [])), params(KeyParams),
    responses((status = 200, body = KeyList), Failures))]
pub(crate) async fn list_own_keys(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    QueryParts(params): QueryParts<KeyParams>,
) -> ApiResult<Json<KeyList>> {
    list(&state, &KeyOwner::own(&pass)?, params).await
}

/// Change a key of the caller's tenant; for admins
#[utoipa::path(patch, path = "/v1/keys/{key_id}", tag = "usage", security(("tenant_key" = [])),
    params(("key_id" = String, Path)), request_body = KeyPatch, responses((status = 200, body = Key), Failures))]
pub(crate) async fn patch_own_key(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(key_id): PathParts<String>,
    JsonBody(body): JsonBody<KeyPatch>,
) -> ApiResult<Json<Key>> {
    change(&state, &KeyOwner::own(&pass)?, &key_id, body).await
}

/// Replace a key of the caller's tenant with a new one; for admins
#[utoipa::path(post, path = "/v1/keys/{key_id}/rotate", tag = "usage", security(("tenant_key" = [])),
    params(("key_id" = String, Path)), request_body = Rotation,
    responses((status = 201, body = CreatedKey), Failures))]
pub(crate) async fn rotate_own_key(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(key_id): PathParts<String>,
    JsonBody(body): JsonBody<Rotation>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    rotate(&state, &KeyOwner::own(&pass)?, &key_id, body).await
}

/// Revoke a key of the caller's tenant; for admins
#[utoipa::path(delete, path = "/v1/keys/{key_id}", tag = "usage", security(("tenant_key" = [])),
    params(("key_id" = String, Path)), responses((status = 200, body = DeletedKey), Failures))]
pub(crate) async fn delete_own_key(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(key_id): PathParts<String>,
) -> ApiResult<Json<DeletedKey>> {
    delete(&state, &KeyOwner::own(&pass)?, key_id).await
}
