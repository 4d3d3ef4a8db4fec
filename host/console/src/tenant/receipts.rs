//! A tenant's receipts: what each request cost and was served by, with its signature and its place in the chain checked.

use crate::{
    error::PageResult,
    form::CsrfForm,
    layout::Page,
    parts::{self, format},
    session::TenantSession,
    state::ConsoleState,
};
use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use maud::{Markup, html};
use riad_core::{
    Error, Result,
    ledger::{Entry, Outcome},
    receipt::{Receipt, SignedReceipt},
};
use riad_services::metering::receipts::{PublicKey, follows, verify_receipt};
use serde::Deserialize;
use serde_json::Value;

const LISTED: u32 = 25;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/receipts", get(list))
        .route("/console/receipts/verify", get(verify_page).post(verify))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListQuery {
    before: String,
}

#[derive(Deserialize)]
struct VerifyForm {
    jws: String,
}

/// An entry, and what is wrong with its receipt; empty if nothing is.
struct Checked<'a> {
    entry: &'a Entry,
    fault: String,
}

async fn list(
    State(state): State<ConsoleState>,
    session: TenantSession,
    Query(query): Query<ListQuery>,
) -> PageResult<Markup> {
    let usage = state.services.usage();
    // One more than is shown, so that the last one's link to the one before can be checked.
    let before = match query.before.as_str() {
        "" => None,
        number => Some(number.parse().map_err(|_| {
            Error::invalid(format!("before must be the number of a receipt, not {number:?}")).with_param("before")
        })?),
    };
    let found = usage.newest_receipts(&session.pass, before, LISTED + 1).await?;
    let checked = check(&found.items, &usage.receipt_keys());
    let shown: Vec<_> = checked.into_iter().rev().take(LISTED as usize).collect();
    let next = shown.last().map(|last| last.entry.number).filter(|number| *number > 1);
    let body = page(&shown, next, before.is_some(), state.services.currency());
    Ok(session.page(Page::Receipts, body))
}

async fn verify_page(session: TenantSession) -> PageResult<Markup> {
    Ok(session.page(Page::Receipts, verify_form("", None, &session.csrf_field())))
}

async fn verify(
    State(state): State<ConsoleState>,
    session: TenantSession,
    CsrfForm(form): CsrfForm<VerifyForm>,
) -> PageResult<Markup> {
    let jws = form.jws.trim();
    let verified = verified(jws, &state.services.usage().receipt_keys());
    let body = verify_form(jws, Some((&verified, state.services.currency())), &session.csrf_field());
    Ok(session.page(Page::Receipts, body))
}

/// A receipt with a good signature by one of the keys.
///
/// # Errors
/// `InvalidRequest` says what is wrong with it.
pub(crate) fn verified(jws: &str, keys: &Value) -> Result<Receipt> {
    let keys = PublicKey::from_jwks(keys)?;
    let mut tried = keys.iter().map(|key| verify_receipt(jws, key));
    let first = tried
        .next()
        .unwrap_or_else(|| Err(riad_core::Error::invalid("there is no key to verify receipts with")));
    tried.fold(first, |found, tried| found.or(tried))
}

/// Entries of an account in the order of their numbers.
fn check<'a>(entries: &'a [Entry], keys: &Value) -> Vec<Checked<'a>> {
    let mut before: Option<SignedReceipt> = None;
    let mut checked = Vec::new();
    for entry in entries {
        let fault = match verified(&entry.receipt, keys) {
            Err(error) => {
                before = None;
                error.message().to_owned()
            }
            Ok(receipt) => {
                let differences = receipt.differences(entry);
                let is_linked = before.as_ref().is_none_or(|before| follows(&receipt, before));
                before = Some(SignedReceipt {
                    receipt,
                    jws: entry.receipt.clone(),
                });
                match (differences.is_empty(), is_linked) {
                    (true, true) => String::new(),
                    (false, _) => format!("it differs from the ledger in {}", differences.join(", ")),
                    (true, false) => "it does not follow the receipt before it".to_owned(),
                }
            }
        };
        checked.push(Checked { entry, fault });
    }
    checked
}

