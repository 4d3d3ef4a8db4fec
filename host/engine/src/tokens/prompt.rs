//! Messages to the model's prompt: its chat template, then its tokenizer. Not here: what the messages are (`services`).

mod turns;

use super::{
    engine_error,
    prompt_tokenizer::PromptTokenizer,
    reasoning::{ReasoningMarkers, ReasoningParser},
};
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
pub(crate) struct PromptEncoder {
    template: Arc<ChatTemplate>,
    tokenizer: Arc<PromptTokenizer>,
    reasoning: Option<ReasoningMarkers>,
    /// What the tokenizer puts before a text. Templates write it themselves.
    prefix: Vec<u32>,
    longest_token: usize,
}

impl PromptEncoder {
    pub fn new(template: Arc<ChatTemplate>, tokenizer: &Arc<Tokenizer>) -> Result<Self> {
        let ends = [template.bos_tok(), template.eos_tok()].into_iter().flatten();
        let ends: Vec<_> = ends.collect();
        Ok(Self {
            reasoning: ReasoningMarkers::find(tokenizer),
            prefix: prefix(tokenizer).map_err(|e| engine_error("cannot use the model's tokenizer", e))?,
            longest_token: longest_token(tokenizer),
            tokenizer: Arc::new(PromptTokenizer::new(tokenizer, &ends, &texts(&template))?),
            template,
        })
    }

    /// The tokens of a text alone, without the template.
    pub fn count_text(&self, text: &str) -> usize {
        let text = self.tokenizer.hide(text);
        self.tokenizer.encode(&text).map_or(0, |tokens| tokens.len())
    }

    /// A text without the template.
    pub fn encode_text(&self, text: &str) -> Result<EncodedPrompt> {
        let text = self.tokenizer.hide(text);
        let tokens = self
            .tokenizer
            .encode(&text)
            .map_err(|e| engine_error("cannot read a text", e))?;
        Ok(EncodedPrompt {
            tokens: self.prefix.iter().copied().chain(tokens).collect(),
            opens_reasoning: false,
            is_continued: true,
        })
    }

    pub fn text_of(&self, tokens: &[u32]) -> Option<String> {
        self.tokenizer.text_of(tokens)
    }

    /// Bytes of the longest text that one token stands for, at least 1.
    pub fn longest_token(&self) -> usize {
        self.longest_token
    }

    /// Whether the model may reason before it answers.
    pub fn reasons(&self) -> bool {
        self.reasoning.is_some()
    }

    /// Reads the answer to a prompt.
    pub fn answer_parser(&self, prompt: &EncodedPrompt) -> ReasoningParser {
        match prompt.is_continued {
            true => ReasoningParser::of_text(),
            false => ReasoningParser::new(self.reasoning, prompt.opens_reasoning),
        }
    }

    /// The whole prompt, to the place where the answer begins. A conversation whose order the template refuses is put in one that every
    /// template knows.
    pub fn encode(&self, messages: &[Message]) -> Result<EncodedPrompt> {
        let hidden = |message: &Message| Message {
            role: message.role,
            content: self.tokenizer.hide(&message.content),
        };
        let messages: Vec<_> = messages.iter().map(hidden).collect();
        let text = self.render(&messages).or_else(|refused| {
            let alternating = turns::alternate(messages);
            let rendered = self.render(&alternating);
            rendered.or_else(|_| self.render(&turns::without_system(alternating)).map_err(|_| refused))
        })?;
        let opens_reasoning = self.reasoning.is_some_and(|markers| markers.are_opened_by(&text));
        // The template has written all special tokens that a prompt begins with.
        Ok(EncodedPrompt {
            tokens: self.tokenizer.encode(&text).map_err(refused)?,
            opens_reasoning,
            is_continued: false,
        })
    }

    /// Messages whose texts are hidden, in the template.
    fn render(&self, messages: &[Message]) -> Result<String> {
        let Some(template) = &self.template.chat_template else {
            return Err(refused("it has none"));
        };
        apply_chat_template_to(
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
        .map_err(refused)
    }
}

/// A model may have several templates.
fn texts(template: &ChatTemplate) -> Vec<&str> {
    match template.chat_template.as_ref().map(|template| &template.0) {
        None => Vec::new(),
        Some(Either::Left(text)) => vec![text],
        Some(Either::Right(named)) => named.iter().flat_map(|one| one.values().map(String::as_str)).collect(),
    }
}

/// As the vocabulary writes it, which is never shorter than the text itself: byte-level tokenizers write some bytes as two.
fn longest_token(tokenizer: &Tokenizer) -> usize {
    let tokens = tokenizer.get_vocab(true);
    tokens.keys().map(String::len).max().unwrap_or_default().max(1)
}

/// The tokens that are added before any text, such as the one for its beginning.
fn prefix(tokenizer: &Tokenizer) -> tokenizers::Result<Vec<u32>> {
    const TEXT: &str = "a";
    let (with, without) = (tokenizer.encode_fast(TEXT, true)?, tokenizer.encode_fast(TEXT, false)?);
    let (with, without) = (with.get_ids(), without.get_ids());
    let at = with.windows(without.len().max(1)).position(|tokens| tokens == without);
    Ok(with.get(..at.unwrap_or(0)).unwrap_or_default().to_vec())
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

#[cfg(test)]
mod tests;
