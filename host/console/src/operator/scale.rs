//! The signals that autoscalers read, over the last half an hour. Not here: the same numbers now (`overview`).

use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    plot,
    session::OperatorSession,
    state::ConsoleState,
};
use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use riad_core::ports::Gauges;
use riad_services::signals::{SIGNAL_PERIOD, Signal};
use std::time::Duration;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route("/console/scale", get(show))
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let scale = state.services.scale();
    let body = page(&scale.signals(&session.pass), &scale.gauges(&session.pass));
    Ok(session.page(Page::Scale, body))
}

fn page(signals: &[Signal], gauges: &Gauges) -> Markup {
    let covered = SIGNAL_PERIOD * u32::try_from(signals.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let line = |title: &str, value: fn(&Signal) -> f64, shown: &dyn Fn(f64) -> String| {
        let values: Vec<f64> = signals.iter().map(value).collect();
        let most = values.iter().copied().fold(0.0, f64::max);
        let last = values.last().copied().unwrap_or(0.0);
        html! {
            section {
                h2 { (title) }
                p.muted { "Now " strong { (shown(last)) } ", at most " (shown(most)) }
                (plot::line(&format!("{title} over the last {}: now {}, at most {}", format::duration(covered), shown(last), shown(most)), &values, covered))
            }
        }
    };
    let whole = |value: f64| format::count(value as u64);
    html! {
        p.muted {
            "A sample every " (format::duration(SIGNAL_PERIOD)) ", in memory, for half an hour. Autoscalers read " code { "GET /operator/v1/scale" }
            " and " code { "/metrics" } "; the target for the first token is " (format::duration(gauges.target_first_token)) "."
        }
        @if signals.len() < 2 {
            (parts::empty("No samples yet", &html! { "Reload this page in a few seconds." }))
        } @else {
            div.plots {
                (line("Requests in the queue", |signal| signal.queue_requests as f64, &whole))
                (line("Estimated first token of a new request", |signal| signal.estimated_first_token.unwrap_or_default().as_secs_f64(),
                    &|seconds| format::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())))
                (line("Tokens computed per second", |signal| signal.tokens_per_second, &|value| format!("{value:.1}")))
                (line("Running sequences", |signal| signal.running_sequences as f64, &whole))
                (line("KV blocks in use", |signal| signal.blocks_used, &|value| format!("{:.0} %", value * 100.0)))
                (line("Rooms open", |signal| signal.rooms_open as f64, &whole))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[test]
    fn signals_have_units() {
        assert!(page(&[], &Gauges::default()).into_string().contains("No samples yet"));
        let signal = |queue_requests| Signal {
            at: Instant::now(),
            queue_requests,
            running_sequences: 1,
            estimated_first_token: Some(Duration::from_millis(250)),
            tokens_per_second: 12.5,
            blocks_used: 0.25,
            rooms_open: 3,
            adapters: 0,
        };
        let html = page(&[signal(7), signal(2)], &Gauges::default()).into_string();
        for part in ["250 ms", "25 %", "12.5", "at most 7"] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
