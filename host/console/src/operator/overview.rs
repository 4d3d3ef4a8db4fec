//! The state of the server now and in the last minutes, live. Not here: the numbers over time (`signals`), and who they belong to (`fairness`).

use crate::{
    error::{ForScript, PageResult, ScriptError},
    layout::Page,
    parts::{self, format},
    plot::{self, Bar, Series},
    session::OperatorSession,
    state::ConsoleState,
    streams::{self, OpenStream},
};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, sse::Event},
    routing::get,
};
use futures::{Stream, stream};
use maud::{Markup, html};
use riad_core::{OperatorPass, Result, ports::Gauges, tenant::TenantQuery};
use riad_services::{
    Services,
    metering::{RECENT_MINUTES, RecentActivity, RecentSums},
};
use serde_json::{Map, Value};
use std::{convert::Infallible, time::Duration};

const PERIOD: Duration = Duration::from_secs(2);

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new()
        .route("/console/overview", get(show))
        .route("/console/overview/stream", get(follow))
}

/// Numbers under a title.
struct Group {
    title: &'static str,
    numbers: Vec<Live>,
}

/// A number that changes while the page is open.
struct Live {
    /// Of its place in the page.
    key: &'static str,
    label: &'static str,
    /// With its unit.
    value: String,
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let services = &state.services;
    let recent = services.scale().recent(&session.pass);
    let groups = groups(&services.scale().gauges(&session.pass), &recent);
    let first = TenantQuery {
        limit: 1,
        ..TenantQuery::default()
    };
    let has_tenants = !services.tenants().page(&session.pass, first).await?.is_empty();
    let body = page(&groups, &recent, has_tenants, services.started());
    Ok(session.page(Page::Overview, body))
}

async fn follow(
    State(state): State<ConsoleState>,
    ForScript(session): ForScript<OperatorSession>,
) -> Result<impl IntoResponse, ScriptError> {
    let stream = session.open_stream(&state)?;
    Ok(streams::respond(numbers(state, session, stream)))
}

/// The key is checked again each time.
fn numbers(
    state: ConsoleState,
    session: OperatorSession,
    stream: OpenStream,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold((state, session, stream), |(state, session, stream)| async move {
        if !stream.wait(PERIOD).await {
            return None;
        }
        let pass = session.authorize_again(&state).await.ok()?;
        let event = Event::default().data(event(&state.services, &pass));
        Some((Ok(event), (state, session, stream)))
    })
}

fn event(services: &Services, pass: &OperatorPass) -> String {
    let scale = services.scale();
    let groups = groups(&scale.gauges(pass), &scale.recent(pass));
    let numbers = groups.into_iter().flat_map(|group| group.numbers);
    let numbers: Map<String, Value> = numbers
        .map(|number| (number.key.to_owned(), number.value.into()))
        .collect();
    Value::Object(numbers).to_string()
}

fn groups(gauges: &Gauges, recent: &RecentActivity) -> [Group; 5] {
    let (batch, all) = (&gauges.batch, &recent.all);
    let blocks = batch.blocks_used + batch.blocks_cached + batch.blocks_free;
    let live = |key, label, value: String| Live { key, label, value };
    let time = |time: Option<Duration>| time.map_or("–".to_owned(), format::duration);
    let within = |share| match all.first_token.time_of_share(share) {
        Some(time) => format!("≤ {}", format::duration(time)),
        None => "–".to_owned(),
    };
    [
        Group {
            title: "The last 15 minutes",
            numbers: vec![
                live("requests", "Requests", format::count(all.requests)),
                live("tokens", "Tokens computed", format::count(all.tokens)),
                live("first-50", "First token, p50", within(0.5)),
                live("first-99", "First token, p99", within(0.99)),
                live("errors", "Refused or failed", errors(all)),
                live("cancelled", "Cancelled by clients", format::count(all.cancelled)),
            ],
        },
        Group {
            title: "Now",
            numbers: vec![
                live(
                    "running",
                    "Running",
                    format!("{} of {}", gauges.running_sequences, gauges.max_sequences),
                ),
                live("queue", "In the queue", requests(gauges.queue_requests)),
                live(
                    "tokens-s",
                    "Tokens/s, weighted",
                    format!("{:.1}", gauges.tokens_per_second),
                ),
                live(
                    "first",
                    "First token of a new request",
                    time(gauges.estimated_first_token),
                ),
                live("shed", "Rejected to keep the target", requests(gauges.shed)),
                live("held", "Tokens held", format::count(gauges.held_tokens)),
            ],
        },
        Group {
            title: "Batch and cache",
            numbers: vec![
                live(
                    "blocks",
                    "KV blocks in use",
                    format!("{} of {}", format::count(batch.blocks_used), format::count(blocks)),
                ),
                live(
                    "prefixes",
                    "KV blocks kept for prefixes",
                    format::count(batch.blocks_cached),
                ),
                live(
                    "hits",
                    "Prompt tokens from the cache",
                    format::share(batch.prefix_hit_tokens, batch.prefix_lookup_tokens),
                ),
                live(
                    "sequences",
                    "Sequences: prefill, decode",
                    format!("{}, {}", batch.prefilling, batch.decoding),
                ),
            ],
        },
        Group {
            title: "Memory",
            numbers: vec![
                live(
                    "process",
                    "Memory of the process",
                    gauges.resident_bytes.map_or("–".to_owned(), format::bytes),
                ),
                live("rooms", "Rooms open", format::count(gauges.rooms_open)),
                live("room-bytes", "Memory of rooms", format::bytes(gauges.open_room_bytes)),
                live(
                    "adapters",
                    "Adapters in memory",
                    format::count(gauges.adapters.resident as u64),
                ),
                live(
                    "adapter-bytes",
                    "Memory of adapters",
                    format::bytes(gauges.adapters.resident_bytes as u64),
                ),
            ],
        },
        Group {
            title: "Tokens since the start",
            numbers: vec![
                live("prompt", "Prompt", format::count(gauges.engine.prompt)),
                live("cached", "of them cached", format::count(gauges.engine.cached)),
                live("completion", "Completion", format::count(gauges.engine.completion)),
                live("embedded", "Embedded", format::count(gauges.engine.embedded)),
            ],
        },
    ]
}

