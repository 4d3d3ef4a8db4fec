//! `/operator/v1/tenants`: who lives here. Not here: what a tenant does in its room.

use crate::{
    auth::Operator,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_core::{
    TenantId,
    policy::{Budget, TenantLimits},
    tenant::Tenant,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
pub(crate) struct NewTenant {
    /// a-z, 0-9, - and _; never changes.
    #[schema(value_type = String, example = "acme")]
    id: TenantId,
    /// For people.
    name: String,
    #[serde(flatten)]
    policy: PolicyPatch,
}

/// What changes; null removes a budget or a limit.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TenantPatch {
    /// For people.
    name: Option<String>,
    #[serde(flatten)]
    policy: PolicyPatch,
}

/// A JSON merge patch (RFC 7396) of the tenant's policy.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PolicyPatch {
    /// Whose prices hold; `standard` is free until it gets prices.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "present")]
    plan: Option<Value>,
    /// Share of the lanes while others wait too, 1 to 1000; 1 if it was never said.
    #[schema(value_type = Option<u32>)]
    #[serde(default, deserialize_with = "present")]
    weight: Option<Value>,
    /// `total_tokens`, `monthly_tokens`, `daily_tokens`, the same with `_micros` (millionths of the currency), `mode` (`hard` or
    /// `soft`), `webhook` and `thresholds` (percent).
    #[schema(value_type = Option<Object>, example = json!({"monthly_tokens": 50_000_000, "thresholds": [80, 100]}))]
    #[serde(default, deserialize_with = "present")]
    budget: Option<Value>,
    /// `requests_per_minute`, `tokens_per_minute`, `concurrent_requests`, `context_tokens`, `completion_tokens`, and
    /// `service_tier`, the best that a request may ask for.
    #[schema(value_type = Option<Object>, example = json!({"requests_per_minute": 600, "service_tier": "priority"}))]
    #[serde(default, deserialize_with = "present")]
    limits: Option<Value>,
    /// Whatever else was sent, to be refused by name.
    #[serde(flatten)]
    #[schema(ignore)]
    others: Map<String, Value>,
}

/// Keeps a null apart from what is not there: in a patch it removes.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl PolicyPatch {
    fn into_patch(self) -> Value {
        let mut patch = self.others;
        let named = [
            ("plan", self.plan),
            ("weight", self.weight),
            ("budget", self.budget),
            ("limits", self.limits),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                patch.insert(name.to_owned(), value);
            }
        }
        Value::Object(patch)
    }
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
    /// Under which it is billed; a tenant that is made again under the same id has another.
    account: u64,
    plan: String,
    weight: u32,
    #[schema(value_type = Object)]
    budget: Budget,
    #[schema(value_type = Object)]
    limits: TenantLimits,
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
            account: tenant.account.number(),
            plan: tenant.policy.plan.into(),
            weight: tenant.policy.weight,
            budget: tenant.policy.budget,
            limits: tenant.policy.limits,
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

/// Change a tenant's name, plan, weight, budget or limits
///
/// Requests that come after the answer are under the new policy.
#[utoipa::path(patch, path = "/operator/v1/tenants/{id}", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = TenantPatch,
    responses((status = 200, body = TenantBody), Failures))]
pub(crate) async fn patch_tenant(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<TenantPatch>,
) -> ApiResult<Json<TenantBody>> {
    let id = body::existing("tenant", &id)?;
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
    let tenant = body::existing("tenant", &id)?;
    state.services.tenants().delete(&operator, &tenant).await?;
    Ok(Json(DeletedTenant {
        object: "tenant.deleted",
        id,
        deleted: true,
    }))
}
