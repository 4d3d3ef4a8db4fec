//! The batch: sequences that wait and run. What a step does to them is in `batch/plan.rs` and `batch/commit.rs`, who may run in
//! `batch/admission.rs`.

mod admission;
mod commit;
mod needs;
mod plan;
#[cfg(test)]
mod tests;

use crate::{
    blocks::Blocks,
    cost::Cost,
    namespace::Namespace,
    pace::Pace,
    prefix_tree::Parent,
    sequence::{NewSequence, Queue, Refusal, Removed, Sequence, SequenceId, State},
    shares::Shares,
};
use needs::Needs;
use riad_core::Account;
use std::collections::BTreeMap;

/// How much is computed together, and in how much memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of a step.
    pub rows_per_step: usize,
    /// Sequences that hold blocks at the same time.
    pub sequences: usize,
    /// Blocks of the KV cache.
    pub blocks: usize,
    /// Tokens of a block.
    pub block_size: usize,
    /// A row costs 1 + `context_cost` × the number of tokens that it attends to.
    pub context_cost: f32,
    /// How many times as long a step may take, beside sequences that decode, because prompts are read in it. One quantum is read in
    /// any case. `None`: no such limit.
    pub prefill_slowdown: Option<f64>,
    /// Rows by which an account of weight 1 may get ahead of the others, so that a short prompt is read to its end.
    pub lead_rows: usize,
}

/// What the batch holds now, and what it has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    pub running: usize,
    pub waiting: usize,
    /// Running sequences that have more than one row to compute.
    pub prefilling: usize,
    /// Computed tokens of running sequences.
    pub tokens: usize,
    /// Blocks that sequences hold.
    pub blocks_used: usize,
    /// Blocks that no sequence holds and that are kept for prefixes that may come again.
    pub blocks_cached: usize,
    pub blocks_free: usize,
    /// Prompt tokens that were taken from the prefix cache, in total.
    pub prefix_hit_tokens: u64,
    /// Prompt tokens of the sequences that looked into the prefix cache, in total.
    pub prefix_lookup_tokens: u64,
    /// In total.
    pub preemptions: u64,
}

#[derive(Debug, Default)]
struct Counters {
    prefix_hit_tokens: u64,
    prefix_lookup_tokens: u64,
    preemptions: u64,
}

#[derive(Debug)]
pub struct Batch {
    limits: Limits,
    cost: Cost,
    pace: Pace,
    blocks: Blocks,
    shares: Shares,
    sequences: BTreeMap<SequenceId, Sequence>,
    /// By age: the last one is the newest.
    running: BTreeMap<u64, SequenceId>,
    waiting: usize,
    needs: Needs,
    /// Sequences of the step that is computed.
    in_flight: Vec<SequenceId>,
    /// The number of the step that was planned last.
    step: u64,
    next_id: u64,
    next_age: u64,
    counters: Counters,
}

