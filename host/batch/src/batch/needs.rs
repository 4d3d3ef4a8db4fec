//! Blocks that running sequences are known to need, and may need.

use crate::{
    blocks::Blocks,
    sequence::{Sequence, State},
};
use std::collections::BTreeMap;

/// Of one sequence; zero unless it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// Rows for the tokens that it has.
    pub rows: usize,
    /// Blocks for them that it does not hold yet.
    pub blocks: usize,
    /// Blocks for tokens that may be sampled.
    pub growth: usize,
    /// How often it was preempted.
    pub preemptions: u32,
}

/// Of all running sequences.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub blocks: usize,
    pub growth: usize,
    /// Running sequences by how often they were preempted, without those that never were.
    preempted: BTreeMap<u32, usize>,
}

pub fn of(sequence: &Sequence, blocks: &Blocks) -> Need {
    match sequence.state {
        State::Waiting | State::Finished => Need::default(),
        State::Running => of_running(sequence, blocks),
    }
}

/// What it would need if it ran.
pub fn of_running(sequence: &Sequence, blocks: &Blocks) -> Need {
    // The last token that may be sampled is never computed.
    let known = blocks.for_tokens(sequence.tokens.len().min(sequence.most_computed()));
    Need {
        rows: sequence.uncomputed(),
        blocks: known.saturating_sub(sequence.table.len()),
        growth: blocks.for_tokens(sequence.most_computed()).saturating_sub(known),
        preemptions: sequence.preemptions,
    }
}

impl Needs {
    pub fn replace(&mut self, before: Need, after: Need) {
        self.blocks = (self.blocks + after.blocks).saturating_sub(before.blocks);
        self.growth = (self.growth + after.growth).saturating_sub(before.growth);
        if before.preemptions == after.preemptions {
            return;
        }
        if after.preemptions > 0 {
            *self.preempted.entry(after.preemptions).or_default() += 1;
        }
        if let Some(count) = self.preempted.get_mut(&before.preemptions) {
            *count -= 1;
            if *count == 0 {
                self.preempted.remove(&before.preemptions);
            }
        }
    }

    /// The most that a running sequence was preempted.
    pub fn most_preemptions(&self) -> u32 {
        self.preempted
            .last_key_value()
            .map_or(0, |(preemptions, _)| *preemptions)
    }
}
