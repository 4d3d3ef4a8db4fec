//! Who got which share of the engine in the last minutes against their weight, and who was refused and why. Not here: who is next, which the queue
//! decides (`services::fair`).

use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    plot::{self, Bar, Series},
    session::OperatorSession,
    state::ConsoleState,
};
use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use riad_core::ErrorKind;
use riad_services::{
    TimeClasses,
    metering::{RecentAccount, RecentActivity},
};

/// Rows of the table.
const SHOWN: usize = 100;
/// Bars of the plot.
const PLOTTED: usize = 12;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route("/console/fairness", get(show))
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let recent = state.services.scale().recent(&session.pass);
    Ok(session.page(Page::Fairness, page(&recent)))
}

fn page(recent: &RecentActivity) -> Markup {
    let accounts = &recent.accounts;
    html! {
        p.muted {
            "Requests that ended in the last " (format::duration(recent.covered)) ". Tenants that want the engine at the same time get tokens by their weight; "
            "one that asks for less gets what it asks for."
        }
        @if accounts.is_empty() {
            (parts::empty("No requests in the last 15 minutes", &html! { "Shares appear here as soon as tenants ask." }))
        } @else {
            section {
                h2 { "Share of the tokens" }
                (plot::bars("Share of the tokens that were computed, by tenant; the table below has the numbers", &bars(recent)))
            }
            section aria-labelledby="tenants-title" {
                h2 #tenants-title { "By tenant" }
                @if accounts.len() > SHOWN { p.muted { "The " (SHOWN) " with the most tokens of " (format::count(accounts.len() as u64)) "." } }
                div.scroll tabindex="0" role="region" aria-label="Table of tenants" { (table(recent)) }
            }
        }
    }
}

fn bars(recent: &RecentActivity) -> Vec<Bar> {
    let bar = |account: &RecentAccount| Bar {
        label: account.tenant.to_string(),
        shown: format::share(account.sums.tokens, recent.all.tokens),
        parts: vec![(Series::FIRST, account.sums.tokens)],
    };
    recent.accounts.iter().take(PLOTTED).map(bar).collect()
}

fn table(recent: &RecentActivity) -> Markup {
    // Of those that asked for anything.
    let weights: u64 = recent.accounts.iter().map(|account| u64::from(account.weight)).sum();
    html! {
        table {
            thead { tr {
                th scope="col" { "Tenant" } th.number scope="col" { "Weight" } th.number scope="col" { "Share by weight" }
                th.number scope="col" { "Share of tokens" } th.number scope="col" { "Tokens computed" } th.number scope="col" { "Requests" }
                th.number scope="col" { "Queue p50" } th.number scope="col" { "Queue p99" }
                th.number scope="col" { "First token p50" } th.number scope="col" { "First token p99" }
                th scope="col" { "Refused or failed" }
            } }
            tbody { @for account in recent.accounts.iter().take(SHOWN) {
                @let sums = &account.sums;
                tr {
                    th scope="row" { a href={ "/console/tenants/" (account.tenant) } { (account.tenant) } }
                    td.number { (account.weight) }
                    td.number { (format::share(account.weight.into(), weights)) }
                    td.number { (format::share(sums.tokens, recent.all.tokens)) }
                    td.number { (format::count(sums.tokens)) }
                    td.number { (format::count(sums.requests)) }
                    td.number { (within(&sums.queued, 0.5)) }
                    td.number { (within(&sums.queued, 0.99)) }
                    td.number { (within(&sums.first_token, 0.5)) }
                    td.number { (within(&sums.first_token, 0.99)) }
                    td { (reasons(&sums.errors)) }
                }
            } }
        }
    }
}

fn within(times: &TimeClasses, share: f64) -> String {
    times
        .time_of_share(share)
        .map_or("–".to_owned(), |time| format!("≤ {}", format::duration(time)))
}

fn reasons(errors: &[(ErrorKind, u64)]) -> String {
    if errors.is_empty() {
        return "none".to_owned();
    }
    let mut errors = errors.to_vec();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words: Vec<_> = errors
        .iter()
        .map(|(kind, count)| format!("{} {}", format::count(*count), reason(*kind)))
        .collect();
    words.join(", ")
}

fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Busy => "over a limit or the queue was full",
        ErrorKind::QuotaExceeded => "over the budget",
        ErrorKind::StorageFull => "over the stored bytes",
        ErrorKind::Timeout => "too slow",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::PluginFailed => "a plugin failed",
        ErrorKind::PluginLimit => "a plugin broke a limit",
        ErrorKind::AdapterFailed => "an adapter failed",
        ErrorKind::Internal | ErrorKind::Unavailable => "the server failed",
        ErrorKind::Unauthenticated | ErrorKind::Forbidden | ErrorKind::Misdirected => "not allowed",
        ErrorKind::NotFound | ErrorKind::ModelNotFound => "not found",
        ErrorKind::Conflict => "in conflict",
        ErrorKind::ContextTooLong | ErrorKind::TooLarge => "too long",
        ErrorKind::InvalidRequest | ErrorKind::UnsupportedFile | ErrorKind::UnreadableFile => "not understood",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_services::metering::RecentSums;

    #[test]
    fn shares_stand_beside_weights_and_reasons() {
        let account = |tenant: &str, weight, tokens, errors| RecentAccount {
            tenant: tenant.parse().unwrap(),
            weight,
            sums: RecentSums {
                requests: 2,
                tokens,
                errors,
                ..RecentSums::default()
            },
        };
        let mut recent = RecentActivity {
            accounts: vec![
                account("acme", 3, 75, vec![(ErrorKind::QuotaExceeded, 1), (ErrorKind::Busy, 4)]),
                account("globex", 1, 25, Vec::new()),
            ],
            ..RecentActivity::default()
        };
        recent.all.tokens = 100;
        let html = page(&recent).into_string();
        assert_eq!(html.matches("75 %").count(), 3, "{html}");
        assert!(
            html.contains("4 over a limit or the queue was full, 1 over the budget"),
            "{html}"
        );
        assert!(page(&RecentActivity::default()).into_string().contains("No requests"));
    }
}
