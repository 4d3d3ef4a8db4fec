//! Tenants: finding, making and deleting them. Not here: what they keep in their rooms.

use super::tenant_page;
use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    layout::Page,
    parts::{self, format},
    session::OperatorSession,
    sessions::ShownKey,
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{Path, Query, State},
    response::Redirect,
    routing::{get, post},
};
use maud::{Markup, html};
use riad_core::{
    Error, KeyId, Result, TenantId,
    grants::{Grants, KeyRole},
    policy::Budget,
    tenant::Tenant,
};
use riad_services::keys::{KeyOwner, KeyRequest};
use serde::Deserialize;
use serde_json::{Value, json};

const HOME: &str = "/console/tenants";
/// Rows of a table; a search finds the others.
const SHOWN: usize = 200;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/tenants", get(list).post(create))
        .route("/console/tenants/{id}", get(show).post(change))
        .route("/console/tenants/{id}/delete", post(delete))
        .route("/console/tenants/{id}/keys", post(create_key))
        .route("/console/tenants/{id}/keys/{key}/revoke", post(revoke_key))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Search {
    q: String,
}

#[derive(Deserialize)]
struct NewTenant {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct NewKeyForm {
    name: String,
    role: String,
}

#[derive(Deserialize)]
struct PolicyForm {
    name: String,
    /// A JSON merge patch of the policy.
    policy: String,
}

#[derive(Deserialize)]
struct DeleteForm {
    /// The tenant's id, typed.
    confirm: String,
}

async fn list(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Query(search): Query<Search>,
) -> PageResult<Markup> {
    render(&state, &session, &search.q).await
}

async fn create(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    CsrfForm(form): CsrfForm<NewTenant>,
) -> PageResult<Redirect> {
    let id: TenantId = form.id.trim().parse().map_err(|error: Error| error.with_param("id"))?;
    let (tenant, key) = state
        .services
        .tenants()
        .create(&session.pass, id, &form.name, &json!({}))
        .await?;
    let shown = ShownKey {
        title: format!("The first key of {}, with which you sign in as its admin", tenant.name),
        secret: key.secret,
    };
    session.show_once(&state, shown);
    Ok(Redirect::to(&format!("{HOME}/{}", tenant.id)))
}

async fn show(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Path(id): Path<String>,
) -> PageResult<Markup> {
    tenant_page::render(&state, &session, &read_id(&id)?).await
}

async fn create_key(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<NewKeyForm>,
) -> PageResult<Redirect> {
    let id = read_id(&id)?;
    let owner = KeyOwner::Named(session.pass.clone(), id.clone());
    let role: KeyRole = form.role.parse().map_err(|error: Error| error.with_param("role"))?;
    let request = KeyRequest {
        name: form.name,
        grants: Grants {
            role,
            ..Grants::default()
        },
        ..KeyRequest::default()
    };
    let made = state.services.keys().create(&owner, request).await?;
    session.show_once(&state, parts::shown_key(made));
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

async fn revoke_key(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Path((id, key)): Path<(String, String)>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    let id = read_id(&id)?;
    let key: KeyId = key
        .parse()
        .map_err(|_| Error::not_found(format!("there is no key {key:?}")))?;
    let owner = KeyOwner::Named(session.pass.clone(), id.clone());
    state.services.keys().revoke(&owner, &key).await?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

async fn change(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<PolicyForm>,
) -> PageResult<Redirect> {
    let id = read_id(&id)?;
    let patch: Value = match form.policy.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).map_err(|error| {
            Error::invalid(format!("the change of the policy must be a JSON object: {error}")).with_param("policy")
        })?,
    };
    state
        .services
        .tenants()
        .change(&session.pass, &id, Some(&form.name), &patch)
        .await?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

async fn delete(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<DeleteForm>,
) -> PageResult<Redirect> {
    let id = read_id(&id)?;
    if form.confirm.trim() != id.as_str() {
        return Err(Error::invalid(format!("type {id} to delete it; nothing was deleted"))
            .with_param("confirm")
            .into());
    }
    state.services.tenants().delete(&session.pass, &id).await?;
    Ok(Redirect::to(HOME))
}

fn read_id(id: &str) -> Result<TenantId> {
    id.parse()
        .map_err(|_| Error::not_found(format!("there is no tenant {id:?}")))
}

async fn render(state: &ConsoleState, session: &OperatorSession, search: &str) -> PageResult<Markup> {
    let tenants = state.services.tenants().list(&session.pass).await?;
    let wanted = search.trim().to_lowercase();
    let matches =
        |tenant: &&Tenant| tenant.id.as_str().contains(&wanted) || tenant.name.to_lowercase().contains(&wanted);
    let found: Vec<&Tenant> = tenants.iter().filter(matches).collect();
    let body = page(tenants.len(), &found, search, &session.csrf_field());
    Ok(session.page(Page::Tenants, body))
}

fn page(count: usize, found: &[&Tenant], search: &str, csrf: &Markup) -> Markup {
    html! {
        details open[count == 0] {
            summary { "Make a tenant" }
            form method="post" action=(HOME) {
                (csrf)
                div.fields {
                    div.field {
                        label for="id" { "Id: a–z, 0–9, - and _; it stays" }
                        input #id name="id" required pattern="[a-z0-9][a-z0-9_\\-]*" maxlength="64" autocomplete="off";
                    }
                    div.field { label for="name" { "Name" } input #name name="name" required maxlength="128" autocomplete="off"; }
                }
                button.primary type="submit" { "Make the tenant" }
            }
        }
        @if count == 0 {
            (parts::empty("No tenants yet", &html! { "Make one above. It gets a room of its own and a first key." }))
        } @else {
            form.search role="search" method="get" action=(HOME) {
                div.field.wide { label for="q" { "Find by id or name" } input #q name="q" type="search" value=(search); }
                button type="submit" { "Find" }
            }
            p.muted { (format::count(found.len() as u64)) " of " (format::count(count as u64)) " tenants" @if found.len() > SHOWN { ", the first " (SHOWN) " shown" } }
            div.scroll tabindex="0" role="region" aria-label="Table of tenants" { table {
                thead { tr {
                    th scope="col" { "Tenant" } th scope="col" { "Name" } th scope="col" { "Plan" } th.number scope="col" { "Weight" }
                    th scope="col" { "Budget" } th scope="col" { "Made" }
                } }
                tbody { @for tenant in found.iter().take(SHOWN) {
                    tr {
                        th scope="row" { a href={ (HOME) "/" (tenant.id) } { (tenant.id) } }
                        td { (tenant.name) }
                        td { (tenant.policy.plan) }
                        td.number { (tenant.policy.weight) }
                        td { (budget(&tenant.policy.budget)) }
                        td { (parts::when(tenant.created)) }
                    }
                } }
            } }
        }
    }
}

fn budget(budget: &Budget) -> &'static str {
    if budget.limits_something() { "limited" } else { "none" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Account, policy::Policy};

    fn tenant(name: &str) -> Tenant {
        Tenant {
            id: "acme".parse().unwrap(),
            account: Account::new(1),
            name: name.to_owned(),
            created: 0,
            policy: Policy::default(),
            succeeds: false,
        }
    }

    #[test]
    fn a_tenants_name_is_text() {
        let tenant = tenant("<script>alert(1)</script>");
        let html = page(1, &[&tenant], "\"><script>", &html! {}).into_string();
        assert!(!html.contains("<script>"), "{html}");
    }

    #[test]
    fn an_empty_list_opens_the_form() {
        assert!(page(0, &[], "", &html! {}).into_string().contains("<details open>"));
        assert!(
            !page(1, &[&tenant("x")], "", &html! {})
                .into_string()
                .contains("<details open>")
        );
    }
}
