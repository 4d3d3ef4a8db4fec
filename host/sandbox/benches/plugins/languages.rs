//! An empty stage in JavaScript and in Python, hot.

use crate::{
    components::Component,
    host::{Host, Parts},
    room,
    samples::Samples,
    table,
};
use riad_core::plugin::Stage;
use std::time::Instant;

/// In each round.
const REQUESTS: usize = 30;

/// Languages, their empty retrieval, and what a call should take.
pub async fn report(empty: Vec<(&str, Component, &str)>, rounds: usize) {
    let host = Host::new();
    let request = room::request("What is this?");
    let mut measured = Vec::new();
    for (language, component, reach) in empty {
        let plan = component.plan(1, &[Stage::Retrieval]);
        drop(host.start(&plan).await);
        measured.push((language, plan, reach, Parts::default(), Samples::default()));
    }
    for _ in 0..rounds {
        for (_, plan, _, parts, again) in &mut measured {
            for _ in 0..REQUESTS {
                host.time(plan, parts, async |run| {
                    run.retrieve(&request).await.unwrap();
                })
                .await;
            }
            let run = host.start(plan).await;
            run.retrieve(&request).await.unwrap();
            for _ in 0..REQUESTS {
                let begun = Instant::now();
                run.retrieve(&request).await.unwrap();
                again.add(begun.elapsed());
            }
        }
    }
    let mut rows = Vec::new();
    for (language, _, reach, parts, again) in &measured {
        rows.push(table::row(
            &format!("{language}, an empty stage, hot: instantiate and call"),
            &parts.answered,
            reach,
        ));
        rows.push(table::row("- instantiate", &parts.start, ""));
        rows.push(table::row("- call", &parts.calls, ""));
        rows.push(table::row("- end, after the answer", &parts.end, ""));
        rows.push(table::row("another call in the same request", again, ""));
    }
    if !rows.is_empty() {
        table::print("Languages", &table::ROW, &rows);
    }
}
