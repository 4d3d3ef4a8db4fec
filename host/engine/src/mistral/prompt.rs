//! Messages to the model's prompt: its chat template, then its tokenizer. Not here: what the messages are (`services`).

use super::reasoning::{ReasoningMarkers, ReasoningParser};
use either::Either;
use indexmap::IndexMap;
use mistralrs::core::{ChatTemplate, MessageContent, apply_chat_template_to};
use riad_core::{
    Error, Result,
    chat::{Message, Role},
    ports::EncodedPrompt,
};
use std::sync::Arc;
use tokenizers::Tokenizer;

#[derive(Clone)]
pub(super) struct PromptEncoder {
    template: Arc<ChatTemplate>,
    tokenizer: Arc<Tokenizer>,
    reasoning: Option<ReasoningMarkers>,
    longest_token: usize,
}

impl PromptEncoder {
    pub fn new(template: Arc<ChatTemplate>, tokenizer: Arc<Tokenizer>) -> Self {
        Self {
            reasoning: ReasoningMarkers::find(&tokenizer),
            longest_token: longest_token(&tokenizer),
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

    /// Bytes of the longest text that one token stands for, at least 1.
    pub fn longest_token(&self) -> usize {
        self.longest_token
    }

    /// Reads the answer to a prompt.
    pub fn answer_parser(&self, prompt: &EncodedPrompt) -> ReasoningParser {
        ReasoningParser::new(self.reasoning, prompt.opens_reasoning)
    }

    /// The whole prompt, to the place where the answer begins.
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
        let opens_reasoning = self.reasoning.is_some_and(|markers| markers.are_opened_by(&text));
        // The template has written all special tokens that a prompt begins with.
        let encoding = self.tokenizer.encode_fast(text, false).map_err(refused)?;
        Ok(EncodedPrompt {
            tokens: encoding.get_ids().to_vec(),
            opens_reasoning,
        })
    }
}

/// As the vocabulary writes it, which is never shorter than the text itself: byte-level tokenizers write some bytes as two.
fn longest_token(tokenizer: &Tokenizer) -> usize {
    let tokens = tokenizer.get_vocab(true);
    tokens.keys().map(String::len).max().unwrap_or_default().max(1)
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