impl Batch {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            rows_per_step: limits.rows_per_step.max(1),
            sequences: limits.sequences.max(1),
            ..limits
        };
        Self {
            limits,
            cost: Cost::new(limits.context_cost),
            pace: Pace::new(limits.prefill_slowdown),
            blocks: Blocks::new(limits.blocks, limits.block_size),
            shares: Shares::default(),
            sequences: BTreeMap::new(),
            running: BTreeMap::new(),
            waiting: 0,
            needs: Needs::default(),
            in_flight: Vec::new(),
            step: 0,
            next_id: 0,
            next_age: 0,
            counters: Counters::default(),
        }
    }

    /// A sequence waits until it is planned. Prompt and `max_tokens` must fit the whole cache, so that the oldest can always finish.
    pub fn add(&mut self, new: NewSequence) -> Result<SequenceId, Refusal> {
        if new.prompt.is_empty() {
            return Err(Refusal::EmptyPrompt);
        }
        let weight = new.weight;
        let sequence = Sequence::new(new);
        let needed_blocks = self.blocks.for_tokens(sequence.most_tokens);
        if needed_blocks > self.blocks.count() {
            let blocks = self.blocks.count();
            return Err(Refusal::TooLong { needed_blocks, blocks });
        }
        let id = SequenceId(self.next_id);
        self.next_id += 1;
        self.waiting += 1;
        self.shares.wait(sequence.account, sequence.waiting_order(), id);
        self.shares.set_weight(sequence.account, weight);
        self.sequences.insert(id, sequence);
        Ok(id)
    }

    /// Prompt and sampled tokens.
    #[must_use]
    pub fn tokens(&self, id: SequenceId) -> Option<&[u32]> {
        Some(&self.sequences.get(&id)?.tokens)
    }

    /// Prompt tokens that were taken from the prefix cache so far: see [`Removed::cached_tokens`].
    #[must_use]
    pub fn cached_tokens(&self, id: SequenceId) -> usize {
        self.sequences.get(&id).map_or(0, |sequence| sequence.cached_tokens)
    }

    /// Its blocks, in the order of its tokens. They are all there for the rows of the step that was planned last, and may change with
    /// the next commit.
    #[must_use]
    pub fn block_table(&self, id: SequenceId) -> Option<&[u32]> {
        Some(&self.sequences.get(&id)?.table)
    }

    /// A sequence goes: it is finished, canceled or past its deadline. Its rows in the step that is computed count for nothing.
    pub fn remove(&mut self, id: SequenceId) -> Option<Removed> {
        match self.sequences.get(&id)?.state {
            State::Running => self.stop(id, State::Finished),
            State::Waiting => self.leave_queue(id),
            State::Finished => {}
        }
        let sequence = self.sequences.remove(&id)?;
        Some(Removed {
            tokens: sequence.tokens,
            prompt_tokens: sequence.prompt_tokens,
            cached_tokens: sequence.cached_tokens,
            preemptions: sequence.preemptions,
        })
    }

    /// No sequence waits or runs. One that has all its tokens may be there still.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting == 0
    }

    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let running = || self.running.values().filter_map(|id| self.sequences.get(id));
        Gauges {
            running: self.running.len(),
            waiting: self.waiting,
            prefilling: running().filter(|sequence| sequence.uncomputed() > 1).count(),
            tokens: running().map(|sequence| sequence.computed).sum(),
            blocks_used: self.blocks.count() - self.blocks.available(),
            blocks_cached: self.blocks.cached(),
            blocks_free: self.blocks.free(),
            prefix_hit_tokens: self.counters.prefix_hit_tokens,
            prefix_lookup_tokens: self.counters.prefix_lookup_tokens,
            preemptions: self.counters.preemptions,
        }
    }

    /// Drops all cached blocks. Running sequences keep theirs, and share no more of what they compute.
    pub fn clear_cache(&mut self) {
        self.blocks.forget_all();
        for id in self.running.values() {
            if let Some(sequence) = self.sequences.get_mut(id) {
                sequence.chain = None;
            }
        }
    }

    /// Drops the account's cached blocks. Its sequences that wait or run keep what they hold, and neither fill nor read the cache again.
    pub fn forget_account(&mut self, account: Account) {
        let (first, last) = Namespace::bounds(account);
        self.blocks.forget(first, last);
        for sequence in self.sequences.values_mut() {
            if sequence.account == account {
                sequence.namespace = None;
                sequence.chain = None;
            }
        }
    }

    /// Every change of a sequence that runs, or begins or ends to, goes through here, so that the sums stay true.
    fn change<R>(&mut self, id: SequenceId, change: impl FnOnce(&mut Sequence, &mut Blocks) -> R) -> Option<R> {
        let sequence = self.sequences.get_mut(&id)?;
        let before = needs::of(sequence, &self.blocks);
        let result = change(sequence, &mut self.blocks);
        let after = needs::of(sequence, &self.blocks);
        if before != after {
            self.needs.replace(before, after);
            self.shares.change_pending(sequence.account, before.rows, after.rows);
        }
        Some(result)
    }

    /// A sequence that runs gives up its blocks.
    fn stop(&mut self, id: SequenceId, state: State) {
        self.dequeue(id);
        let stopped = self.change(id, |sequence, blocks| {
            blocks.release(sequence.take_table());
            sequence.state = state;
            (sequence.account, sequence.age)
        });
        if let Some((account, age)) = stopped {
            self.shares.stopped(account);
            age.and_then(|age| self.running.remove(&age));
        }
    }

    /// A sequence waits no more.
    fn leave_queue(&mut self, id: SequenceId) {
        if let Some(sequence) = self.sequences.get(&id) {
            self.shares.leave(sequence.account, sequence.waiting_order(), id);
            self.waiting = self.waiting.saturating_sub(1);
        }
    }

    /// It gets rows when it is its turn, if it has any left.
    fn enqueue(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences.get_mut(&id) else {
            return;
        };
        let queued = match (sequence.state, sequence.remaining()) {
            (State::Waiting | State::Finished, _) | (State::Running, 0) => None,
            (State::Running, 1) => Some((Queue::Decoding, sequence.served)),
            (State::Running, _) => Some((Queue::Prefilling, sequence.age.unwrap_or(u64::MAX))),
        };
        let (account, before) = (sequence.account, std::mem::replace(&mut sequence.queued, queued));
        if before == queued {
            return;
        }
        if let Some((queue, order)) = before {
            self.shares.dequeue(account, queue, order, id);
        }
        if let Some((queue, order)) = queued {
            self.shares.enqueue(account, queue, order, id);
        }
    }

    fn dequeue(&mut self, id: SequenceId) {
        if let Some(sequence) = self.sequences.get_mut(&id)
            && let Some((queue, order)) = sequence.queued.take()
        {
            self.shares.dequeue(sequence.account, queue, order, id);
        }
    }

    /// Takes blocks from the prefix cache for the tokens that come next, except the last one: a row must be computed to get logits.
    fn reuse(&mut self, id: SequenceId) {
        let reused = self.change(id, |sequence, blocks| {
            let size = blocks.size();
            let mut tokens = 0;
            while sequence.computed == sequence.table.len() * size
                && let Some(chain) = sequence.chain
                && let Some(next) = sequence.tokens.get(sequence.computed..sequence.computed + size)
                && sequence.computed + size < sequence.tokens.len()
                && let Some(found) = blocks.find(chain, next)
            {
                blocks.hold(found.block);
                sequence.table.push(found.block);
                sequence.published += 1;
                sequence.chain = Some(Parent::Node(found.node));
                sequence.computed += size;
                tokens += size;
            }
            if sequence.preemptions > 0 {
                return 0;
            }
            sequence.cached_tokens += tokens;
            tokens
        });
        self.counters.prefix_hit_tokens += reused.unwrap_or_default() as u64;
    }
}
