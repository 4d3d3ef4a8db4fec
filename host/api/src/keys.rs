//! `/operator/v1/tenants/{id}/keys`: a tenant's keys. Not here: checking one (`auth`).

use crate::{
    auth::Operator,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_core::tenant::Key;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// For people.
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    #[schema(example = "list")]
    object: &'static str,
    /// Oldest first.
    data: Vec<KeyBody>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyBody {
    id: String,
    name: String,
    /// The key's first characters, to recognise it by.
    prefix: String,
    created: u64,
}

/// A key with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[serde(flatten)]
    body: KeyBody,
    #[schema(example = "riad_sk_…")]
    key: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedKey {
    #[schema(example = "key.deleted")]
    object: &'static str,
    id: String,
    deleted: bool,
}

impl From<Key> for KeyBody {
    fn from(key: Key) -> Self {
        Self {
            id: key.id.into(),
            name: key.name,
            prefix: key.prefix,
            created: key.created,
        }
    }
}

/// Make another key for a tenant
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/keys", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = NewKey, responses((status = 201, body = CreatedKey), Failures))]
pub(crate) async fn create_key(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<NewKey>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    let tenant = body::existing("tenant", &id)?;
    let made = state.services.keys().create(&operator, &tenant, &body.name).await?;
    let created = CreatedKey {
        body: made.key.into(),
        key: made.secret.reveal().clone(),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// List a tenant's keys, without their secrets
#[utoipa::path(get, path = "/operator/v1/tenants/{id}/keys", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = KeyList), Failures))]
pub(crate) async fn list_keys(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<KeyList>> {
    let tenant = body::existing("tenant", &id)?;
    let keys = state.services.keys().list(&operator, &tenant).await?;
    Ok(Json(KeyList {
        object: "list",
        data: keys.into_iter().map(KeyBody::from).collect(),
    }))
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
    let (tenant, key) = (body::existing("tenant", &id)?, body::existing("key", &key_id)?);
    state.services.keys().revoke(&operator, &tenant, &key).await?;
    Ok(Json(DeletedKey {
        object: "key.deleted",
        id: key_id,
        deleted: true,
    }))
}
