//! Prompts as tokens: encoded by a worker, and refused before that if their bytes cannot fit into the context. Not here: what a prompt
//! says (`chat`).

use crate::{metering::UsageHandle, shared::Shared, text::context_bytes};
use riad_core::{Error, ErrorKind, Result, TenantPass, chat::Message, ports::ChatEngine};
use std::sync::Arc;
use tracing::{Instrument, info_span};

/// By how much a pipeline may shorten a conversation: one that is longer than so many contexts is refused before a guest reads it.
const SHORTENED_BY: u64 = 8;

/// Checks what the client sent. A pipeline leaves out old messages, but hardly a part of one.
///
/// # Errors
/// `ContextTooLong` with both numbers.
pub(crate) fn check_request(engine: &dyn ChatEngine, messages: &[Message]) -> Result<()> {
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

/// Has a worker encode something. The handle keeps the request open as long as a processor works for it.
pub(crate) async fn encode<T: Send + 'static>(
    shared: &Arc<Shared>,
    pass: &TenantPass,
    meter: UsageHandle,
    encode: impl FnOnce(&dyn ChatEngine) -> Result<T> + Send + 'static,
) -> Result<T> {
    let engine = Arc::clone(&shared.engine);
    let result = meter.clone();
    let mut work = shared.work(pass).keep(meter);
    let encoding = work.run(move || encode(engine.as_ref()));
    let encoded = encoding
        .instrument(info_span!(target: "riad_services", "count_prompt"))
        .await;
    result.record_engine_result(encoded)
}
