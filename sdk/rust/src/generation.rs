//! Prompts of the plugin's own: to rewrite a question, to order passages, to summarize. The model that serves the request answers them,
//! and their tokens count as the tenant's.

use crate::{Error, Message, Role, bindings::capabilities::riad::generation::generation};

pub use generation::{Generated, Options};

impl Default for Options {
    /// 256 tokens, always the likeliest one.
    fn default() -> Self {
        Self {
            max_tokens: 256,
            temperature: 0.0,
            stop: Vec::new(),
            schema: None,
        }
    }
}

/// The model's answer to these messages. No stage runs: what is given is what the model reads.
///
/// # Errors
/// `InvalidArgument` for options over their bounds or a prompt that is too long; `LimitExceeded` over the tenant's budget or after too many
/// generations of one request; `Unavailable` when the model has no place.
pub fn generate(messages: &[Message], options: &Options) -> Result<Generated, Error> {
    let messages: Vec<generation::Message> = messages
        .iter()
        .map(|message| generation::Message {
            role: match message.role {
                Role::System => generation::Role::System,
                Role::User => generation::Role::User,
                Role::Assistant => generation::Role::Assistant,
            },
            content: message.content.clone(),
        })
        .collect();
    generation::generate(&messages, options)
}

/// The text of the answer to one prompt, with the options' defaults.
///
/// # Errors
/// As `generate`.
pub fn ask(prompt: &str) -> Result<String, Error> {
    Ok(generate(&[Message::user(prompt)], &Options::default())?.text)
}
