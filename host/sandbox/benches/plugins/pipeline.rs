//! The standard pipeline, from a question to the checked answer, beside the same functions as native code.

use crate::{
    components::Component,
    host::{Host, Parts},
    peer::Peer,
    room,
    samples::{Samples, ratio},
    table,
};
use riad_core::{chat::FinishReason, plugin::Stage, ports::PipelineRun};
use std::time::Instant;

/// In each round.
const REQUESTS: usize = 50;

/// Calls of one request.
#[derive(Default)]
struct Stages {
    retrieve: Samples,
    build_prompt: Samples,
    open: Samples,
    /// Of one piece.
    push: Samples,
    finish: Samples,
}

pub async fn report(mut native: Option<Peer>, rounds: usize) {
    let host = Host::new();
    let plan = Component::plugin("standard").plan(1, &Stage::STANDARD);
    drop(host.start(&plan).await);
    let (mut parts, mut stages, mut natively) = (Parts::default(), Stages::default(), Samples::default());
    for _ in 0..rounds {
        let mut ours = String::new();
        for _ in 0..REQUESTS {
            ours = host.time(&plan, &mut parts, async |run| stages.answer(run).await).await;
        }
        if let Some(native) = &mut native {
            let (times, result) = native.ask("pipeline", REQUESTS);
            assert_eq!(result, ours, "both do the same");
            natively.extend(times);
        }
    }
    let mut rows = vec![
        table::row(
            "standard pipeline, one request",
            &parts.whole,
            "≤ 1 ms over native code",
        ),
        table::row("- instantiate", &parts.start, ""),
        table::row("- retrieve (12 passages of 0.8 KB)", &stages.retrieve, ""),
        table::row("- build the prompt (4 of them)", &stages.build_prompt, ""),
        table::row("- open the filter", &stages.open, ""),
        table::row("- filter one piece, of 64", &stages.push, ""),
        table::row("- end the filter", &stages.finish, ""),
        table::row("- end", &parts.end, ""),
    ];
    if native.is_some() {
        rows.push(table::row("the same functions as native code", &natively, ""));
        let over = parts.whole.median().saturating_sub(natively.median());
        rows.push(vec![
            format!(
                "over native code, in medians ({:.1} times)",
                ratio(&parts.whole, &natively)
            ),
            table::time(over),
            String::new(),
            String::new(),
        ]);
    }
    table::print("The standard pipeline", &table::ROW, &rows);
}

impl Stages {
    /// All stages of a request; gives what the native peer gives.
    async fn answer(&mut self, run: &dyn PipelineRun) -> String {
        let request = room::request(room::QUESTION);
        let begun = Instant::now();
        let found = run.retrieve(&request).await.unwrap();
        self.retrieve.add(begun.elapsed());
        let begun = Instant::now();
        let prompt = run.build_prompt(&request, &found).await.unwrap();
        self.build_prompt.add(begun.elapsed());
        let begun = Instant::now();
        let filter = run.open_filter(&request, &prompt).await.unwrap();
        self.open.add(begun.elapsed());
        let pieces = room::pieces();
        let mut written = 0;
        let begun = Instant::now();
        for piece in &pieces {
            written += run.push(filter, piece).await.unwrap().len();
        }
        self.push.add(begun.elapsed() / u32::try_from(pieces.len()).unwrap());
        let begun = Instant::now();
        let ending = run.finish(filter, FinishReason::Stop).await.unwrap();
        self.finish.add(begun.elapsed());
        let grounded = ending.citations.iter().filter(|citation| citation.grounded).count();
        let last = prompt.messages.last().unwrap();
        format!("{}\n{written} bytes, {grounded} grounded", last.content)
    }
}
