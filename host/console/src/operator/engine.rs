//! The engine: its model, its batch, its caches, and the adapters in memory. Not here: who uses it (`fairness`).

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
use riad_core::{ports::Gauges, profile::ModelProfile};
use std::time::Duration;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route("/console/engine", get(show))
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let scale = state.services.scale();
    let body = page(&scale.gauges(&session.pass), scale.model(&session.pass));
    Ok(session.page(Page::Engine, body))
}

fn page(gauges: &Gauges, model: &ModelProfile) -> Markup {
    let (batch, adapters) = (&gauges.batch, &gauges.adapters);
    let rows = batch.prefill_rows + batch.decode_rows;
    html! {
        section {
            h2 { "Model" }
            (parts::facts(&[
                ("Model", model.id.clone()),
                ("Context", format!("{} tokens", format::count(model.context_tokens.into()))),
                ("In memory", if batch.model_loaded { "yes".to_owned() } else { "no: the next request loads it".to_owned() }),
                ("Loads", format::count(batch.model_loads)),
                ("The last load took", match batch.model_load {
                    Duration::ZERO => "–".to_owned(),
                    took => format::duration(took),
                }),
            ]))
        }
        section {
            h2 { "Batch" }
            (parts::facts(&[
                ("Sequences", format!("{} of {}", gauges.running_sequences, gauges.max_sequences)),
                ("Reading their prompts", format::count(batch.prefilling)),
                ("Writing", format::count(batch.decoding)),
                ("Waiting in the engine", format::count(batch.waiting)),
                ("Preempted", format!("{} times", format::count(batch.preemptions))),
                ("Rows of prompts", format::share(batch.prefill_rows, rows)),
            ]))
        }
        section {
            h2 { "KV cache" }
            (plot::bars("Blocks of the KV cache", &blocks(gauges)))
            (parts::facts(&[
                ("Tokens", format!("{} of {}", format::count(batch.tokens), format::count(batch.kv_cache_tokens))),
                ("Prompt tokens from the prefix cache", format::share(batch.prefix_hit_tokens, batch.prefix_lookup_tokens)),
            ]))
        }
        section {
            h2 { "Adapters" }
            (parts::facts(&[
                ("In memory", format::count(adapters.resident as u64)),
                ("Their memory", format::bytes(adapters.resident_bytes as u64)),
                ("Loads", format::count(adapters.loads)),
                ("Evictions", format::count(adapters.evictions)),
            ]))
        }
        section {
            h2 { "Time of steps" }
            @if batch.step_times.count() == 0 {
                (parts::empty("No step yet", &html! { "The engine makes one for each token of the batch." }))
            } @else {
                p.muted { (format::count(batch.step_times.count())) " steps since the start" }
                (plot::bars("Steps by how long they took at most", &steps(gauges)))
            }
        }
    }
}

fn blocks(gauges: &Gauges) -> Vec<Bar> {
    let batch = &gauges.batch;
    [
        ("held by sequences", batch.blocks_used, Series::FIRST),
        ("kept for prompts that come again", batch.blocks_cached, Series::nth(1)),
        ("free", batch.blocks_free, Series::nth(5)),
    ]
    .map(|(label, number, series)| Bar {
        label: label.to_owned(),
        shown: format::count(number),
        parts: vec![(series, number)],
    })
    .into()
}

fn steps(gauges: &Gauges) -> Vec<Bar> {
    let buckets = gauges.batch.step_times.buckets();
    let bar = |(bound, count): (f64, u64)| Bar {
        label: match bound.is_finite() {
            true => format!("≤ {}", format::duration(Duration::from_secs_f64(bound))),
            false => "longer".to_owned(),
        },
        shown: format::count(count),
        parts: vec![(Series::FIRST, count)],
    };
    buckets.filter(|(_, count)| *count > 0).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_has_done_nothing_is_shown() {
        let model = ModelProfile {
            id: "tiny".to_owned(),
            context_tokens: 2048,
            prompt_tokens: 1024,
            passages: 4,
            sentences: 2,
            completion_tokens: 64,
            temperature: 0.0,
        };
        let html = page(&Gauges::default(), &model).into_string();
        assert!(html.contains("No step yet"), "{html}");
    }
}
