//! The state of the batch and what changes it. Not here: choosing rows (`plan`).

use crate::{
    accounts::Accounts,
    blocks::BlockPool,
    plan::Step,
    sequence::{NewSequence, Sequence, SequenceId},
};
use riad_core::Account;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Clone)]
pub struct Limits {
    /// Rows of one step at the most.
    pub rows_per_step: usize,
    /// Sequences that run at the same time; others wait.
    pub sequences: usize,
    /// Blocks of the KV cache.
    pub blocks: usize,
    /// Tokens of a block.
    pub block_size: usize,
    /// The cost of a row is 1 plus this for each token that it sees.
    pub context_cost: f32,
}

/// Why a sequence can never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    EmptyPrompt,
    /// Prompt and `max_tokens` need more than the whole cache.
    TooLong {
        needed_blocks: usize,
        blocks: usize,
    },
}

/// What a sequence leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Tokens of the prompt that came out of the prefix cache.
    pub cached_tokens: usize,
    pub preemptions: u32,
}

/// The batch as it is now, and counts since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    pub running: usize,
    pub waiting: usize,
    pub blocks: usize,
    pub blocks_used: usize,
    /// Blocks that only the prefix cache keeps.
    pub blocks_cached: usize,
    pub preemptions: u64,
    /// Tokens of prompts that were looked for in the prefix cache, and found there.
    pub looked_up_tokens: u64,
    pub hit_tokens: u64,
}

#[derive(Debug)]
pub struct Batch {
    pub(crate) limits: Limits,
    pub(crate) pool: BlockPool,
    pub(crate) sequences: BTreeMap<SequenceId, Sequence>,
    pub(crate) accounts: Accounts,
    /// When each sequence was computed last.
    pub(crate) served: HashMap<SequenceId, u64>,
    pub(crate) running: usize,
    pub(crate) clock: u64,
    pub(crate) preemptions: u64,
    pub(crate) looked_up_tokens: u64,
    pub(crate) hit_tokens: u64,
    next_id: u64,
}

impl Batch {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            pool: BlockPool::new(limits.blocks),
            limits,
            sequences: BTreeMap::new(),
            accounts: Accounts::default(),
            served: HashMap::new(),
            running: 0,
            clock: 0,
            preemptions: 0,
            looked_up_tokens: 0,
            hit_tokens: 0,
            next_id: 0,
        }
    }

    /// Adds a sequence, which waits for its turn.
    ///
    /// # Errors
    /// A sequence that could never end is refused.
    pub fn add(&mut self, new: NewSequence) -> Result<SequenceId, Refusal> {
        if new.prompt.is_empty() {
            return Err(Refusal::EmptyPrompt);
        }
        let needed_blocks = (new.prompt.len() + new.max_tokens).div_ceil(self.limits.block_size);
        if needed_blocks > self.pool.total() {
            return Err(Refusal::TooLong {
                needed_blocks,
                blocks: self.pool.total(),
            });
        }
        self.next_id += 1;
        let id = SequenceId(self.next_id);
        self.accounts.add(new.account, new.weight, id);
        self.sequences.insert(id, Sequence::new(new));
        Ok(id)
    }

    /// Prompt and sampled tokens.
    #[must_use]
    pub fn tokens(&self, id: SequenceId) -> Option<&[u32]> {
        self.sequences.get(&id).map(|sequence| sequence.tokens.as_slice())
    }

    /// The blocks of a sequence's tokens, in their order.
    #[must_use]
    pub fn block_table(&self, id: SequenceId) -> Option<&[u32]> {
        self.sequences.get(&id).map(|sequence| sequence.blocks.as_slice())
    }

    /// The step was computed, and these tokens were sampled. Sequences that were removed meanwhile are ignored.
    pub fn commit(&mut self, step: &Step, sampled: &[(SequenceId, u32)]) {
        self.clock += 1;
        for segment in &step.segments {
            if let Some(sequence) = self.sequences.get_mut(&segment.sequence) {
                sequence.computed += std::mem::take(&mut sequence.planned);
                sequence.register(&mut self.pool, self.limits.block_size);
                self.served.insert(segment.sequence, self.clock);
            }
        }
        for (id, token) in sampled {
            if let Some(sequence) = self.sequences.get_mut(id) {
                sequence.tokens.push(*token);
            }
        }
    }

    /// The step failed: nothing of it counts.
    pub fn abandon(&mut self, step: &Step) {
        for segment in &step.segments {
            if let Some(sequence) = self.sequences.get_mut(&segment.sequence) {
                sequence.planned = 0;
            }
        }
    }

    /// Takes a sequence out: it has ended, or nobody wants it any more.
    pub fn remove(&mut self, id: SequenceId) -> Option<Removed> {
        let mut sequence = self.sequences.remove(&id)?;
        sequence.release(&mut self.pool);
        self.running -= usize::from(sequence.joined > 0);
        self.accounts.remove(sequence.account, id);
        self.served.remove(&id);
        Some(Removed {
            cached_tokens: sequence.cached_tokens.unwrap_or(0),
            preemptions: sequence.preemptions,
        })
    }

    /// Tokens of the prompt that came out of the prefix cache.
    #[must_use]
    pub fn cached_tokens(&self, id: SequenceId) -> usize {
        self.sequences
            .get(&id)
            .and_then(|sequence| sequence.cached_tokens)
            .unwrap_or(0)
    }

    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Empties the prefix cache. Running sequences keep their blocks.
    pub fn clear_cache(&mut self) {
        self.pool.forget_account(None);
    }

    /// Takes what an account has out of the prefix cache.
    pub fn forget_account(&mut self, account: Account) {
        self.pool.forget_account(Some(account));
    }

    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            running: self.running,
            waiting: self.sequences.len() - self.running,
            blocks: self.pool.total(),
            blocks_used: self.pool.total() - self.pool.available(),
            blocks_cached: self.pool.cached(),
            preemptions: self.preemptions,
            looked_up_tokens: self.looked_up_tokens,
            hit_tokens: self.hit_tokens,
        }
    }
}
