//! One generation while it is in the batch. Not here: which rows are computed (`step_loop`), what its tokens become (`tokens::answer`).

use super::{
    adapters::LoadedAdapter,
    sampling::{GrammarScope, TokenSampler},
};
use crate::tokens::answer::Answer;
use std::sync::Arc;

pub(super) struct ActiveSequence {
    pub sampler: TokenSampler,
    pub adapter: Option<Arc<LoadedAdapter>>,
    pub answer: Answer,
}

impl ActiveSequence {
    /// What the grammar, if there is one, may say about the next token.
    pub fn grammar_scope(&self) -> GrammarScope {
        match self.answer.is_content() {
            true => GrammarScope::Content {
                opener: self.answer.opener(),
            },
            false => GrammarScope::Reasoning,
        }
    }
}
