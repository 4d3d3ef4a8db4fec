//! Tenants: finding, making and deleting them. Not here: what they keep in their rooms.

mod paging;
mod usage;

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
use paging::{Found, PageQuery};
use riad_core::{
    Error, KeyId, Result, TenantId,
    grants::{Grants, KeyRole},
    policy::Budget,
    tenant::Tenant,
};
use riad_services::keys::{KeyOwner, KeyRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use usage::Days;

const HOME: &str = "/console/tenants";

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/tenants", get(list).post(create))
        .route("/console/tenants/{id}", get(show).post(change))
        .route("/console/tenants/{id}/delete", post(delete))
        .route("/console/tenants/{id}/keys", post(create_key))
        .route("/console/tenants/{id}/keys/{key}/revoke", post(revoke_key))
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
    Query(query): Query<PageQuery>,
) -> PageResult<Markup> {
    let found = paging::find(&state, &session.pass, &query).await?;
    let mut days = Vec::new();
    for tenant in &found.tenants {
        days.push(usage::days(&state, &session.pass, tenant.account).await?);
    }
    Ok(session.page(Page::Tenants, page(&found, &days, &query, &session.csrf_field())))
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

fn page(found: &Found, days: &[Days], query: &PageQuery, csrf: &Markup) -> Markup {
    let has_none = query.is_whole() && found.tenants.is_empty();
    html! {
        details open[has_none] {
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
        @if has_none {
            (parts::empty("No tenants yet", &html! { "Make one above. It gets a room of its own and a first key." }))
        } @else {
            (paging::search(HOME, query))
            @if found.tenants.is_empty() {
                (parts::empty("No tenant was found", &html! { "Look for a part of an id or of a name." }))
            } @else { (table(&found.tenants, days)) }
            (paging::links(HOME, query, found.next.as_ref()))
        }
    }
}

fn table(tenants: &[Tenant], days: &[Days]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of tenants" { table {
            thead { tr {
                th scope="col" { "Tenant" } th scope="col" { "Name" } th scope="col" { "Plan" } th.number scope="col" { "Weight" }
                th scope="col" { "Budget" } th.number scope="col" { "Tokens, 30 days" } th scope="col" { "By day" } th scope="col" { "Made" }
            } }
            tbody { @for (tenant, days) in tenants.iter().zip(days) {
                tr {
                    th scope="row" { a href={ (HOME) "/" (tenant.id) } { (tenant.id) } }
                    td { (tenant.name) }
                    td { (tenant.policy.plan) }
                    td.number { (tenant.policy.weight) }
                    td { (budget(&tenant.policy.budget)) }
                    td.number { (format::count(days.tokens.iter().sum())) }
                    td { (days.spark()) }
                    td { (parts::when(tenant.created)) }
                }
            } }
        } }
    }
}

fn budget(budget: &Budget) -> String {
    let tokens = [
        ("day", budget.daily_tokens),
        ("month", budget.monthly_tokens),
        ("tenant", budget.total_tokens),
    ];
    let mut limits = tokens.iter().filter_map(|(per, most)| most.map(|most| (per, most)));
    match (limits.next(), budget.limits_something()) {
        (Some((per, most)), _) => format!("{} tokens per {per}", format::short_count(most)),
        (None, true) => "limited in money".to_owned(),
        (None, false) => "none".to_owned(),
    }
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
        let query = PageQuery {
            q: "\"><script>".to_owned(),
            after: String::new(),
        };
        let html = page(&found(tenant), &[Days::default()], &query, &html! {}).into_string();
        assert!(!html.contains("<script>"), "{html}");
    }

    fn found(tenant: Tenant) -> Found {
        Found {
            tenants: vec![tenant],
            next: None,
        }
    }

    #[test]
    fn an_empty_list_opens_the_form() {
        let shown = |found: &Found| page(found, &[Days::default()], &PageQuery::default(), &html! {}).into_string();
        let nobody = Found {
            tenants: Vec::new(),
            next: None,
        };
        assert!(shown(&nobody).contains("<details open>"));
        assert!(!shown(&found(tenant("x"))).contains("<details open>"));
    }

    #[test]
    fn a_budget_is_short_and_has_its_unit() {
        let monthly = Budget {
            monthly_tokens: Some(2_000_000),
            ..Budget::default()
        };
        let money = Budget {
            total_micros: Some(5),
            ..Budget::default()
        };
        assert_eq!(
            budget(&monthly),
            format!("{} tokens per month", format::short_count(2_000_000))
        );
        assert_eq!(budget(&money), "limited in money");
        assert_eq!(budget(&Budget::default()), "none");
    }
}
