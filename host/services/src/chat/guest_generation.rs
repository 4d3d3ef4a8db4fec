//! Generations that a guest asks for while it serves a request: to rewrite a question, to order passages, to summarize. They have the
//! request's tenant, adapter and deadline, wait in the same queue, and are billed in its entry. No stage runs, so that none can ask for
//! another: they are one level deep.

use super::{
    generations::{Generations, Turn},
    prompt, size,
};
use crate::metering::{GuestMeter, UsageHandle};
use futures::StreamExt;
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, Grammar, Message, OutputFormat, Sampling, TokenUsage},
    ports::{GenerationEvent, GenerationStream},
    price::Usage,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tracing::{Instrument, info_span};

const STOP_MAX: usize = 4;
/// The engine looks for the beginnings of each sequence after every token.
const STOP_BYTES: usize = 256;
/// It is compiled for each generation.
const SCHEMA_BYTES: usize = 64 << 10;
const TEMPERATURE_MAX: f32 = 2.0;

/// What a guest asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GuestPrompt {
    pub messages: Vec<Message>,
    pub max_tokens: u32,
    pub temperature: f32,
    pub stop: Vec<String>,
    /// The answer's JSON Schema.
    pub schema: Option<Value>,
}

pub(crate) struct GuestAnswer {
    pub text: String,
    pub usage: TokenUsage,
    /// It has as many tokens as it may have.
    pub is_cut: bool,
}

/// The generations of one request's guests.
pub(crate) struct GuestGenerations {
    generations: Generations,
    meter: GuestMeter,
    left: AtomicU32,
}

impl GuestGenerations {
    pub fn new(generations: Generations, meter: GuestMeter) -> Self {
        Self {
            left: AtomicU32::new(generations.shared.limits.guest_generations),
            generations,
            meter,
        }
    }

    /// # Errors
    /// `InvalidRequest` and `ContextTooLong` for the prompt, `Busy` when the request has had as many as it may have, `QuotaExceeded` where
    /// the budget has no room, and whatever the engine fails with.
    pub async fn generate(&self, asked: GuestPrompt) -> Result<GuestAnswer> {
        let shared = &self.generations.shared;
        self.check(&asked)?;
        let one_less = |left: u32| left.checked_sub(1);
        if self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_err()
        {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "a request's plugins may generate {} times (limits.guest_generations)",
                    shared.limits.guest_generations
                ),
            ));
        }
        let meter = self.meter.handle()?;
        let engine = Arc::clone(&shared.engine);
        size::check_prompt(engine.as_ref(), &asked.messages)?;
        let messages = asked.messages;
        let encoding = prompt::encode(shared, &self.generations.pass, meter.clone(), move |engine| {
            engine.encode(&messages)
        });
        let encoded = encoding.await?;
        let left = engine.profile().context_tokens.saturating_sub(encoded.count());
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
        let max_tokens = asked.max_tokens.min(left);
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
                top_p: None,
                top_k: None,
                min_p: None,
                frequency_penalty: 0.0,
                presence_penalty: 0.0,
                repetition_penalty: None,
                stop: asked.stop,
                max_tokens,
                seed: None,
                logit_bias: BTreeMap::new(),
                logprobs: None,
                grammar,
                tools: None,
            },
            is_continuation: true,
        };
        let generating = async {
            let begun = self.generations.begin(&meter, turn).await?;
            self.collect(&meter, begun.stream).await
        };
        let answer = generating
            .instrument(info_span!(target: "riad_services", "generate_for_guest"))
            .await?;
        let used = Usage {
            prompt_tokens: answer.usage.prompt_tokens.into(),
            completion_tokens: answer.usage.completion_tokens.into(),
            ..Usage::default()
        };
        meter.release(most.minus(&used));
        Ok(answer)
    }

    fn check(&self, asked: &GuestPrompt) -> Result<()> {
        let most = self.generations.shared.limits.guest_generation_tokens;
        if asked.messages.iter().all(|message| message.content.trim().is_empty()) {
            return Err(Error::invalid("the messages must have text in them"));
        }
        if !(1..=most).contains(&asked.max_tokens) {
            return Err(Error::invalid(format!(
                "max-tokens must be 1 to {most} (limits.guest_generation_tokens)"
            )));
        }
        if !(0.0..=TEMPERATURE_MAX).contains(&asked.temperature) {
            return Err(Error::invalid(format!("temperature must be 0 to {TEMPERATURE_MAX}")));
        }
        let is_usable = |stop: &String| (1..=STOP_BYTES).contains(&stop.len());
        if asked.stop.len() > STOP_MAX || !asked.stop.iter().all(is_usable) {
            return Err(Error::invalid(format!(
                "stop may have up to {STOP_MAX} texts of 1 to {STOP_BYTES} bytes each"
            )));
        }
        match &asked.schema {
            Some(schema) if !schema.is_object() => Err(Error::invalid("a schema must be an object")),
            Some(schema) if schema.to_string().len() > SCHEMA_BYTES => {
                Err(Error::invalid(format!("a schema may have up to {SCHEMA_BYTES} bytes")))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn compile(&self, meter: &UsageHandle, format: OutputFormat) -> Result<Grammar> {
        let engine = Arc::clone(&self.generations.shared.engine);
        let mut work = self.generations.shared.work(&self.generations.pass).keep(meter.clone());
        work.run(move || engine.compile_grammar(&format)).await
    }

    /// The answer without the model's reasoning.
    async fn collect(&self, meter: &UsageHandle, mut stream: GenerationStream) -> Result<GuestAnswer> {
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match self.generations.record_engine_result(meter, event)? {
                GenerationEvent::Piece(piece) => text.push_str(&piece.text),
                GenerationEvent::Reasoning(_) | GenerationEvent::ToolCall(_) => {}
                GenerationEvent::End(end) => {
                    return Ok(GuestAnswer {
                        text,
                        usage: end.usage,
                        is_cut: end.finish == FinishReason::Length,
                    });
                }
            }
        }
        meter.record_engine_result(Err(Error::internal("a generation ended without an end event")))
    }
}
