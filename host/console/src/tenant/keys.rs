//! A tenant's keys, for its admins: making, rotating and revoking them. A new key is shown once, on the page after the form that makes it.

use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    layout::Page,
    parts::{self, format},
    session::TenantSession,
    sessions::ShownKey,
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
    Error, KeyId, Result, Timestamp,
    grants::{Grants, KeyRole, Scope},
    policy::Budget,
    tenant::Key,
};
use riad_services::keys::{KeyOwner, KeyRequest};
use serde::Deserialize;
use std::collections::BTreeMap;

const HOME: &str = "/console/keys";
const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;
/// A day: long enough to bring the new key to every program.
const OVERLAP_HOURS: u64 = 24;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/keys", get(list).post(create))
        .route("/console/keys/{id}/rotate", post(rotate))
        .route("/console/keys/{id}/revoke", post(revoke))
}

#[derive(Deserialize)]
struct NewKeyForm {
    name: String,
    role: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    monthly_tokens: String,
    /// With each scope `scope.<name>` that is checked.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RotateForm {
    hours: String,
}

async fn list(State(state): State<ConsoleState>, session: TenantSession) -> PageResult<Markup> {
    let owner = KeyOwner::own(&session.pass)?;
    let keys = state.services.keys().list(&owner, None).await?;
    let made = session.take_shown(&state);
    let view = KeysPage {
        keys: &keys,
        made: made.as_ref(),
        own: session.pass.key(),
        grants: session.pass.grants(),
        // Such a key makes and changes no keys.
        is_bound: session.pass.is_bound(),
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Keys, page(&view)))
}

async fn create(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<NewKeyForm>,
) -> PageResult<Redirect> {
    let owner = KeyOwner::own(&session.pass)?;
    let made = state.services.keys().create(&owner, form.request()?).await?;
    session.show_once(&state, parts::shown_key(made));
    Ok(Redirect::to(HOME))
}

async fn rotate(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(id): Path<String>,
    CsrfForm(form): CsrfForm<RotateForm>,
) -> PageResult<Redirect> {
    let owner = KeyOwner::own(&session.pass)?;
    let hours = number("hours", &form.hours)?.unwrap_or(OVERLAP_HOURS);
    let made = state
        .services
        .keys()
        .rotate(&owner, &read_id(&id)?, hours.saturating_mul(HOUR))
        .await?;
    session.show_once(&state, parts::shown_key(made));
    Ok(Redirect::to(HOME))
}

async fn revoke(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Path(id): Path<String>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Redirect> {
    let owner = KeyOwner::own(&session.pass)?;
    state.services.keys().revoke(&owner, &read_id(&id)?).await?;
    Ok(Redirect::to(HOME))
}

fn read_id(id: &str) -> Result<KeyId> {
    id.parse()
        .map_err(|_| Error::not_found(format!("there is no key {id:?}")))
}

impl NewKeyForm {
    fn request(&self) -> Result<KeyRequest> {
        let role: KeyRole = self.role.parse().map_err(|error: Error| error.with_param("role"))?;
        let is_checked = |scope: &Scope| self.others.contains_key(&format!("scope.{scope}"));
        let days: Option<u64> = number("days", &self.days)?;
        if days == Some(0) {
            return Err(
                Error::invalid("days must be at least 1, or nothing for a key without an end").with_param("days"),
            );
        }
        Ok(KeyRequest {
            name: self.name.clone(),
            grants: Grants {
                role,
                scopes: Scope::ALL.into_iter().filter(is_checked).collect(),
            },
            budget: Budget {
                monthly_tokens: number("monthly_tokens", &self.monthly_tokens)?,
                ..Budget::default()
            },
            expires: days.map(|days| Timestamp::now().as_seconds().saturating_add(days.saturating_mul(DAY))),
        })
    }
}

fn number(name: &str, text: &str) -> Result<Option<u64>> {
    match text.trim() {
        "" => Ok(None),
        text => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::invalid(format!("{name} must be a whole number, not {text:?}")).with_param(name)),
        },
    }
}

struct KeysPage<'a> {
    keys: &'a [Key],
    made: Option<&'a ShownKey>,
    /// The key of the session.
    own: &'a KeyId,
    grants: &'a Grants,
    is_bound: bool,
    csrf: Markup,
}

fn page(view: &KeysPage<'_>) -> Markup {
    html! {
        @if let Some(made) = view.made { (parts::new_key(made)) }
        @if view.is_bound {
            p.notice { "This key has an end or a budget of its own, so that it makes and changes no keys. Sign in with an admin's key without one." }
        } @else { (making(view)) }
        section aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            div.scroll tabindex="0" role="region" aria-label="Table of keys" { table {
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Key" } th scope="col" { "Role and scopes" }
                    th scope="col" { "Budget" } th scope="col" { "Made" } th scope="col" { "Last used" } th scope="col" { "Ends" }
                    @if !view.is_bound { th scope="col" { span.visually-hidden { "Actions" } } }
                } }
                tbody { @for key in view.keys { (key_row(view, key)) } }
            } }
        }
    }
}

