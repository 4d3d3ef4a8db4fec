//! The same plugin in Riad, in Extism and as native code: nothing, and masking the digits and addresses of a text.

use crate::{
    components::Component,
    host::{Host, Parts},
    peer::Peer,
    room,
    samples::{Samples, ratio},
    table,
};
use riad_core::plugin::Stage;
use serde_json::json;
use std::path::Path;

/// In each round.
const REQUESTS: usize = 100;

pub fn extism(program: &Path, plugin: &Path) -> Peer {
    Peer::start(program, &json!({ "plugin": plugin, "text": room::text() }))
}

/// What is done, by all that do it.
struct Work {
    name: &'static str,
    ours: Parts,
    fresh: Samples,
    reused: Samples,
    native: Samples,
}

impl Work {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            ours: Parts::default(),
            fresh: Samples::default(),
            reused: Samples::default(),
            native: Samples::default(),
        }
    }
}

pub async fn report(mut native: Option<Peer>, mut extism: Option<Peer>, rounds: usize) {
    let host = Host::new();
    let empty_plan = Component::guest("echo").plan(1, &[Stage::Retrieval]);
    let mask_plan = Component::guest("bench").plan(1, &[Stage::Prompting]);
    let empty_request = room::request("What is this?");
    let mask_request = room::request(&room::text());
    for plan in [&empty_plan, &mask_plan] {
        drop(host.start(plan).await);
    }
    let (mut empty, mut mask) = (Work::new("an empty call"), Work::new("masking 4 KB"));
    for _ in 0..rounds {
        let mut masked = String::new();
        for _ in 0..REQUESTS {
            host.time(&empty_plan, &mut empty.ours, async |run| {
                run.retrieve(&empty_request).await.unwrap();
            })
            .await;
        }
        for _ in 0..REQUESTS {
            masked = host
                .time(&mask_plan, &mut mask.ours, async |run| {
                    let prompt = run.build_prompt(&mask_request, &[]).await.unwrap();
                    prompt.messages[0].content.clone()
                })
                .await;
        }
        if let Some(extism) = &mut extism {
            empty.fresh.extend(extism.ask("empty in a fresh instance", REQUESTS).0);
            empty.reused.extend(extism.ask("empty again", REQUESTS).0);
            let (times, result) = extism.ask("mask in a fresh instance", REQUESTS);
            assert_eq!(result, masked, "both do the same");
            mask.fresh.extend(times);
            mask.reused.extend(extism.ask("mask again", REQUESTS).0);
        }
        if let Some(native) = &mut native {
            let (times, result) = native.ask("mask", REQUESTS);
            assert_eq!(result, masked, "both do the same");
            mask.native.extend(times);
        }
    }
    let mut rows = Vec::new();
    for work in [&empty, &mask] {
        let ours = &work.ours.whole;
        let mut row = |who: &str, samples: &Samples| {
            rows.push(vec![
                format!("{}, {who}", work.name),
                table::time(samples.median()),
                table::time(samples.p99()),
                format!("{:.2}", ratio(samples, ours)),
            ]);
        };
        row("Riad, a fresh instance per call", ours);
        if extism.is_some() {
            row("Extism, a fresh instance per call", &work.fresh);
            row("Extism, one instance whose memory all calls share", &work.reused);
        }
        if native.is_some() && work.name == mask.name {
            row("native code", &work.native);
        }
    }
    table::print(
        "Beside Extism: made, called, dropped",
        &["", "median", "p99", "times Riad's"],
        &rows,
    );
}
