//! `cargo bench -p riad-batch`: what it takes to plan and commit a step, beside the milliseconds that the engine computes it. Half of the sequences
//! decode; the others come from many accounts and read long prompts.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use riad_batch::{Batch, Limits, Namespace, NewSequence, SequenceId};
use riad_core::Account;
use std::hint::black_box;

const ROWS: usize = 256;
const PROMPT: u32 = 2000;
const MAX_TOKENS: usize = 500;

fn add(batch: &mut Batch, number: u64) {
    let account = Account::new(number % 32);
    let length = if number.is_multiple_of(2) { PROMPT } else { 20 };
    let first = number as u32 * PROMPT;
    batch
        .add(NewSequence {
            account,
            weight: 1,
            adapter_cost: 0.0,
            namespace: Some(Namespace::new(account, None)),
            prompt: (first..first + length).collect(),
            max_tokens: MAX_TOKENS,
        })
        .expect("it fits");
}

fn step(batch: &mut Batch, next: &mut u64) {
    let step = batch.plan();
    let sampling = step.segments.iter().filter(|segment| segment.samples);
    let sampled: Vec<(SequenceId, u32)> = sampling.map(|segment| (segment.sequence, 7)).collect();
    batch.commit(&step, &sampled);
    for (id, _) in sampled {
        let length = batch.tokens(id).map_or(0, <[u32]>::len);
        if length == PROMPT as usize + MAX_TOKENS || length == 20 + MAX_TOKENS {
            batch.remove(id);
            *next += 1;
            add(batch, *next);
        }
    }
    black_box(step);
}

fn steps(criterion: &mut Criterion) {
    for sequences in [64, 1000] {
        let mut batch = Batch::new(Limits {
            rows_per_step: ROWS,
            sequences,
            blocks: sequences * 200,
            block_size: 16,
            context_cost: 0.001,
            prefill_slowdown: None,
            lead_rows: 256,
        });
        // As many wait as run.
        let mut next = 2 * sequences as u64;
        for number in 0..=next {
            add(&mut batch, number);
        }
        for _ in 0..1000 {
            step(&mut batch, &mut next);
        }
        criterion.bench_function(&format!("a step of {ROWS} rows, {sequences} sequences"), |bencher| {
            bencher.iter(|| step(&mut batch, &mut next));
        });
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
