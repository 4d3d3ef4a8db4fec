//! An empty plugin in a fresh instance, and host calls: many in one call of a guest, less none.

use crate::{
    components::Component,
    host::{Host, Parts},
    room,
    samples::Samples,
    table,
};
use riad_core::plugin::Stage;

/// In each round.
const REQUESTS: usize = 200;
/// Below `limits.guest_host_calls`.
const HOST_CALLS: u32 = 2_000;
const KINDS: [&str; 3] = ["clock.now", "settings.get", "model.count-tokens"];

pub async fn report(rounds: usize) {
    let host = Host::new();
    let echo = Component::guest("echo").plan(1, &[Stage::Retrieval]);
    let bench = Component::guest("bench").plan(1, &[Stage::Retrieval]);
    let request = room::request("What is this?");
    // Compiles them, and fills what is filled once.
    for plan in [&echo, &bench] {
        drop(host.start(plan).await);
    }
    let mut empty = Parts::default();
    let mut again = Samples::default();
    let mut each = KINDS.map(|kind| (kind, Samples::default()));
    for _ in 0..rounds {
        for _ in 0..REQUESTS {
            host.time(&echo, &mut empty, async |run| {
                run.retrieve(&request).await.unwrap();
            })
            .await;
        }
        let run = host.start(&echo).await;
        for _ in 0..REQUESTS {
            let begun = std::time::Instant::now();
            run.retrieve(&request).await.unwrap();
            again.add(begun.elapsed());
        }
        drop(run);
        for (kind, samples) in &mut each {
            for _ in 0..REQUESTS / 50 {
                let none = host_calls(&host, &bench, kind, 0).await;
                let many = host_calls(&host, &bench, kind, HOST_CALLS).await;
                samples.add(many.saturating_sub(none) / HOST_CALLS);
            }
        }
    }
    let mut rows = vec![
        table::row("an empty plugin, hot: instantiate and call", &empty.answered, "≤ 50 µs"),
        table::row("- instantiate", &empty.start, ""),
        table::row("- call", &empty.calls, ""),
        table::row("- end, after the answer", &empty.end, ""),
        table::row("another call in the same request", &again, ""),
    ];
    for (kind, samples) in &each {
        rows.push(table::row(&format!("one host call, `{kind}`"), samples, ""));
    }
    table::print("Calls", &table::ROW, &rows);
}

async fn host_calls(host: &Host, plan: &riad_core::ports::PipelinePlan, kind: &str, calls: u32) -> std::time::Duration {
    let mut request = room::request(kind);
    request.max_tokens = calls;
    let mut parts = Parts::default();
    host.time(plan, &mut parts, async |run| {
        run.retrieve(&request).await.unwrap();
    })
    .await;
    parts.calls.median()
}
