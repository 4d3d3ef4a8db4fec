//! `/v1/models`: what a tenant can name as `model`, in chats and in embeddings; with the members that OpenAI's clients read and those
//! that Anthropic's read.

use crate::{
    auth::Tenant,
    body::PathParts,
    error::{ApiResult, Failures},
    export::rfc3339,
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::models::{Model, ModelList};
use riad_services::models::ModelEntry;

/// List the base model, the embedding model and the caller's adapters
#[utoipa::path(get, path = "/v1/models", tag = "openai", security(("tenant_key" = [])),
    responses((status = 200, body = ModelList), Failures))]
pub(crate) async fn list_models(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<ModelList>> {
    let models = state.services.models().list(&pass).await?;
    let data: Vec<Model> = models.into_iter().map(model_body).collect();
    let id = |model: Option<&Model>| model.map(|model| model.id.clone());
    Ok(Json(ModelList {
        object: "list".into(),
        has_more: false,
        first_id: id(data.first()),
        last_id: id(data.last()),
        data,
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
    let entry = state.services.models().get(&pass, &model).await?;
    Ok(Json(model_body(entry)))
}

/// One model of the caller, whose id has a slash as those of a hub have
#[utoipa::path(get, path = "/v1/models/{owner}/{model}", tag = "openai", security(("tenant_key" = [])),
    params(("owner" = String, Path), ("model" = String, Path)), responses((status = 200, body = Model), Failures))]
pub(crate) async fn get_model_of_owner(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((owner, model)): PathParts<(String, String)>,
) -> ApiResult<Json<Model>> {
    let entry = state.services.models().get(&pass, &format!("{owner}/{model}")).await?;
    Ok(Json(model_body(entry)))
}

fn model_body(entry: ModelEntry) -> Model {
    Model {
        display_name: entry.id.clone(),
        id: entry.id,
        object: "model".into(),
        r#type: "model".into(),
        created: entry.created,
        created_at: rfc3339(entry.created.saturating_mul(1000)),
        owned_by: if entry.adapter { "tenant" } else { "riad" }.into(),
        max_model_len: entry.context_tokens,
    }
}
