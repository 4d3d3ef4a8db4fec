//! Whether messages can fit into the context, by their bytes: known at once, before anybody counts tokens.

use crate::text::context_bytes;
use riad_core::{Error, ErrorKind, Result, chat::Message, ports::ChatEngine};

/// By how much a pipeline may shorten a conversation: one that is longer than so many contexts is refused before a guest reads it.
const SHORTENED_BY: u64 = 8;

/// Checks what the client sent. A pipeline leaves out old messages, but hardly a part of one.
///
/// # Errors
/// `ContextTooLong` with both numbers.
pub(super) fn check_request(engine: &dyn ChatEngine, messages: &[Message]) -> Result<()> {
    let most = context_bytes(engine);
    for message in messages {
        check(engine, message.content.len() as u64, most)?;
    }
    check(engine, total(messages), most.saturating_mul(SHORTENED_BY))
}

/// Checks what the model would read.
///
/// # Errors
/// `ContextTooLong` with both numbers.
pub(crate) fn check_prompt(engine: &dyn ChatEngine, messages: &[Message]) -> Result<()> {
    check(engine, total(messages), context_bytes(engine))
}

fn total(messages: &[Message]) -> u64 {
    messages.iter().map(|message| message.content.len() as u64).sum()
}

fn check(engine: &dyn ChatEngine, bytes: u64, most: u64) -> Result<()> {
    if bytes <= most {
        return Ok(());
    }
    let context = engine.profile().context_tokens;
    let text = format!(
        "this model's maximum context length is {context} tokens, which are at most {most} bytes, and the messages have {bytes} bytes; \
         shorten the messages"
    );
    Err(Error::new(ErrorKind::ContextTooLong, text).with_param("messages"))
}
