//! A sequence of the batch: its tokens, and how far they are computed.

use crate::{
    blocks::{BlockId, BlockPool},
    prefix::{Namespace, Place},
};
use riad_core::Account;

/// Ascending in the order of [`crate::Batch::add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub(crate) u64);

#[derive(Debug, Clone)]
pub struct NewSequence {
    pub account: Account,
    /// Share of the steps while others run too: 2 gets twice what 1 gets.
    pub weight: u32,
    /// With whom it shares what was computed; `None`: with nobody.
    pub namespace: Option<Namespace>,
    pub prompt: Vec<u32>,
    /// Tokens that may be sampled.
    pub max_tokens: usize,
}

#[derive(Debug)]
pub(crate) struct Sequence {
    pub account: Account,
    pub namespace: Option<Namespace>,
    pub tokens: Vec<u32>,
    /// The first tokens whose keys and values are in its blocks.
    pub computed: usize,
    /// Rows of the step that is being computed.
    pub planned: usize,
    pub blocks: Vec<BlockId>,
    /// Blocks that the prefix cache was offered, and the place of the last in it.
    pub registered: usize,
    pub place: Option<Place>,
    /// When it joined the running sequences; the greatest is preempted first.
    pub joined: u64,
    /// Tokens that it found in the prefix cache when it joined first.
    pub cached_tokens: Option<usize>,
    pub preemptions: u32,
}

impl Sequence {
    pub fn new(new: NewSequence) -> Self {
        Self {
            account: new.account,
            namespace: new.namespace,
            tokens: new.prompt,
            computed: 0,
            planned: 0,
            blocks: Vec::new(),
            registered: 0,
            place: new.namespace.map(Place::Root),
            joined: 0,
            cached_tokens: None,
            preemptions: 0,
        }
    }

    /// Tokens that are neither computed nor planned.
    pub fn pending(&self) -> usize {
        self.tokens.len().saturating_sub(self.computed + self.planned)
    }

    /// Whole blocks that a hit may cover: at least the last token is computed, for its logits.
    pub fn shareable_blocks(&self, size: usize) -> usize {
        self.tokens.len().saturating_sub(1) / size
    }

    /// Offers blocks that have become full to the prefix cache.
    pub fn register(&mut self, pool: &mut BlockPool, size: usize) {
        while let Some(place) = self.place
            && (self.registered + 1) * size <= self.computed
        {
            let from = self.registered * size;
            let (Some(block), Some(tokens)) = (self.blocks.get(self.registered), self.tokens.get(from..from + size))
            else {
                return;
            };
            self.place = Some(pool.register(*block, place, tokens));
            self.registered += 1;
        }
    }

    /// Gives all blocks back. The last first, so that the prefix cache loses the ends of prefixes before their beginnings.
    pub fn release(&mut self, pool: &mut BlockPool) {
        for block in self.blocks.drain(..).rev() {
            pool.release(block);
        }
        self.computed = 0;
        self.planned = 0;
        self.registered = 0;
        self.place = self.namespace.map(Place::Root);
    }
}
