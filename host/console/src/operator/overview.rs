//! The state of the server now: queue, batch, cache, memory. A reload shows newer numbers.

use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    session::OperatorSession,
    state::ConsoleState,
};
use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use riad_core::ports::Gauges;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route("/console/overview", get(show))
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let gauges = state.services.scale().gauges(&session.pass);
    let has_tenants = !state.services.tenants().list(&session.pass).await?.is_empty();
    Ok(session.page(Page::Overview, page(&gauges, has_tenants, state.services.started())))
}

/// A label and its number with a unit.
type Row = (&'static str, String);

fn page(gauges: &Gauges, has_tenants: bool, started: u64) -> Markup {
    let batch = &gauges.batch;
    let first_token = gauges.estimated_first_token.map_or("–".to_owned(), format::duration);
    let blocks = batch.blocks_used + batch.blocks_cached + batch.blocks_free;
    let now: [Row; 6] = [
        (
            "Running",
            format!("{} of {}", gauges.running_sequences, gauges.max_sequences),
        ),
        (
            "In the queue",
            format!("{} requests", format::count(gauges.queue_requests)),
        ),
        ("Tokens/s, weighted", format!("{:.1}", gauges.tokens_per_second)),
        ("First token of a new request", first_token),
        ("Rejected to keep the target", format::count(gauges.shed)),
        ("Tokens held", format::count(gauges.held_tokens)),
    ];
    let cache: [Row; 6] = [
        (
            "KV blocks in use",
            format!("{} of {}", format::count(batch.blocks_used), format::count(blocks)),
        ),
        ("KV blocks kept for prefixes", format::count(batch.blocks_cached)),
        (
            "Prompt tokens from the cache",
            format::share(batch.prefix_hit_tokens, batch.prefix_lookup_tokens),
        ),
        (
            "Sequences: prefill, decode",
            format!("{}, {}", batch.prefilling, batch.decoding),
        ),
        ("Preemptions", format::count(batch.preemptions)),
        (
            "Model",
            if batch.model_loaded {
                "in memory".to_owned()
            } else {
                "not in memory".to_owned()
            },
        ),
    ];
    let rooms: [Row; 5] = [
        ("Rooms open", format::count(gauges.rooms_open)),
        ("Their memory", format::bytes(gauges.open_room_bytes)),
        ("Adapters in memory", format::count(gauges.adapters.resident as u64)),
        ("Their memory", format::bytes(gauges.adapters.resident_bytes as u64)),
        (
            "Loads, evictions",
            format!("{}, {}", gauges.adapters.loads, gauges.adapters.evictions),
        ),
    ];
    html! {
        @if !has_tenants {
            (parts::empty("This server has no tenants yet", &html! {
                "A tenant is a customer with a private room. " a href="/console/tenants" { "Make the first one" }
                ", then sign in with its key to add documents and ask."
            }))
        }
        p.muted { "Running since " (parts::when(started)) "." }
        (section("Requests", &now))
        (section("Batch and cache", &cache))
        (section("Rooms and adapters", &rooms))
        (section("Tokens since the start", &[
            ("Prompt", format::count(gauges.engine.prompt)),
            ("of them cached", format::count(gauges.engine.cached)),
            ("Completion", format::count(gauges.engine.completion)),
            ("Embedded", format::count(gauges.engine.embedded)),
        ]))
    }
}

fn section(title: &str, rows: &[Row]) -> Markup {
    html! {
        section {
            h2 { (title) }
            dl.stats { @for (label, value) in rows { div.stat { dt { (label) } dd { (value) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_server_says_what_to_do_next() {
        let shown = |has_tenants| page(&Gauges::default(), has_tenants, 0).into_string();
        assert!(shown(false).contains("Make the first one"));
        assert!(!shown(true).contains("Make the first one"));
    }
}
