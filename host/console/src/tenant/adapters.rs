//! A room's adapters: generations, rolling an alias back, pins. Not here: files, which a script sends to the API (`gateway`).

use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    layout::Page,
    parts::{self, format},
    session::TenantSession,
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{Path, State},
    response::Redirect,
    routing::{get, post},
};
use maud::{Markup, html};
use riad_core::{
    AdapterAlias, Error, Result,
    adapter::{Adapter, KeptGeneration},
    grants::{Access, Scope},
};
use serde::Deserialize;

const HOME: &str = "/console/adapters";

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/adapters", get(list))
        .route("/console/adapters/{alias}", get(show))
        .route("/console/adapters/{alias}/rollback", post(roll_back))
        .route("/console/adapters/{alias}/pin", post(pin))
        .route("/console/adapters/{alias}/delete", post(delete))
}

#[derive(Deserialize)]
struct RollbackForm {
    generation: String,
}

#[derive(Deserialize)]
struct PinForm {
    pinned: bool,
}

async fn list(State(state): State<ConsoleState>, session: TenantSession) -> PageResult<Markup> {
    let adapters = state.services.adapters().list(&session.pass).await?;
    let view = ListPage {
        adapters: &adapters,
        may_change: may_change(&session),
        most_bytes: state.services.limits().adapter_bytes,
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Adapters, list_page(&view)))
}

async fn show(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(alias): Path<String>,
) -> PageResult<Markup> {
    let alias = read_alias(&alias)?;
    let generations = state.services.adapters().generations(&session.pass, &alias).await?;
    let body = generations_page(&alias, &generations, may_change(&session), &session.csrf_field());
    Ok(session.page(Page::Adapters, body))
}

async fn roll_back(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(alias): Path<String>,
    CsrfForm(form): CsrfForm<RollbackForm>,
) -> PageResult<Redirect> {
    let alias = read_alias(&alias)?;
    let generation = form
        .generation
        .parse()
        .map_err(|_| Error::not_found("there is no such generation"))?;
    state
        .services
        .adapters()
        .roll_back(&session.pass, &alias, Some(generation))
        .await?;
    Ok(Redirect::to(&format!("{HOME}/{alias}")))
}

async fn pin(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(alias): Path<String>,
    CsrfForm(form): CsrfForm<PinForm>,
) -> PageResult<Redirect> {
    state
        .services
        .adapters()
        .set_pinned(&session.pass, &read_alias(&alias)?, form.pinned)
        .await?;
    Ok(Redirect::to(HOME))
}

async fn delete(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(alias): Path<String>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    state
        .services
        .adapters()
        .delete(&session.pass, &read_alias(&alias)?)
        .await?;
    Ok(Redirect::to(HOME))
}

fn may_change(session: &TenantSession) -> bool {
    session.pass.grants().allow(Scope::Adapters, Access::Write)
}

fn read_alias(alias: &str) -> Result<AdapterAlias> {
    alias
        .parse()
        .map_err(|_| Error::not_found(format!("there is no adapter {alias:?}")))
}

struct ListPage<'a> {
    adapters: &'a [Adapter],
    may_change: bool,
    /// Of the weights.
    most_bytes: u64,
    csrf: Markup,
}

fn list_page(view: &ListPage<'_>) -> Markup {
    html! {
        @if view.may_change { (upload(view)) }
        section aria-labelledby="adapters-title" {
            h2 #adapters-title { "Adapters" }
            @if view.adapters.is_empty() {
                (parts::empty("No adapters yet", &html! {
                    "Train a LoRA adapter of this server's model with PEFT, and upload its two files. A chat uses it as the model "
                    code { "base:alias" } "."
                }))
            } @else { div.scroll tabindex="0" role="region" aria-label="Table of adapters" { table {
                thead { tr {
                    th scope="col" { "Alias" } th scope="col" { "Generation" } th.number scope="col" { "Rank" }
                    th.number scope="col" { "Tensors" } th.number scope="col" { "Size" } th scope="col" { "Uploaded" }
                    th scope="col" { "In memory" }
                    @if view.may_change { th scope="col" { span.visually-hidden { "Actions" } } }
                } }
                tbody { @for adapter in view.adapters { (row(view, adapter)) } }
            } } }
        }
    }
}