fn requests(number: u64) -> String {
    let noun = if number == 1 { "request" } else { "requests" };
    format!("{} {noun}", format::count(number))
}

fn errors(sums: &RecentSums) -> String {
    let failed = sums.failed();
    format!("{} ({})", format::count(failed), format::share(failed, sums.requests))
}

fn page(groups: &[Group], recent: &RecentActivity, has_tenants: bool, started: u64) -> Markup {
    html! {
        @if !has_tenants { (first_steps()) }
        p.muted { "Running since " (parts::when(started)) ". " span #live role="status" {} }
        div #numbers data-stream="/console/overview/stream" {
            @for group in groups {
                section {
                    h2 { (group.title) }
                    dl.stats { @for number in &group.numbers {
                        div.stat { dt { (number.label) } dd data-live=(number.key) { (number.value) } }
                    } }
                }
            }
        }
        @if recent.all.requests > 0 { (minutes(recent)) }
    }
}

fn first_steps() -> Markup {
    parts::empty(
        "This server has no tenants yet",
        &html! {
            "A tenant is a customer with a private room. First "
            a href="/console/tenants" { "make one" }
            "; then sign in with its key, add a document, ask a question about it in the playground, and deploy a plugin if the standard pipeline is not enough."
        },
    )
}

fn minutes(recent: &RecentActivity) -> Markup {
    let bar = |ago: u64| {
        let sums = recent.minutes.iter().find(|(number, _)| *number == ago);
        let of = |number: fn(&RecentSums) -> u64| sums.map_or(0, |(_, sums)| number(sums));
        let (all, failed, cancelled) = (
            of(|sums| sums.requests),
            of(RecentSums::failed),
            of(|sums| sums.cancelled),
        );
        Bar {
            label: match ago {
                0 => "now".to_owned(),
                ago => format!("−{ago} min"),
            },
            shown: format!(
                "{}, {} refused or failed, {} cancelled",
                requests(all),
                format::count(failed),
                format::count(cancelled)
            ),
            parts: vec![
                (Series::FIRST, all.saturating_sub(failed).saturating_sub(cancelled)),
                (Series::nth(5), cancelled),
                (Series::BAD, failed),
            ],
        }
    };
    let bars: Vec<Bar> = (0..RECENT_MINUTES).rev().map(bar).collect();
    let most = recent.minutes.iter().map(|(_, sums)| sums.requests).max().unwrap_or(0);
    html! {
        section {
            h2 { "Requests by minute" }
            (plot::columns("Requests of each of the last 15 minutes, those that were cancelled, refused or failed on top", &bars, &requests(most)))
            ul.legend aria-label="Colors of the plot" {
                li { span.swatch.(Series::FIRST.class()) {} "served" }
                li { span.swatch.(Series::nth(5).class()) {} "cancelled by clients" }
                li { span.swatch.(Series::BAD.class()) {} "refused or failed" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_server_says_what_to_do_next() {
        let recent = RecentActivity::default();
        let groups = groups(&Gauges::default(), &recent);
        let shown = |has_tenants| page(&groups, &recent, has_tenants, 0).into_string();
        assert!(shown(false).contains("no tenants yet") && shown(false).contains("deploy a plugin"));
        assert!(!shown(true).contains("no tenants yet"));
    }

    #[test]
    fn each_number_has_a_place_of_its_own() {
        let groups = groups(&Gauges::default(), &RecentActivity::default());
        let keys: Vec<_> = groups
            .iter()
            .flat_map(|group| &group.numbers)
            .map(|number| number.key)
            .collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    }
}
