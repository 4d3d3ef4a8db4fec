//! A sequence: its tokens, its blocks, and how far it is computed.

use crate::{cost::row_with_adapter, namespace::Namespace, prefix_tree::Parent};
use riad_core::Account;
use std::fmt;

/// Numbers sequences in the order of their arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub(crate) u64);

#[derive(Debug, Clone)]
pub struct NewSequence {
    pub account: Account,
    /// The account's share from now on: 2 gets twice the rows of 1.
    pub weight: u32,
    /// What its adapter adds to a row, in rows without one: 0 without an adapter.
    pub adapter_cost: f32,
    /// Who may share its blocks. `None` neither reads nor fills the prefix cache, nor does a namespace of another account.
    pub namespace: Option<Namespace>,
    pub prompt: Vec<u32>,
    /// At least 1 is sampled. After the last one, no more rows are planned.
    pub max_tokens: usize,
}

/// Why a sequence cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    EmptyPrompt,
    /// Prompt and `max_tokens` need more blocks than there are.
    TooLong {
        needed_blocks: usize,
        blocks: usize,
    },
}

/// What a sequence leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Prompt and sampled tokens.
    pub tokens: Vec<u32>,
    pub prompt_tokens: usize,
    /// Prompt tokens that were taken from the prefix cache rather than computed. What is found when it is computed again after a
    /// preemption does not count.
    pub cached_tokens: usize,
    pub preemptions: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPrompt => write!(f, "the prompt is empty"),
            Self::TooLong { needed_blocks, blocks } => write!(
                f,
                "prompt and completion need {needed_blocks} blocks of the KV cache, which has {blocks}"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Waiting,
    Running,
    /// All its tokens were sampled. It waits for its removal and holds no blocks.
    Finished,
}

/// The queues of an account's sequences that can get rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// One row is left: by the step that served it last.
    Decoding,
    /// By age.
    Prefilling,
}

#[derive(Debug)]
pub struct Sequence {
    pub account: Account,
    /// What a row costs without its context.
    pub row_cost: u128,
    pub namespace: Option<Namespace>,
    pub tokens: Vec<u32>,
    pub prompt_tokens: usize,
    /// Tokens when it is finished.
    pub most_tokens: usize,
    pub state: State,
    /// The order in which sequences were first admitted. Kept when it is preempted.
    pub age: Option<u64>,
    /// Tokens whose K/V is in its blocks.
    pub computed: usize,
    pub table: Vec<u32>,
    /// Blocks of the table that are published, from the first on.
    pub published: usize,
    /// What its next published block follows. `None`: it does not share.
    pub chain: Option<Parent>,
    /// Rows in the step that is planned or computed, and what the account was charged for them.
    pub planned: usize,
    pub charged: u128,
    /// The step that last had rows of it.
    pub served: u64,
    pub queued: Option<(Queue, u64)>,
    /// Sequences that were admitted while this one was first of its account and did not fit.
    pub overtaken: usize,
    pub cached_tokens: usize,
    pub preemptions: u32,
}

impl Sequence {
    pub fn new(new: NewSequence) -> Self {
        let namespace = new.namespace.filter(|namespace| namespace.account() == new.account);
        Self {
            account: new.account,
            row_cost: row_with_adapter(new.adapter_cost),
            namespace,
            prompt_tokens: new.prompt.len(),
            most_tokens: new.prompt.len().saturating_add(new.max_tokens.max(1)),
            tokens: new.prompt,
            state: State::Waiting,
            age: None,
            computed: 0,
            table: Vec::new(),
            published: 0,
            chain: namespace.map(Parent::Root),
            planned: 0,
            charged: 0,
            served: 0,
            queued: None,
            overtaken: 0,
            cached_tokens: 0,
            preemptions: 0,
        }
    }

    /// The position of its first token that is not computed and not planned.
    pub fn next_position(&self) -> usize {
        self.computed + self.planned
    }

    /// Tokens that are not computed and not planned.
    pub fn remaining(&self) -> usize {
        self.tokens.len().saturating_sub(self.next_position())
    }

    /// Tokens that are not computed.
    pub fn uncomputed(&self) -> usize {
        self.tokens.len().saturating_sub(self.computed)
    }

    /// Tokens that will have K/V in the end. The last one is sampled and never computed.
    pub fn most_computed(&self) -> usize {
        self.most_tokens.saturating_sub(1)
    }

    /// Its order among its account's sequences that wait: those that were preempted first, by age, then the others by arrival.
    pub fn waiting_order(&self) -> u64 {
        self.age.unwrap_or(u64::MAX)
    }

    /// Gives up its blocks, to be computed again from the first token.
    pub fn take_table(&mut self) -> Vec<u32> {
        self.computed = 0;
        self.published = 0;
        self.planned = 0;
        self.charged = 0;
        self.chain = self.namespace.map(Parent::Root);
        std::mem::take(&mut self.table)
    }
}
