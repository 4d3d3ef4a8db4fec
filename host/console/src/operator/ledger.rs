//! The ledger: its check, the newest entries, and exports. Not here: sums (`tenants`, the usage API), and prices (`plans`).

use crate::{
    error::PageResult,
    form::{CsrfForm, Nothing},
    layout::Page,
    parts::{self, format},
    session::OperatorSession,
    state::ConsoleState,
};
use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use riad_core::{
    ledger::{EngineTokens, Run, Verification},
    ports::Gauges,
};

const HOME: &str = "/console/ledger";
/// Runs of the server that are shown, the newest first.
const RUNS: usize = 50;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route(HOME, get(show).post(verify))
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let gauges = state.services.scale().gauges(&session.pass);
    let body = page(&gauges, None, &session.csrf_field());
    Ok(session.page(Page::Ledger, body))
}

/// Reads the whole ledger: a form, so that no link does.
async fn verify(
    State(state): State<ConsoleState>,
    session: OperatorSession,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> PageResult<Markup> {
    let verified = state.services.usage().verify(&session.pass).await?;
    let gauges = state.services.scale().gauges(&session.pass);
    let body = page(&gauges, Some(&verified), &session.csrf_field());
    Ok(session.page(Page::Ledger, body))
}

fn page(gauges: &Gauges, verified: Option<&Verification>, csrf: &Markup) -> Markup {
    html! {
        section aria-labelledby="drift-title" {
            h2 #drift-title { "This run" }
            p.muted { "What the engine has counted, and what is in entries. Requests that run are in the first only." }
            div.scroll tabindex="0" role="region" aria-label="Engine and ledger" { (drift(&gauges.engine, &gauges.ledger)) }
        }
        section aria-labelledby="verify-title" {
            h2 #verify-title { "Check of the whole" }
            @if let Some(verified) = verified { (result(verified)) }
            form method="post" action=(HOME) {
                (csrf)
                p { "Reads every entry: numbers, chains, signatures, prices, sums, and that each run equals what the engine counted." }
                button.primary type="submit" { "Verify now" }
            }
        }
        section aria-labelledby="export-title" {
            h2 #export-title { "Exports" }
            p { "The first 1,000 entries; billing systems read on from there with " code { "after" } " (" code { "GET /operator/v1/ledger/entries" } ")." }
            p.actions {
                a.button href="/console/operator-api/operator/v1/ledger/entries?limit=1000&format=csv" download="ledger.csv" { "CSV" }
                " "
                a.button href="/console/operator-api/operator/v1/ledger/entries?limit=1000&format=cloudevents" download="ledger.json" { "CloudEvents" }
            }
        }
    }
}

fn drift(engine: &EngineTokens, ledger: &EngineTokens) -> Markup {
    let rows = [
        ("Prompt tokens", engine.prompt, ledger.prompt),
        ("of them cached", engine.cached, ledger.cached),
        ("Completion tokens", engine.completion, ledger.completion),
        ("Embedded tokens", engine.embedded, ledger.embedded),
    ];
    html! {
        table {
            thead { tr { th scope="col" { "Counted" } th.number scope="col" { "Engine" } th.number scope="col" { "Ledger" } th.number scope="col" { "Difference" } } }
            tbody { @for (label, engine, ledger) in rows {
                tr {
                    th scope="row" { (label) }
                    td.number { (format::count(engine)) }
                    td.number { (format::count(ledger)) }
                    td.number { (difference(engine, ledger)) }
                }
            } }
        }
    }
}

/// What runs is counted by the engine first; more in the ledger than the engine has counted is a fault.
fn difference(engine: u64, ledger: u64) -> String {
    match ledger > engine {
        true => format!("{} too many in the ledger", format::count(ledger - engine)),
        false => format!("{} not settled", format::count(engine - ledger)),
    }
}

fn result(verified: &Verification) -> Markup {
    html! {
        @if verified.faults.is_empty() {
            p.notice.good role="status" {
                "Consistent: " (format::count(verified.entries)) " entries of " (format::count(verified.accounts)) " accounts."
            }
        } @else {
            div.notice.error role="alert" {
                p { (format::count(verified.faults.len() as u64)) " faults in " (format::count(verified.entries)) " entries" }
                ul { @for fault in verified.faults.iter().take(100) { li { (fault) } } }
            }
        }
        div.scroll tabindex="0" role="region" aria-label="Runs of the server" { table {
            thead { tr {
                th.number scope="col" { "Run" } th scope="col" { "Began" } th.number scope="col" { "Completion tokens in entries" }
                th.number scope="col" { "counted by the engine" } th.number scope="col" { "Abandoned requests" }
            } }
            tbody { @for run in verified.runs.iter().rev().take(RUNS) { (run_row(run)) } }
        } }
    }
}

fn run_row(run: &Run) -> Markup {
    html! {
        tr {
            th.number scope="row" { (run.number) }
            td { (parts::when(run.began_ms / 1000)) }
            td.number { (format::count(run.ledger.completion)) }
            td.number { @match &run.engine {
                Some(engine) => (format::count(engine.completion)),
                None => "runs, or was killed",
            } }
            td.number { (format::count(run.abandoned)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_has_more_than_was_counted_says_so() {
        assert_eq!(difference(5, 3), "2 not settled");
        assert_eq!(difference(3, 5), "2 too many in the ledger");
    }

    #[test]
    fn a_fault_is_shown_and_is_text() {
        let shown = |faults: &[&str]| {
            let verified = Verification {
                accounts: 1,
                entries: 2,
                runs: Vec::new(),
                faults: faults.iter().map(|fault| (*fault).to_owned()).collect(),
            };
            page(&Gauges::default(), Some(&verified), &html! {}).into_string()
        };
        assert!(shown(&[]).contains("Consistent: 2 entries"));
        let bad = shown(&["<script>x"]);
        assert!(!bad.contains("Consistent") && bad.contains("&lt;script&gt;x"), "{bad}");
    }
}
