//! One tenant, for the operator: what it used, its policy, its keys, and its end. Not here: what its forms change (`tenants`).

use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    plot::{self, Bar, Series},
    session::OperatorSession,
    sessions::ShownKey,
    state::ConsoleState,
};
use maud::{Markup, html};
use riad_core::{
    TenantId, Timestamp,
    grants::KeyRole,
    price::Usage,
    tenant::{Key, Tenant},
    usage::{BucketWidth, LedgerScope, UsageBucket, UsageQuery},
};
use riad_services::keys::KeyOwner;
use std::collections::BTreeSet;

const DAY: u64 = 86_400;
/// Of the plot of what it used.
const DAYS: u64 = 30;
/// Keys that are shown.
const KEYS: usize = 200;

struct TenantPage<'a> {
    tenant: &'a Tenant,
    keys: &'a [Key],
    made: Option<&'a ShownKey>,
    buckets: &'a [UsageBucket],
    currency: &'a str,
    csrf: Markup,
}

pub(super) async fn render(state: &ConsoleState, session: &OperatorSession, id: &TenantId) -> PageResult<Markup> {
    let (services, pass) = (&state.services, &session.pass);
    let tenant = services.tenants().get(pass, id).await?;
    let owner = KeyOwner::Named(pass.clone(), id.clone());
    let keys = services.keys().list(&owner, None).await?;
    let end = Timestamp::now().as_seconds();
    let query = UsageQuery {
        scope: LedgerScope::Account(tenant.account),
        start: end.saturating_sub((DAYS - 1) * DAY),
        end,
        width: BucketWidth::Day,
        group_by: BTreeSet::new(),
        keys: Vec::new(),
        models: Vec::new(),
        kinds: Vec::new(),
    };
    let buckets = services.usage().usage_all(pass, query).await?;
    let made = session.take_shown(state);
    let view = TenantPage {
        tenant: &tenant,
        keys: &keys,
        made: made.as_ref(),
        buckets: &buckets,
        currency: services.currency(),
        csrf: session.csrf_field(),
    };
    Ok(session.page(Page::Tenants, page(&view)))
}

