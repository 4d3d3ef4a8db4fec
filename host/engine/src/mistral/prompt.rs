//! Messages to the model's prompt: its chat template, then its tokenizer. Not here: what the messages are (`services`).

use super::reasoning::{ReasoningMarkers, ReasoningParser};
use either::Either;
use indexmap::IndexMap;
use mistralrs::core::{ChatTemplate, MessageContent, apply_chat_template_to};
use riad_core::{
    Error, Result,
    chat::{Message, Role},
};
use std::sync::Arc;
use tokenizers::Tokenizer;

#[derive(Clone)]
pub(super) struct PromptEncoder {
    template: Arc<ChatTemplate>,
    tokenizer: Arc<Tokenizer>,
    reasoning: Option<ReasoningMarkers>,
}

pub(super) struct EncodedPrompt {
    pub tokens: Vec<u32>,
    /// Reads the answer to this prompt.
    pub answer_parser: ReasoningParser,
}

impl PromptEncoder {
    pub fn new(template: Arc<ChatTemplate>, tokenizer: Arc<Tokenizer>) -> Self {
        Self {
            reasoning: ReasoningMarkers::find(&tokenizer),
            template,
            tokenizer,
        }
    }

    /// The tokens of a text alone, without the template.
    pub fn count_text(&self, text: &str) -> usize {
        self.tokenizer
            .encode_fast(text, false)
            .map_or(0, |encoding| encoding.len())
    }

    /// The whole prompt, to the place where the answer begins. Takes milliseconds; may be called on any thread.
    pub fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt> {
        let Some(template) = &self.template.chat_template else {
            return Err(refused("it has none"));
        };
        let text = apply_chat_template_to(
            messages.iter().map(entry).collect(),
            true,
            None,
            None,
            template,
            self.template.bos_tok(),
            self.template.eos_tok(),
            self.template.unk_tok(),
            Vec::new(),
        )
        .map_err(refused)?;
        let answer_parser = ReasoningParser::new(self.reasoning, &text);
        // The template has written all special tokens that a prompt begins with.
        let encoding = self.tokenizer.encode_fast(text, false).map_err(refused)?;
        Ok(EncodedPrompt {
            tokens: encoding.get_ids().to_vec(),
            answer_parser,
        })
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("the model's chat template refuses these messages: {why}")).with_param("messages")
}

fn entry(message: &Message) -> IndexMap<String, MessageContent> {
    let role = match message.role {
        Role::System | Role::User | Role::Assistant => message.role.as_str(),
    };
    IndexMap::from([
        ("role".to_owned(), Either::Left(role.to_owned())),
        ("content".to_owned(), Either::Left(message.content.clone())),
    ])
}