fn page(shown: &[Checked<'_>], next: Option<u64>, is_later: bool, currency: &str) -> Markup {
    html! {
        p {
            "Every request has a signed receipt, chained to the one before it. "
            a href="/console/receipts/verify" { "Verify a receipt" } " · "
            a href="/v1/receipts/keys" { "public keys" }
        }
        @if shown.is_empty() {
            (parts::empty("No receipts yet", &html! {
                "Ask something in the " a href="/console/playground" { "playground" } "; its receipt appears here."
            }))
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Table of receipts" { table {
                thead { tr {
                    th.number scope="col" { "Number" } th scope="col" { "Settled" } th scope="col" { "Kind" } th scope="col" { "Model" }
                    th scope="col" { "Outcome" } th.number scope="col" { "Tokens" } th.number scope="col" { "Cost" }
                    th scope="col" { "Checked" } th scope="col" { "Request" }
                } }
                tbody { @for checked in shown { (row(checked, currency)) } }
            } }
            nav.pages aria-label="Pages" {
                @if is_later { a href="/console/receipts" { "Newest" } }
                @if let Some(next) = next { a rel="next" href={ "/console/receipts?before=" (next) } { "Older" } }
            }
        }
    }
}

fn row(checked: &Checked<'_>, currency: &str) -> Markup {
    let entry = checked.entry;
    let outcome = match entry.outcome {
        Outcome::Completed => "badge good",
        Outcome::Cancelled | Outcome::Refused => "badge",
        Outcome::TimedOut | Outcome::EngineFailed | Outcome::PluginFailed | Outcome::Abandoned => "badge bad",
    };
    html! {
        tr {
            th.number scope="row" { (format::count(entry.number)) }
            td { (parts::when(entry.at_ms / 1000)) }
            td { (entry.purpose.kind) }
            td { (entry.purpose.model) @if let Some(adapter) = &entry.purpose.adapter { ":" (adapter) } }
            td { span class=(outcome) { (entry.outcome) } }
            td.number { (format::count(entry.used.tokens())) }
            td.number { (format::money(entry.cost_nanos, currency)) }
            td {
                @if checked.fault.is_empty() { span.badge.good { "verified" } }
                @else { span.badge.bad { (checked.fault) } }
            }
            td {
                details { summary { code { (entry.request) } } pre.wrap { (entry.receipt) } }
            }
        }
    }
}

fn verify_form(jws: &str, verified: Option<(&Result<Receipt>, &str)>, csrf: &Markup) -> Markup {
    html! {
        p { a href="/console/receipts" { "All receipts" } }
        h2 { "Verify a receipt" }
        @match verified {
            None => {},
            Some((Err(error), _)) => p.notice.error role="alert" { (error.message_for_client()) },
            Some((Ok(receipt), currency)) => {
                p.notice.good role="status" { "This server has signed it." }
                dl.facts {
                    div { dt { "Tenant" } dd { (receipt.tenant) } }
                    div { dt { "Number" } dd { (format::count(receipt.number)) } }
                    div { dt { "Settled" } dd { (parts::when(receipt.at_ms / 1000)) } }
                    div { dt { "Model" } dd { (receipt.model) } }
                    div { dt { "Outcome" } dd { (receipt.outcome) } }
                    div { dt { "Cost" } dd { (format::money(receipt.cost_nanos, currency)) } }
                }
                details { summary { "All that it says" } (parts::json(receipt)) }
            },
        }
        form method="post" action="/console/receipts/verify" {
            (csrf)
            div.field {
                label for="jws" { "A receipt, as a compact JWS: three parts with points between them" }
                textarea #jws.code name="jws" rows="8" required spellcheck="false" { (jws) }
            }
            button.primary type="submit" { "Verify" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_receipt_is_shown_as_text() {
        let keys =
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
        let verified = verified("<script>.x.y", &keys);
        assert!(verified.is_err());
        let html = verify_form("</textarea><script>", Some((&verified, "usd")), &html! {}).into_string();
        assert!(!html.contains("<script"), "{html}");
    }
}