fn row(view: &ListPage<'_>, adapter: &Adapter) -> Markup {
    let base = format!("{HOME}/{}", adapter.alias);
    let (action, pinned) = match adapter.pinned {
        true => ("Unpin", "false"),
        false => ("Pin", "true"),
    };
    html! {
        tr {
            th scope="row" { a href=(base) { (adapter.alias) } }
            td { (parts::digest(&adapter.generation)) }
            td.number { (adapter.info.rank) }
            td.number { (adapter.info.tensors) }
            td.number { (format::bytes(adapter.info.bytes)) }
            td { (parts::when(adapter.created)) }
            td { @if adapter.pinned { span.badge.good { "pinned" } } @else { "as it is used" } }
            @if view.may_change { td.actions {
                (parts::button_form(&format!("{base}/pin"), action, &html! {
                    (view.csrf) input type="hidden" name="pinned" value=(pinned);
                }))
                (parts::confirmed_form(&format!("{base}/delete"), "Delete", "The alias and its generations are removed.", &view.csrf))
            } }
        }
    }
}

fn upload(view: &ListPage<'_>) -> Markup {
    html! {
        section aria-labelledby="upload-title" {
            h2 #upload-title { "Upload an adapter" }
            form #adapter-upload data-most-bytes=(view.most_bytes) hidden {
                (view.csrf)
                div.fields {
                    div.field {
                        label for="adapter-alias" { "Alias: a–z, 0–9, - and _" }
                        input #adapter-alias required pattern="[a-z0-9][a-z0-9_\\-]*" maxlength="64" autocomplete="off";
                    }
                    div.field {
                        label for="adapter-config" { code { "adapter_config.json" } }
                        input #adapter-config type="file" accept=".json" required;
                    }
                    div.field {
                        label for="adapter-weights" { code { "adapter_model.safetensors" } ", up to " (format::bytes(view.most_bytes)) }
                        input #adapter-weights type="file" accept=".safetensors" required;
                    }
                }
                div.actions { button.primary type="submit" { "Upload" } }
                p #adapter-state role="status" {}
            }
            noscript { p.notice { "Adapters are sent by a script, which your browser does not run. Use " code { "PUT /v1/adapters/{alias}" } "." } }
            p.muted { "An alias that is there already points to the new generation. Requests in flight finish on the one that they began with." }
        }
    }
}

fn generations_page(alias: &AdapterAlias, generations: &[KeptGeneration], may_change: bool, csrf: &Markup) -> Markup {
    html! {
        p { a href=(HOME) { "All adapters" } }
        h2 { (alias) }
        p.muted { "The generations that are kept, the last upload first. The alias points to one of them." }
        div.scroll tabindex="0" role="region" aria-label="Table of generations" { table {
            thead { tr {
                th scope="col" { "Generation" } th.number scope="col" { "Rank" } th.number scope="col" { "Tensors" }
                th.number scope="col" { "Size" } th scope="col" { "Uploaded" } th scope="col" { "Serves" }
            } }
            tbody { @for generation in generations {
                tr {
                    th scope="row" { (parts::digest(&generation.generation)) }
                    td.number { (generation.info.rank) }
                    td.number { (generation.info.tensors) }
                    td.number { (format::bytes(generation.info.bytes)) }
                    td { (parts::when(generation.created)) }
                    td {
                        @if generation.current { span.badge.good { "current" } }
                        @else if may_change {
                            (parts::button_form(&format!("{HOME}/{alias}/rollback"), "Point the alias here", &html! {
                                (csrf) input type="hidden" name="generation" value=(generation.generation);
                            }))
                        }
                    }
                }
            } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Digest, adapter::AdapterInfo};

    fn generation(bytes: &[u8], current: bool) -> KeptGeneration {
        KeptGeneration {
            generation: Digest::of(bytes),
            info: AdapterInfo {
                rank: 8,
                bytes: 1024,
                tensors: 4,
            },
            created: 0,
            current,
        }
    }

    #[test]
    fn the_alias_can_be_pointed_to_the_others() {
        let generations = [generation(b"new", true), generation(b"old", false)];
        let shown =
            |may_change| generations_page(&"style".parse().unwrap(), &generations, may_change, &html! {}).into_string();
        assert_eq!(shown(true).matches("<button").count(), 1);
        assert_eq!(shown(false).matches("<button").count(), 0);
        assert!(shown(true).contains(&Digest::of(b"old").to_string()));
    }
}
