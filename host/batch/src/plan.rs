//! Choosing the rows of a step. Not here: what a computed step changes (`batch`).

use crate::{
    batch::Batch,
    sequence::{Sequence, SequenceId},
};
use riad_core::Account;
use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
};

/// Rows of a prompt that an account is given at a time, so that the order of accounts holds within a step.
const QUANTUM: usize = 8;

/// The rows to compute next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Sequences of one namespace are neighbors.
    pub segments: Vec<Segment>,
    /// Sequences that lost their blocks for this step; they are computed again later.
    pub preempted: Vec<SequenceId>,
}

/// Neighboring tokens of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub sequence: SequenceId,
    pub first_position: usize,
    pub rows: usize,
    /// Whether the last row is the sequence's last token, whose logits are wanted.
    pub samples: bool,
}

/// What an account can still be given in this step.
struct Work {
    time: f64,
    account: Account,
    /// Sequences with one token to compute, and those with more. Each the longest served ago first.
    decoding: VecDeque<SequenceId>,
    reading: VecDeque<SequenceId>,
}

impl PartialEq for Work {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Work {}

impl PartialOrd for Work {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Work {
    /// The least time is the greatest of the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        other.time.total_cmp(&self.time).then(other.account.cmp(&self.account))
    }
}

impl Batch {
    /// Chooses the next step. It must be given back by [`Batch::commit`] or [`Batch::abandon`] before the next.
    pub fn plan(&mut self) -> Step {
        self.join();
        let mut heap = self.work();
        let mut budget = self.limits.rows_per_step;
        let mut preempted = Vec::new();
        while budget > 0
            && let Some(mut work) = heap.pop()
        {
            let decodes = work.decoding.pop_front();
            let Some(id) = decodes.or_else(|| work.reading.front().copied()) else {
                continue;
            };
            let rows = self.give(id, budget.min(QUANTUM), &mut preempted);
            budget -= rows;
            if decodes.is_none()
                && (rows == 0 || self.sequences.get(&id).is_none_or(|sequence| sequence.pending() == 0))
            {
                work.reading.pop_front();
            }
            if let Some(state) = self.accounts.get_mut(work.account) {
                work.time = state.time;
                heap.push(work);
            }
        }
        let mut step = Step {
            segments: self
                .sequences
                .iter()
                .filter_map(|(id, sequence)| segment(*id, sequence))
                .collect(),
            preempted,
        };
        let namespace = |segment: &Segment| {
            self.sequences
                .get(&segment.sequence)
                .and_then(|sequence| sequence.namespace)
        };
        step.segments.sort_by_key(namespace);
        step
    }

    /// Lets waiting sequences join the running ones, while there are places and blocks for all their tokens: else they would only
    /// be preempted again. Nobody overtakes the first in the order, so that a long one is not kept waiting by short ones.
    fn join(&mut self) {
        while self.running < self.limits.sequences {
            let Some(account) = self.accounts.least(|_, state| !state.waiting.is_empty()) else {
                return;
            };
            let Some(state) = self.accounts.get_mut(account) else {
                return;
            };
            let Some(id) = state.waiting.front().copied() else {
                return;
            };
            let Some(sequence) = self.sequences.get_mut(&id) else {
                state.waiting.pop_front();
                continue;
            };
            let size = self.limits.block_size;
            let most = sequence.shareable_blocks(size);
            let needed = sequence.tokens.len().div_ceil(size);
            let (shared, idle) = match sequence.namespace {
                Some(namespace) => self.pool.idle_prefix(namespace, &sequence.tokens, size, most),
                None => (0, 0),
            };
            if needed - shared > self.pool.available() - idle {
                return;
            }
            if let Some(namespace) = sequence.namespace {
                let (blocks, place) = self.pool.take_prefix(namespace, &sequence.tokens, size, most);
                sequence.computed = blocks.len() * size;
                sequence.registered = blocks.len();
                sequence.place = Some(place);
                sequence.blocks = blocks;
            }
            if sequence.cached_tokens.is_none() {
                sequence.cached_tokens = Some(sequence.computed);
                self.looked_up_tokens += sequence.tokens.len() as u64;
                self.hit_tokens += sequence.computed as u64;
            }
            self.clock += 1;
            sequence.joined = self.clock;
            state.waiting.pop_front();
            state.running.insert(id);
            self.running += 1;
        }
    }

