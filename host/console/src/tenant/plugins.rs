//! A room's plugins: versions, which of them serve the stages, settings and the log. Not here: components, which a script sends to the API
//! (`gateway`).

mod hour;
pub(crate) mod logs;
mod pipeline;
mod settings;
mod settings_form;
mod stats;
mod view;

use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    layout::Page,
    session::TenantSession,
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{Path, State},
    response::Redirect,
    routing::{get, post},
};
use maud::Markup;
use riad_core::{
    Digest, Error, PluginName, Result,
    grants::{Access, Scope},
};
use view::PluginsPage;

const HOME: &str = "/console/plugins";

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/plugins", get(list))
        .route("/console/plugins/stages", post(pipeline::set_stages))
        .route("/console/plugins/canary", post(pipeline::set_canary))
        .route("/console/plugins/canary/end", post(pipeline::end_canary))
        .route("/console/plugins/canary/promote", post(pipeline::promote_canary))
        .route("/console/plugins/settings", get(settings::show).post(settings::change))
        .route("/console/plugins/settings/raw", post(settings::replace))
        .route("/console/plugins/logs", get(logs::list))
        .route("/console/plugins/logs/stream", get(logs::follow))
        .route("/console/plugins/of/{name}", get(stats::show))
        .route("/console/plugins/of/{name}/{version}/use", post(pipeline::use_version))
        .route("/console/plugins/of/{name}/{version}/delete", post(delete))
}

async fn list(State(state): State<ConsoleState>, session: TenantSession) -> PageResult<Markup> {
    let (services, pass) = (&state.services, &session.pass);
    let versions = services.plugins().list(pass).await?;
    let pipeline = services.pipeline().get(pass).await?;
    let view = PluginsPage {
        versions: &versions,
        pipeline: &pipeline,
        may_change: pass.grants().allow(Scope::Plugins, Access::Write),
        most_bytes: services.limits().plugin_bytes,
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Plugins, view::list(&view)))
}

async fn delete(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path((name, version)): Path<(String, String)>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    let (name, version) = (read_name(&name)?, read_version(&version)?);
    state.services.plugins().delete(&session.pass, &name, &version).await?;
    Ok(Redirect::to(HOME))
}

/// A name that is none is that of no plugin.
fn read_name(name: &str) -> Result<PluginName> {
    name.parse()
        .map_err(|_| Error::not_found(format!("there is no plugin {name:?}")))
}

fn read_version(version: &str) -> Result<Digest> {
    version
        .parse()
        .map_err(|_| Error::not_found(format!("there is no version {version:?}")))
}
