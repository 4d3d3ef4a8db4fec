//! `/v1/adapters`: the caller's LoRA adapters.

use crate::{
    auth::Tenant,
    body::{self, JsonBody, PathParts},
    error::{ApiError, ApiResult, Failures},
    form::{self, Form},
    state::AppState,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use riad_api_types::adapters::{
    Adapter, AdapterList, AdapterPatch, DeletedAdapter, Generation, GenerationList, Rollback,
};
use riad_core::{AdapterAlias, Error, adapter::AdapterFiles};
use riad_services::Kept;
use utoipa::ToSchema;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// A PEFT adapter's two files.
#[derive(Default, ToSchema)]
pub(crate) struct AdapterForm {
    #[schema(rename = "adapter_config.json", value_type = String, format = Binary)]
    config: Option<Bytes>,
    #[schema(rename = "adapter_model.safetensors", value_type = String, format = Binary)]
    weights: Option<Bytes>,
}

impl<S: Send + Sync> FromRequest<S> for AdapterForm {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let mut form = Form::of(request, state).await?;
        let mut read = Self::default();
        while let Some(field) = form.next().await? {
            let name = field.name();
            let slot = match name.as_str() {
                CONFIG => &mut read.config,
                WEIGHTS => &mut read.weights,
                _ => {
                    return Err(
                        Error::invalid(format!("an adapter's form has the fields {CONFIG} and {WEIGHTS}"))
                            .with_param(name)
                            .into(),
                    );
                }
            };
            if slot.replace(field.bytes().await?).is_some() {
                return Err(form::duplicate_field(&name).into());
            }
        }
        Ok(read)
    }
}

/// Upload an adapter and point the alias to it
#[utoipa::path(put, path = "/v1/adapters/{alias}", tag = "room", security(("tenant_key" = [])),
    params(("alias" = String, Path, description = "a-z, 0-9, - and _")),
    request_body(content = AdapterForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Adapter), Failures))]
pub(crate) async fn put_adapter(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(alias): PathParts<String>,
    Extension(upload): Extension<Kept>,
    form: AdapterForm,
) -> ApiResult<(StatusCode, Json<Adapter>)> {
    let alias: AdapterAlias = alias.parse().map_err(ApiError::from)?;
    let files = AdapterFiles {
        config: form.config.ok_or_else(|| form::missing_field(CONFIG))?,
        weights: form.weights.ok_or_else(|| form::missing_field(WEIGHTS))?,
    };
    let adapter = state.services.adapters().put(&pass, &alias, &files, upload).await?;
    Ok((StatusCode::CREATED, Json(adapter.into())))
}

/// List the caller's adapters
#[utoipa::path(get, path = "/v1/adapters", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = AdapterList), Failures))]
pub(crate) async fn list_adapters(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<AdapterList>> {
    let adapters = state.services.adapters().list(&pass).await?;
    Ok(Json(AdapterList {
        object: "list".into(),
        data: adapters.into_iter().map(Adapter::from).collect(),
    }))
}

/// Forget an alias; requests in flight finish on its generation
#[utoipa::path(delete, path = "/v1/adapters/{alias}", tag = "room", security(("tenant_key" = [])),
    params(("alias" = String, Path)), responses((status = 200, body = DeletedAdapter), Failures))]
pub(crate) async fn delete_adapter(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(alias): PathParts<String>,
) -> ApiResult<Json<DeletedAdapter>> {
    let id: AdapterAlias = body::parse_id("adapter", &alias)?;
    state.services.adapters().delete(&pass, &id).await?;
    Ok(Json(DeletedAdapter {
        object: "adapter.deleted".into(),
        alias,
        deleted: true,
    }))
}

/// Pin an adapter, so that it stays in the engine's memory, or let go of it
#[utoipa::path(patch, path = "/v1/adapters/{alias}", tag = "room", security(("tenant_key" = [])),
    params(("alias" = String, Path)), request_body = AdapterPatch, responses((status = 200, body = Adapter), Failures))]
pub(crate) async fn patch_adapter(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(alias): PathParts<String>,
    JsonBody(patch): JsonBody<AdapterPatch>,
) -> ApiResult<Json<Adapter>> {
    let alias: AdapterAlias = body::parse_id("adapter", &alias)?;
    let adapter = state
        .services
        .adapters()
        .set_pinned(&pass, &alias, patch.pinned)
        .await?;
    Ok(Json(adapter.into()))
}

/// List the generations of an alias that are kept for a rollback
#[utoipa::path(get, path = "/v1/adapters/{alias}/generations", tag = "room", security(("tenant_key" = [])),
    params(("alias" = String, Path)), responses((status = 200, body = GenerationList), Failures))]
pub(crate) async fn list_generations(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(alias): PathParts<String>,
) -> ApiResult<Json<GenerationList>> {
    let alias: AdapterAlias = body::parse_id("adapter", &alias)?;
    let kept = state.services.adapters().generations(&pass, &alias).await?;
    Ok(Json(GenerationList {
        object: "list".into(),
        data: kept.into_iter().map(Generation::from).collect(),
    }))
}

/// Point an alias to the generation before its current one, or to another one that is kept
#[utoipa::path(post, path = "/v1/adapters/{alias}/rollback", tag = "room", security(("tenant_key" = [])),
    params(("alias" = String, Path)), request_body = Rollback, responses((status = 200, body = Adapter), Failures))]
pub(crate) async fn roll_back_adapter(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(alias): PathParts<String>,
    JsonBody(rollback): JsonBody<Rollback>,
) -> ApiResult<Json<Adapter>> {
    let alias: AdapterAlias = body::parse_id("adapter", &alias)?;
    let adapters = state.services.adapters();
    Ok(Json(
        adapters.roll_back(&pass, &alias, rollback.generation).await?.into(),
    ))
}
