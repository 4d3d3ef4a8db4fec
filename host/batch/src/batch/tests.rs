//! The scheduler against a model of the engine, and named cases.

mod admission;
mod fairness;
mod pace;
mod preemption;
mod prefix_cache;
mod properties;
mod steps;
mod world;

use crate::{Batch, Limits, Namespace, NewSequence, SequenceId, Step};
use riad_core::Account;

fn limits() -> Limits {
    Limits {
        rows_per_step: 16,
        sequences: 8,
        blocks: 64,
        block_size: 4,
        context_cost: 0.0,
        prefill_slowdown: None,
        lead_rows: 0,
    }
}

fn account(number: u64) -> Account {
    Account::new(number)
}

/// The base model's namespace of account 1.
fn namespace() -> Namespace {
    Namespace::new(account(1), None)
}

/// A sequence of account 1 with the prompt `first`, `first` + 1, …
fn sequence(first: u32, length: u32, max_tokens: usize) -> NewSequence {
    NewSequence {
        account: account(1),
        weight: 1,
        adapter_cost: 0.0,
        namespace: Some(namespace()),
        prompt: (first..first + length).collect(),
        max_tokens,
    }
}

fn of(number: u64, new: NewSequence) -> NewSequence {
    NewSequence {
        account: account(number),
        namespace: Some(Namespace::new(account(number), None)),
        ..new
    }
}

/// Plans and commits a step. Every sampled token is 7.
fn run(batch: &mut Batch) -> Step {
    let step = batch.plan();
    let sampled: Vec<(SequenceId, u32)> = step
        .segments
        .iter()
        .filter(|segment| segment.samples)
        .map(|segment| (segment.sequence, 7))
        .collect();
    batch.commit(&step, &sampled);
    step
}

/// Runs until nothing is left to do.
fn finish(batch: &mut Batch) {
    for _ in 0..10_000 {
        if batch.is_idle() {
            return;
        }
        run(batch);
    }
    panic!("the batch does not finish");
}

/// Sequence, first position and rows of each segment.
fn rows(step: &Step) -> Vec<(SequenceId, usize, usize)> {
    let row = |segment: &crate::Segment| (segment.sequence, segment.first_position, segment.rows);
    step.segments.iter().map(row).collect()
}
