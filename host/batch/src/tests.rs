#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod cases;
mod fairness;
mod machine;

use crate::{Batch, Limits, Namespace, NewSequence, SequenceId, Step};
use riad_core::Account;
use std::collections::BTreeMap;

pub(super) fn limits() -> Limits {
    Limits {
        rows_per_step: 16,
        sequences: 4,
        blocks: 16,
        block_size: 4,
        context_cost: 0.0,
    }
}

pub(super) fn sequence(account: u64, prompt: Vec<u32>, max_tokens: usize) -> NewSequence {
    NewSequence {
        account: Account::new(account),
        weight: 1,
        namespace: Some(Namespace::new(Account::new(account), None)),
        prompt,
        max_tokens,
    }
}

/// A KV cache that remembers, for every slot, which beginning of which sequence was computed into it.
#[derive(Default)]
pub(super) struct Memory(BTreeMap<(u32, usize), Vec<u32>>);

impl Memory {
    /// Computes a step as a model would: each row writes its own slot, after it has read all before it. Returns the sequences that
    /// are sampled.
    pub fn compute(&mut self, batch: &Batch, step: &Step, size: usize) -> Vec<SequenceId> {
        let mut sampled = Vec::new();
        for segment in &step.segments {
            let tokens = batch.tokens(segment.sequence).unwrap();
            let table = batch.block_table(segment.sequence).unwrap();
            for position in segment.first_position..segment.first_position + segment.rows {
                for read in 0..position {
                    let slot = (table[read / size], read % size);
                    assert_eq!(
                        self.0.get(&slot).map(Vec::as_slice),
                        Some(&tokens[..=read]),
                        "position {position} reads {read}"
                    );
                }
                self.0
                    .insert((table[position / size], position % size), tokens[..=position].to_vec());
            }
            let last = segment.first_position + segment.rows;
            assert!(last <= tokens.len());
            assert_eq!(segment.samples, last == tokens.len());
            if segment.samples {
                sampled.push(segment.sequence);
            }
        }
        sampled
    }
}

/// Computes and commits one step in which every sampled token is `token`.
pub(super) fn step(batch: &mut Batch, memory: &mut Memory, token: u32) -> Step {
    let step = batch.plan();
    let sampled = memory.compute(batch, &step, batch.limits.block_size);
    let sampled: Vec<_> = sampled.into_iter().map(|id| (id, token)).collect();
    batch.commit(&step, &sampled);
    step
}

pub(super) fn rows_of(step: &Step, id: SequenceId) -> usize {
    step.segments
        .iter()
        .filter(|segment| segment.sequence == id)
        .map(|segment| segment.rows)
        .sum()
}