fn page(view: &TenantPage<'_>) -> Markup {
    let tenant = view.tenant;
    let base = format!("/console/tenants/{}", tenant.id);
    html! {
        p { a href="/console/tenants" { "All tenants" } }
        h2 { (tenant.name) }
        @if let Some(made) = view.made {
            (parts::new_key(made))
        }
        dl.facts {
            div { dt { "Id" } dd { code { (tenant.id) } } }
            div { dt { "Account" } dd { (tenant.account) } }
            div { dt { "Plan" } dd { (tenant.policy.plan) } }
            div { dt { "Weight" } dd { (tenant.policy.weight) } }
            div { dt { "Made" } dd { (parts::when(tenant.created)) } }
        }
        (used(view))
        (keys(view, &base))
        section aria-labelledby="policy-title" {
            h3 #policy-title { "Policy" }
            (parts::json(&tenant.policy))
            form method="post" action=(base) {
                (view.csrf)
                div.field { label for="name" { "Name" } input #name name="name" required maxlength="128" value=(tenant.name); }
                div.field {
                    label for="policy" { "Change of the policy: a JSON merge patch, in which null takes a member out" }
                    textarea #policy.code name="policy" rows="5" spellcheck="false" placeholder="{\"weight\": 2}" {}
                }
                button.primary type="submit" { "Save" }
            }
        }
        section aria-labelledby="delete-title" {
            h3 #delete-title { "Delete" }
            form method="post" action={ (base) "/delete" } {
                (view.csrf)
                p { "Revokes its keys and removes its room with all documents. Its ledger stays." }
                div.field { label for="confirm" { "Type " code { (tenant.id) } " to confirm" } input #confirm name="confirm" required autocomplete="off"; }
                button.danger type="submit" { "Delete the tenant" }
            }
        }
    }
}

fn used(view: &TenantPage<'_>) -> Markup {
    let results = || view.buckets.iter().flat_map(|bucket| &bucket.results);
    let all = results().fold(Usage::default(), |sum, result| sum.plus(&result.used));
    let cost = results().fold(0_u64, |sum, result| sum.saturating_add(result.cost_nanos));
    let bar = |bucket: &UsageBucket| {
        let tokens = bucket
            .results
            .iter()
            .fold(0_u64, |sum, result| sum.saturating_add(result.used.tokens()));
        Bar {
            label: format::day(bucket.start),
            shown: format!("{} tokens", format::count(tokens)),
            parts: vec![(Series::FIRST, tokens)],
        }
    };
    let bars: Vec<Bar> = view.buckets.iter().map(bar).collect();
    let most = bars
        .iter()
        .flat_map(|bar| &bar.parts)
        .map(|(_, tokens)| *tokens)
        .max()
        .unwrap_or(0);
    html! {
        section aria-labelledby="used-title" {
            h3 #used-title { "The last " (DAYS) " days" }
            (parts::facts(&[
                ("Requests", format::count(all.requests)),
                ("Tokens", format::count(all.tokens())),
                ("Cost", format::money(cost, view.currency)),
            ]))
            @if all.tokens() > 0 {
                (plot::columns(&format!("Tokens by day, the last {DAYS} days, at most {} in a day", format::count(most)), &bars, &format!("{} tokens", format::short_count(most))))
            }
        }
    }
}

fn keys(view: &TenantPage<'_>, base: &str) -> Markup {
    html! {
        section aria-labelledby="keys-title" {
            h3 #keys-title { "Keys" }
            @if view.keys.is_empty() { (parts::empty("No keys", &html! { "Make one below: without a key nobody can ask as this tenant." })) }
            @else {
                div.scroll tabindex="0" role="region" aria-label="Table of keys" { table {
                    thead { tr {
                        th scope="col" { "Name" } th scope="col" { "Key" } th scope="col" { "Role" } th scope="col" { "Made" } th scope="col" { "Last used" }
                        th scope="col" { span.visually-hidden { "Actions" } }
                    } }
                    tbody { @for key in view.keys.iter().take(KEYS) {
                        tr {
                            th scope="row" { (key.name) }
                            td { code { (key.prefix) "…" } }
                            td { (key.grants.role) }
                            td { (parts::when(key.created)) }
                            td { @match key.last_used { Some(used) => (parts::when(used)), None => "never" } }
                            td.actions {
                                (parts::confirmed_form(&format!("{base}/keys/{}/revoke", key.id), "Revoke", "Requests with this key are refused from now on.", &view.csrf))
                            }
                        }
                    } }
                } }
            }
            details {
                summary { "Make a key" }
                form method="post" action={ (base) "/keys" } {
                    (view.csrf)
                    div.fields {
                        div.field { label for="key-name" { "Name" } input #key-name name="name" required maxlength="128" autocomplete="off"; }
                        div.field {
                            label for="key-role" { "Role" }
                            select #key-role name="role" { @for role in KeyRole::ALL { option value=(role) selected[role == KeyRole::Admin] { (role) } } }
                        }
                    }
                    button.primary type="submit" { "Make the key" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Account, policy::Policy};

    #[test]
    fn a_tenants_name_is_text() {
        let tenant = Tenant {
            id: "acme".parse().unwrap(),
            account: Account::new(1),
            name: "<script>alert(1)</script>".to_owned(),
            created: 0,
            policy: Policy::default(),
            succeeds: false,
        };
        let view = TenantPage {
            tenant: &tenant,
            keys: &[],
            made: None,
            buckets: &[],
            currency: "usd",
            csrf: html! { input type="hidden" name="csrf"; },
        };
        let html = page(&view).into_string();
        assert!(!html.contains("<script>") && html.contains("No keys"), "{html}");
        assert_eq!(
            html.matches("method=\"post\"").count(),
            html.matches("name=\"csrf\"").count()
        );
    }
}
