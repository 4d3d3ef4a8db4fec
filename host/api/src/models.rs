//! `/v1/models`: what a tenant can name as `model`. Not here: the embedding model, which has one name per server.

use crate::{
    auth::Tenant,
    body::PathParts,
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_services::models::ModelEntry;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// `<base>` or `<base>:<adapter alias>`
    id: String,
    #[schema(example = "model")]
    object: &'static str,
    created: u64,
    /// `riad` for the base model, `tenant` for one with the tenant's adapter.
    owned_by: &'static str,
}

impl From<ModelEntry> for Model {
    fn from(entry: ModelEntry) -> Self {
        Self {
            id: entry.id,
            object: "model",
            created: entry.created,
            owned_by: if entry.adapter { "tenant" } else { "riad" },
        }
    }
}

/// List the base model and the caller's adapters on it
#[utoipa::path(get, path = "/v1/models", tag = "openai", security(("tenant_key" = [])),
    responses((status = 200, body = ModelList), Failures))]
pub(crate) async fn list_models(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<ModelList>> {
    let models = state.services.models().list(&pass).await?;
    Ok(Json(ModelList {
        object: "list",
        data: models.into_iter().map(Model::from).collect(),
    }))
}

/// One model of the caller
#[utoipa::path(get, path = "/v1/models/{model}", tag = "openai", security(("tenant_key" = [])),
    params(("model" = String, Path)), responses((status = 200, body = Model), Failures))]
pub(crate) async fn get_model(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(model): PathParts<String>,
) -> ApiResult<Json<Model>> {
    Ok(Json(state.services.models().get(&pass, &model).await?.into()))
}