fn making(view: &KeysPage<'_>) -> Markup {
    html! {
        details open[view.keys.len() < 2] {
            summary { "Make a key" }
            form method="post" action=(HOME) {
                (view.csrf)
                div.fields {
                    div.field { label for="name" { "Name" } input #name name="name" required maxlength="128"; }
                    div.field {
                        label for="role" { "Role" }
                        select #role name="role" {
                            @for role in KeyRole::ALL.into_iter().filter(|role| *role <= view.grants.role) {
                                option value=(role) selected[role == KeyRole::User] { (role) }
                            }
                        }
                    }
                    div.field { label for="days" { "Ends after days" } input #days name="days" type="number" min="1" placeholder="never"; }
                    div.field {
                        label for="monthly_tokens" { "Tokens per month" }
                        input #monthly_tokens name="monthly_tokens" type="number" min="1" placeholder="the tenant's budget";
                    }
                }
                fieldset.choices {
                    legend { "Scopes" }
                    @for scope in &view.grants.scopes {
                        label { input type="checkbox" name={ "scope." (scope) } checked; " " (scope) }
                    }
                }
                button.primary type="submit" { "Make the key" }
            }
        }
    }
}

fn key_row(view: &KeysPage<'_>, key: &Key) -> Markup {
    let scopes: Vec<&str> = key.grants.scopes.iter().map(|scope| scope.as_str()).collect();
    let base = format!("{HOME}/{}", key.id);
    // The service refuses the others.
    let may_change = !view.is_bound && key.grants.within(view.grants);
    html! {
        tr {
            th scope="row" { (key.name) @if key.id == *view.own { " " span.badge { "this session" } } }
            td { code { (key.prefix) "…" } }
            td { (key.grants.role) span.muted { ": " (scopes.join(", ")) } }
            td { (budget(&key.budget)) }
            td { (parts::when(key.created)) }
            td { @match key.last_used { Some(used) => (parts::when(used)), None => "never" } }
            td { @match key.expires { Some(ends) => (parts::when(ends)), None => "never" } }
            @if !view.is_bound {
                td.actions { @if may_change {
                    details.confirm {
                        summary.button { "Rotate" }
                        form.inline method="post" action={ (base) "/rotate" } {
                            (view.csrf)
                            div.field {
                                label for={ "hours-" (key.id) } { "Hours for which the old key goes on working" }
                                input id={ "hours-" (key.id) } name="hours" type="number" min="0" value=(OVERLAP_HOURS) required;
                            }
                            button type="submit" { "Make the new key" }
                        }
                    }
                    (parts::confirmed_form(&format!("{base}/revoke"), "Revoke", "Requests with this key are refused from now on.", &view.csrf))
                } }
            }
        }
    }
}

fn budget(budget: &Budget) -> String {
    let limits = [
        ("per day", budget.daily_tokens),
        ("per month", budget.monthly_tokens),
        ("in all", budget.total_tokens),
    ];
    let tokens = limits
        .iter()
        .filter_map(|(per, most)| most.map(|most| format!("{} tokens {per}", format::count(most))));
    let shown: Vec<String> = tokens.collect();
    match (shown.is_empty(), budget.limits_something()) {
        (true, false) => "the tenant's".to_owned(),
        (true, true) => "limited in money".to_owned(),
        (false, _) => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Secret;

    fn key(name: &str, role: KeyRole) -> Key {
        Key {
            id: format!("key_{name}").parse().unwrap(),
            name: name.to_owned(),
            prefix: "riad_sk_abc".to_owned(),
            grants: Grants {
                role,
                ..Grants::default()
            },
            budget: Budget::default(),
            created: 0,
            expires: None,
            last_used: None,
        }
    }

    fn shown(is_bound: bool, made: Option<&ShownKey>) -> String {
        let keys = [key("first", KeyRole::Admin), key("second", KeyRole::User)];
        let view = KeysPage {
            keys: &keys,
            made,
            own: &keys[0].id,
            grants: &Grants::default(),
            is_bound,
            csrf: html! { input type="hidden" name="csrf" value="t"; },
        };
        page(&view).into_string()
    }

    #[test]
    fn a_secret_is_shown_once() {
        let made = ShownKey {
            title: "The key third".to_owned(),
            secret: Secret::new("riad_sk_secret".to_owned()),
        };
        assert!(shown(false, Some(&made)).contains("riad_sk_secret"));
        assert!(!shown(false, None).contains("riad_sk_secret"));
    }

    #[test]
    fn a_bound_key_changes_nothing() {
        assert!(!shown(true, None).contains("<button"));
        assert_eq!(shown(false, None).matches("Revoke</button>").count(), 2);
    }

    #[test]
    fn scopes_are_those_that_are_checked() {
        let form = NewKeyForm {
            name: "x".to_owned(),
            role: "user".to_owned(),
            days: String::new(),
            monthly_tokens: "5".to_owned(),
            others: [
                ("scope.chat".to_owned(), "on".to_owned()),
                ("csrf".to_owned(), "t".to_owned()),
            ]
            .into(),
        };
        let request = form.request().unwrap();
        assert_eq!(request.grants.scopes, [Scope::Chat].into());
        assert_eq!((request.expires, request.budget.monthly_tokens), (None, Some(5)));
    }
}
