//! A text that a client sends as words or as tokens.

use riad_core::{
    Error, ErrorKind, Result,
    ports::{ChatEngine, EncodedPrompt},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Words(String),
    /// By their numbers in the model's vocabulary.
    Tokens(Vec<u32>),
}

impl Text {
    /// Its words, and its tokens with those that the tokenizer puts before a text of words. Keeps a processor busy until it returns.
    ///
    /// # Errors
    /// `InvalidRequest` if the model does not have one of the tokens.
    pub(crate) fn read(self, engine: &dyn ChatEngine) -> Result<(String, EncodedPrompt)> {
        match self {
            Self::Words(words) => {
                let encoded = engine.encode_text(&words)?;
                Ok((words, encoded))
            }
            Self::Tokens(tokens) => {
                let words = words_of(&tokens, engine)?;
                let encoded = EncodedPrompt {
                    tokens,
                    opens_reasoning: false,
                    is_continued: true,
                };
                Ok((words, encoded))
            }
        }
    }

    /// Whether the context can hold it, by what is known without reading it.
    ///
    /// # Errors
    /// `ContextTooLong` with both numbers.
    pub(crate) fn check_size(&self, engine: &dyn ChatEngine) -> Result<()> {
        let context = u64::from(engine.profile().context_tokens);
        let (length, most, unit) = match self {
            Self::Words(words) => (words.len(), context_bytes(engine), "bytes"),
            Self::Tokens(tokens) => (tokens.len(), context, "tokens"),
        };
        if length as u64 <= most {
            return Ok(());
        }
        let text = format!(
            "the text has {length} {unit}, and this model's context of {context} tokens holds at most {most}; shorten it"
        );
        Err(Error::new(ErrorKind::ContextTooLong, text))
    }
}

/// Bytes that a whole context may have.
pub(crate) fn context_bytes(engine: &dyn ChatEngine) -> u64 {
    u64::from(engine.profile().context_tokens).saturating_mul(engine.longest_token() as u64)
}

/// Keeps a processor busy until it returns.
///
/// # Errors
/// `InvalidRequest` if the model does not have one of the tokens.
pub(crate) fn words_of(tokens: &[u32], engine: &dyn ChatEngine) -> Result<String> {
    let words = engine.text_of(tokens);
    words.ok_or_else(|| unknown_token(&engine.profile().id))
}

/// Of the model with this name.
pub(crate) fn unknown_token(model: &str) -> Error {
    Error::invalid(format!(
        "{model} does not have one of these tokens; a tokenizer of another model made them, so send the text instead"
    ))
}
