//! Generations that a guest asks for while it serves a request: to rewrite a question, to order passages, to summarize. They have the
//! request's tenant, adapter and deadline, wait in the same queue, and are billed in its entry. No stage runs, so that none can ask for
//! another: they are one level deep.

use crate::{
    generations::{Generations, Turn},
    metering::{GuestMeter, UsageHandle},
    prompts,
};
use async_trait::async_trait;
use futures::StreamExt;
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, Grammar, OutputFormat, Sampling},
    ports::{Generated, GenerationEvent, GenerationStream, Generator, GuestPrompt},
    price::Usage,
};
use std::sync::Arc;
use tracing::{Instrument, info_span};

/// The engine looks for the beginnings of each sequence after every token.
const STOP_BYTES: usize = 256;
/// It is compiled for each generation.
const SCHEMA_BYTES: usize = 64 << 10;

/// The generations of one request's guests.
pub(crate) struct GuestGenerations {
    generations: Generations,
    meter: GuestMeter,
}

impl GuestGenerations {
    pub fn new(generations: Generations, meter: GuestMeter) -> Self {
        Self { generations, meter }
    }
}

#[async_trait]
impl Generator for GuestGenerations {
    async fn generate(&self, asked: GuestPrompt) -> Result<Generated> {
        check(&asked)?;
        let shared = &self.generations.shared;
        let meter = self.meter.handle()?;
        let engine = Arc::clone(&shared.engine);
        prompts::check_prompt(engine.as_ref(), &asked.messages)?;
        let messages = asked.messages;
        let encoding = prompts::encode(shared, &self.generations.pass, meter.clone(), move |engine| {
            engine.encode(&messages)
        });
        let encoded = encoding.await?;
        let left = shared
            .context_tokens(&self.generations.pass)
            .saturating_sub(encoded.count());
        if left == 0 {
            let text = format!(
                "the prompt has {} tokens, as many as the context or more",
                encoded.count()
            );
            return Err(Error::new(ErrorKind::ContextTooLong, text));
        }
        let grammar = match asked.schema {
            Some(schema) => Some(self.compile(&meter, OutputFormat::JsonSchema(schema)).await?),
            None => None,
        };
        let of_tenant = self
            .generations
            .pass
            .policy()
            .limits
            .completion_tokens
            .unwrap_or(u32::MAX);
        let max_tokens = asked.max_tokens.min(left).min(of_tenant);
        let most = Usage {
            prompt_tokens: encoded.count().into(),
            completion_tokens: max_tokens.into(),
            ..Usage::default()
        };
        meter.hold(most).await?;
        let turn = Turn {
            prompt: &encoded,
            sampling: Sampling {
                temperature: asked.temperature,
                stop: asked.stop,
                grammar,
                ..Sampling::greedy(max_tokens)
            },
            // It may come before the request was ever admitted to the engine.
            is_continuation: false,
        };
        let generating = async {
            let begun = self.generations.begin(&meter, turn).await;
            // Nothing of it was used.
            let begun = begun.inspect_err(|_| meter.release(most))?;
            self.collect(&meter, begun.stream).await
        };
        let answer = generating
            .instrument(info_span!(target: "riad_services", "generate_for_guest"))
            .await?;
        let used = Usage {
            prompt_tokens: answer.prompt_tokens.into(),
            completion_tokens: answer.completion_tokens.into(),
            ..Usage::default()
        };
        meter.release(most.minus(&used));
        Ok(answer)
    }
}

impl GuestGenerations {
    async fn compile(&self, meter: &UsageHandle, format: OutputFormat) -> Result<Grammar> {
        let engine = Arc::clone(&self.generations.shared.engine);
        let mut work = self.generations.shared.work(&self.generations.pass).keep(meter.clone());
        work.run(move || engine.compile_grammar(&format)).await
    }

    /// The answer without the model's reasoning.
    async fn collect(&self, meter: &UsageHandle, mut stream: GenerationStream) -> Result<Generated> {
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match self.generations.record_engine_result(meter, event)? {
                GenerationEvent::Piece(piece) => text.push_str(&piece.text),
                GenerationEvent::Reasoning(_) | GenerationEvent::ToolCall(_) => {}
                GenerationEvent::End(end) => {
                    return Ok(Generated {
                        text,
                        prompt_tokens: end.usage.prompt_tokens,
                        completion_tokens: end.usage.completion_tokens,
                        is_cut: end.finish == FinishReason::Length,
                    });
                }
            }
        }
        meter.record_engine_result(Err(Error::internal("a generation ended without an end event")))
    }
}

/// What the sandbox leaves to check.
fn check(asked: &GuestPrompt) -> Result<()> {
    if asked.messages.iter().all(|message| message.content.trim().is_empty()) {
        return Err(Error::invalid("the messages must have text in them"));
    }
    if asked.stop.iter().any(|stop| stop.len() > STOP_BYTES) {
        return Err(Error::invalid(format!(
            "each text of `stop` may have {STOP_BYTES} bytes"
        )));
    }
    match &asked.schema {
        Some(schema) if schema.to_string().len() > SCHEMA_BYTES => {
            Err(Error::invalid(format!("a schema may have up to {SCHEMA_BYTES} bytes")))
        }
        Some(_) | None => Ok(()),
    }
}