    fn work(&self) -> BinaryHeap<Work> {
        let mut heap = BinaryHeap::new();
        for (account, state) in self.accounts.iter() {
            let mut running: Vec<_> = state
                .running
                .iter()
                .filter_map(|id| Some((self.sequences.get(id)?, *id)))
                .collect();
            running.sort_by_key(|(sequence, id)| (self.served.get(id).copied().unwrap_or(0), sequence.joined));
            let of = |decoding: bool| {
                let of = running
                    .iter()
                    .filter(|(sequence, _)| sequence.pending() > 0 && (sequence.pending() == 1) == decoding);
                of.map(|(_, id)| *id).collect()
            };
            heap.push(Work {
                time: state.time,
                account: *account,
                decoding: of(true),
                reading: of(false),
            });
        }
        heap
    }

    /// Plans up to `rows` rows of a sequence, as far as there are blocks for them, and charges its account.
    fn give(&mut self, id: SequenceId, rows: usize, preempted: &mut Vec<SequenceId>) -> usize {
        let Some(sequence) = self.sequences.get(&id) else {
            return 0;
        };
        // Preempted within this step: its turn is over.
        if sequence.joined == 0 {
            return 0;
        }
        let from = sequence.computed + sequence.planned;
        let rows = rows.min(sequence.pending());
        let fitting = self.reserve(id, from + rows, preempted).saturating_sub(from).min(rows);
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return 0;
        };
        sequence.planned += fitting;
        let account = sequence.account;
        let contexts = (from + 1..=from + fitting).map(|context| context as f64);
        let cost = fitting as f64 + f64::from(self.limits.context_cost) * contexts.sum::<f64>();
        self.accounts.charge(account, cost);
        fitting
    }

    /// Gets blocks for the first `tokens` tokens of a sequence, and returns for how many it has blocks now.
    fn reserve(&mut self, id: SequenceId, tokens: usize, preempted: &mut Vec<SequenceId>) -> usize {
        let size = self.limits.block_size;
        loop {
            let Some(sequence) = self.sequences.get_mut(&id) else {
                return 0;
            };
            if sequence.blocks.len() * size >= tokens {
                return tokens;
            }
            if let Some(block) = self.pool.allocate() {
                sequence.blocks.push(block);
                continue;
            }
            let held = sequence.blocks.len() * size;
            match self.newest() {
                // Never an older one for a newer: the newest itself waits with what it has.
                Some(newest) if newest != id => {
                    self.preempt(newest);
                    preempted.push(newest);
                }
                Some(_) | None => return held,
            }
        }
    }

    fn newest(&self) -> Option<SequenceId> {
        let running = self.accounts.values().flat_map(|state| &state.running);
        running
            .max_by_key(|id| self.sequences.get(id).map(|sequence| sequence.joined))
            .copied()
    }

    /// Takes a sequence's blocks; it waits in front of its account's others.
    fn preempt(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return;
        };
        sequence.release(&mut self.pool);
        sequence.joined = 0;
        sequence.preemptions += 1;
        self.preemptions += 1;
        if let Some(state) = self.accounts.get_mut(sequence.account) {
            state.running.remove(&id);
            state.waiting.push_front(id);
        }
        self.running -= 1;
    }
}

fn segment(id: SequenceId, sequence: &Sequence) -> Option<Segment> {
    (sequence.planned > 0).then(|| Segment {
        sequence: id,
        first_position: sequence.computed,
        rows: sequence.planned,
        samples: sequence.pending() == 0,
    })
}
