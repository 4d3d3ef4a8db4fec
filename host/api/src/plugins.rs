//! `/v1/plugins`: components that a tenant has uploaded. `pipeline` says which of them serve.

use crate::{
    auth::Tenant,
    body::{self, PathParts, RawBody},
    error::{ApiError, ApiResult, Failures},
    state::AppState,
};
use axum::{Extension, Json, extract::State, http::StatusCode};
use riad_api_types::plugins::{DeletedPlugin, Plugin, PluginList, PluginStats, StageStats};
use riad_core::{Digest, PluginName, plugin::Stage};
use riad_services::{Kept, plugin_stats::CallStats};
use std::time::Duration;

/// Upload a component; it serves nothing until a pipeline names it
#[utoipa::path(put, path = "/v1/plugins/{name}", tag = "room", security(("tenant_key" = [])),
    params(("name" = String, Path, description = "a-z, 0-9, - and _")),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "the component's bytes"),
    responses((status = 201, body = Plugin), Failures))]
pub(crate) async fn put_plugin(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(name): PathParts<String>,
    // Held until the answer: the component is in memory as long.
    Extension(_upload): Extension<Kept>,
    RawBody(component): RawBody,
) -> ApiResult<(StatusCode, Json<Plugin>)> {
    let name: PluginName = name.parse().map_err(ApiError::from)?;
    let version = state.services.plugins().put(&pass, &name, component).await?;
    Ok((StatusCode::CREATED, Json(version.into())))
}

/// List the caller's plugins
#[utoipa::path(get, path = "/v1/plugins", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = PluginList), Failures))]
pub(crate) async fn list_plugins(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<PluginList>> {
    let versions = state.services.plugins().list(&pass).await?;
    Ok(Json(PluginList {
        object: "list".into(),
        data: versions.into_iter().map(Plugin::from).collect(),
    }))
}

/// What calls of a plugin used since the server began
#[utoipa::path(get, path = "/v1/plugins/{name}/stats", tag = "room", security(("tenant_key" = [])),
    params(("name" = String, Path)), responses((status = 200, body = PluginStats), Failures))]
pub(crate) async fn get_plugin_stats(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(name): PathParts<String>,
) -> ApiResult<Json<PluginStats>> {
    let id: PluginName = body::parse_id("plugin", &name)?;
    let versions = state.services.plugins().stats(&pass, &id).await?;
    let data = versions.into_iter().flat_map(|version| {
        let of_stage = move |(stage, stats): (Stage, CallStats)| StageStats {
            version: version.version.to_string(),
            stage: stage.as_str().into(),
            calls: stats.calls,
            failed: stats.failed,
            limited: stats.limited,
            refused: stats.refused,
            dropped: stats.dropped,
            fuel: stats.fuel,
            time_us: micros(stats.time),
            p50_us: micros(stats.times.time_of_share(0.5).unwrap_or_default()),
            p99_us: micros(stats.times.time_of_share(0.99).unwrap_or_default()),
            peak_memory_bytes: stats.memory,
        };
        version.stages.into_iter().map(of_stage)
    });
    Ok(Json(PluginStats {
        object: "plugin.stats".into(),
        name,
        since: state.services.started(),
        data: data.collect(),
    }))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Delete a version that the pipeline does not name
#[utoipa::path(delete, path = "/v1/plugins/{name}/versions/{version}", tag = "room", security(("tenant_key" = [])),
    params(("name" = String, Path), ("version" = String, Path, description = "`sha256:…`")),
    responses((status = 200, body = DeletedPlugin), Failures))]
pub(crate) async fn delete_plugin(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts((name, version)): PathParts<(String, String)>,
) -> ApiResult<Json<DeletedPlugin>> {
    let id: PluginName = body::parse_id("plugin", &name)?;
    let digest: Digest = body::parse_id("version", &version)?;
    state.services.plugins().delete(&pass, &id, &digest).await?;
    Ok(Json(DeletedPlugin {
        object: "plugin.deleted".into(),
        name,
        version,
        deleted: true,
    }))
}
