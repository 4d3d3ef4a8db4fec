//! The settings of a room, which its plugins read: as the fields that the manifests of its plugins describe, and as a whole. Not here: what a
//! field is (`settings_form`), and whether settings follow the schemas (`services`).

use super::{
    settings_form::{Field, PREFIX},
    view,
};
use crate::{error::PageResult, form::CsrfForm, layout::Page, parts, session::TenantSession, state::ConsoleState};
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use riad_api::pages;
use riad_core::{
    Error, PluginVersion, Result, TenantPass,
    grants::{Access, Scope},
    plugin::StageChoice,
};
use riad_services::Services;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const HERE: &str = "/console/plugins/settings";

#[derive(Deserialize)]
pub(super) struct RawForm {
    settings: String,
}

/// The plugins whose settings are shown: those that serve, or all of them while none does.
struct Described {
    plugins: Vec<(String, Vec<Field>)>,
}

pub(super) async fn show(State(state): State<ConsoleState>, session: TenantSession) -> PageResult<Markup> {
    let settings = state.services.settings().get(&session.pass).await?;
    render(&state.services, &session, &settings, None).await
}

pub(super) async fn change(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<BTreeMap<String, String>>,
) -> PageResult<Response> {
    let (services, pass) = (&state.services, &session.pass);
    let described = Described::of(services, pass).await?;
    let mut settings = services.settings().get(pass).await?;
    let changed = described
        .fields()
        .try_for_each(|field| match form.get(&format!("{PREFIX}{}", field.name)) {
            Some(text) => field.write(text, &mut settings),
            None => Ok(()),
        });
    save(services, &session, &settings, changed).await
}

pub(super) async fn replace(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<RawForm>,
) -> PageResult<Response> {
    let read = serde_json::from_str::<Map<String, Value>>(&form.settings);
    match read {
        Ok(settings) => save(&state.services, &session, &settings, Ok(())).await,
        Err(error) => {
            let settings = state.services.settings().get(&session.pass).await?;
            let error = Error::invalid(format!("the settings must be a JSON object: {error}"));
            save(&state.services, &session, &settings, Err(error)).await
        }
    }
}

/// An error is shown beside the form, with what was filled in.
async fn save(
    services: &Services,
    session: &TenantSession,
    settings: &Map<String, Value>,
    read: Result<()>,
) -> PageResult<Response> {
    let saved = match read {
        Ok(()) => services.settings().put(&session.pass, settings).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(()) => Ok(Redirect::to(HERE).into_response()),
        Err(error) => {
            let page = render(services, session, settings, Some(&error)).await?;
            Ok((pages::status(error.kind()), page).into_response())
        }
    }
}

async fn render(
    services: &Services,
    session: &TenantSession,
    settings: &Map<String, Value>,
    error: Option<&Error>,
) -> PageResult<Markup> {
    let described = Described::of(services, &session.pass).await?;
    let may_change = session.pass.grants().allow(Scope::Plugins, Access::Write);
    let body = page(&described, settings, error, may_change, &session.csrf_field());
    Ok(session.page(Page::Plugins, body))
}

impl Described {
    async fn of(services: &Services, pass: &TenantPass) -> Result<Self> {
        let versions = services.plugins().list(pass).await?;
        let pipeline = services.pipeline().get(pass).await?;
        let serves = |version: &&PluginVersion| {
            let choice = StageChoice::Plugin {
                name: version.name.clone(),
                version: version.version,
            };
            pipeline.choices().any(|(_, _, serving)| *serving == choice)
        };
        let serving: Vec<_> = versions.iter().filter(serves).collect();
        let shown = match serving.is_empty() {
            true => versions.iter().collect(),
            false => serving,
        };
        let mut plugins: Vec<(String, Vec<Field>)> = Vec::new();
        for version in shown {
            let schema = version
                .manifest
                .as_ref()
                .and_then(|manifest| manifest.configuration.as_ref());
            // One field per setting: of two versions the first one's, which is the newest.
            let is_new = |field: &Field| {
                !plugins
                    .iter()
                    .flat_map(|(_, fields)| fields)
                    .any(|known| known.name == field.name)
            };
            let fields: Vec<Field> = schema
                .map(Field::of_schema)
                .unwrap_or_default()
                .into_iter()
                .filter(is_new)
                .collect();
            if !fields.is_empty() {
                plugins.push((view::label(version), fields));
            }
        }
        Ok(Self { plugins })
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.plugins.iter().flat_map(|(_, fields)| fields)
    }
}

fn page(
    described: &Described,
    settings: &Map<String, Value>,
    error: Option<&Error>,
    may_change: bool,
    csrf: &Markup,
) -> Markup {
    html! {
        (view::tabs("/settings"))
        @if let Some(error) = error { p.notice.error role="alert" { (error.message_for_client()) } }
        section aria-labelledby="settings-title" {
            h2 #settings-title { "Settings" }
            p.muted { "All plugins of this room read the same settings. Do not keep passwords here that your plugins' authors must not see." }
            @if described.plugins.is_empty() {
                (parts::empty("No plugin describes its settings", &html! {
                    "A plugin does so by " code { "[configuration]" } " in its " code { "riad.toml" } "."
                }))
            } @else if may_change {
                form method="post" action=(HERE) {
                    (csrf)
                    (fields(described, settings, may_change))
                    div.actions { button.primary type="submit" { "Save settings" } }
                }
            } @else { (fields(described, settings, may_change)) }
            (raw(described, settings, may_change, csrf))
        }
    }
}

fn fields(described: &Described, settings: &Map<String, Value>, may_change: bool) -> Markup {
    html! {
        @for (plugin, fields) in &described.plugins {
            fieldset disabled[!may_change] {
                legend { (plugin) }
                @for field in fields { (field.input(settings.get(&field.name))) }
            }
        }
    }
}

/// All settings as JSON, those among them that no plugin describes. Not shown where a field is one that is only written.
fn raw(described: &Described, settings: &Map<String, Value>, may_change: bool, csrf: &Markup) -> Markup {
    if described.fields().any(|field| field.is_secret) {
        return html! { p.muted { "One of these settings is only written, so that they are not shown as JSON." } };
    }
    html! {
        details {
            summary { "All settings as JSON" }
            @if may_change {
                form method="post" action={ (HERE) "/raw" } {
                    (csrf)
                    div.field {
                        label for="raw" { "A JSON object, which replaces all settings" }
                        textarea #raw.code name="settings" rows="12" spellcheck="false" {
                            (serde_json::to_string_pretty(settings).unwrap_or_default())
                        }
                    }
                    button type="submit" { "Replace all settings" }
                }
            } @else { (parts::json(settings)) }
        }
    }
}
