//! Tells what a model thinks from what it answers, by the tokens that its tokenizer has for that. Not here: what is sent (`sequence`).

use super::text::TextDecoder;
use tokenizers::Tokenizer;

/// The texts of the tokens around a model's reasoning.
const MARKERS: [(&str, &str); 1] = [
    // Qwen3, SmolLM3, DeepSeek-R1 and its distills.
    ("<think>", "</think>"),
];

pub(crate) fn is_marker(text: &str) -> bool {
    MARKERS.iter().any(|(open, close)| text == *open || text == *close)
}

/// The tokens around a model's reasoning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReasoningMarkers {
    open: u32,
    close: u32,
    open_text: &'static str,
}

impl ReasoningMarkers {
    /// `None`: the tokenizer has no such tokens of their own, so what looks like a marker is text.
    pub fn find(tokenizer: &Tokenizer) -> Option<Self> {
        let added = tokenizer.get_added_vocabulary().get_vocab();
        MARKERS.iter().find_map(|(open_text, close_text)| {
            Some(Self {
                open: *added.get(*open_text)?,
                close: *added.get(*close_text)?,
                open_text,
            })
        })
    }

    /// Whether the answer to this prompt begins inside of the reasoning: the templates of DeepSeek-R1 and others open it themselves.
    pub fn are_opened_by(&self, prompt: &str) -> bool {
        prompt.trim_end().ends_with(self.open_text)
    }

    /// Whether the reasoning is open after the token, if the token is a marker.
    fn opens(&self, token: u32) -> Option<bool> {
        (token == self.open)
            .then_some(true)
            .or_else(|| (token == self.close).then_some(false))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Reasoning,
    Content,
}

/// Tokens to text, and which of it is reasoning. A model reasons before its answer: once content has begun, all that follows is content.
/// Both begin with their first letter, not with the space before it.
#[derive(Debug, Default)]
pub(crate) struct ReasoningParser {
    /// `None`: the model does not reason.
    markers: Option<ReasoningMarkers>,
    decoder: TextDecoder,
    is_open: bool,
    /// Whether the channel's text has begun.
    begun: bool,
    reasoning_tokens: u32,
}

impl ReasoningParser {
    /// For the answer to a prompt that opens the reasoning, or does not.
    pub fn new(markers: Option<ReasoningMarkers>, is_open: bool) -> Self {
        Self {
            markers,
            is_open,
            ..Self::default()
        }
    }

    /// For an answer that goes on where a text ends: nothing of it is reasoning, and nothing is taken away.
    pub fn of_text() -> Self {
        Self {
            begun: true,
            ..Self::default()
        }
    }

    /// Whether the next token belongs to the content, or to a reasoning that is open.
    pub fn is_content(&self) -> bool {
        !self.is_open
    }

    /// The token that opens a reasoning, if it may still come.
    pub fn opener(&self) -> Option<u32> {
        let has_begun = self.begun || self.decoder.is_pending() || self.reasoning_tokens > 0;
        self.markers.filter(|_| !has_begun).map(|markers| markers.open)
    }

    /// Takes a token, which adds `bytes` to the text unless it is a marker. Returns the text that is complete with it, and whose it is.
    pub fn push(&mut self, token: u32, bytes: &[u8]) -> (Channel, String) {
        let has_content = !self.is_open && (self.begun || self.decoder.is_pending());
        if let Some(opens) = self.markers.and_then(|markers| markers.opens(token))
            && !has_content
        {
            self.reasoning_tokens += 1;
            // A character of the reasoning that the marker cuts off.
            self.decoder.discard_pending();
            self.begun &= opens == self.is_open;
            self.is_open = opens;
            return (Channel::Reasoning, String::new());
        }
        self.reasoning_tokens += u32::from(self.is_open);
        // SentencePiece writes a space as U+2581.
        let mut text = self.decoder.push(bytes).replace('\u{2581}', " ");
        if !self.begun {
            text = text.trim_start().to_owned();
            self.begun = !text.is_empty();
        }
        (self.channel(), text)
    }

    /// Tokens of the reasoning so far, with its markers. `None` if the model does not reason.
    pub fn reasoning_tokens(&self) -> Option<u32> {
        self.markers.map(|_| self.reasoning_tokens)
    }

    /// Whether the answer has not left the reasoning.
    pub fn is_reasoning(&self) -> bool {
        self.is_open
    }

    fn channel(&self) -> Channel {
        match self.is_open {
            true => Channel::Reasoning,
            false => Channel::Content,
        }
    }
}

#[cfg(test)]
mod tests;
