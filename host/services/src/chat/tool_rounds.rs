//! Calls of the room's own tools: found in what the model writes, run in the room, and told to the model, which goes on from there.
//! Not here: calls of the client's tools, which the client runs.

use super::{
    conversation::{self, ToolCall},
    prepared::{Prepared, PreparedChoice},
};
use crate::{generations::Turn, prompts, text::context_bytes};
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, Message, Role, Sampling, TokenUsage, ToolCallPiece},
    plugin::ToolOutcome,
    ports::{GenerationEnd, GenerationStream, LogLevel},
    price::Usage,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tracing::{Instrument, info_span};

/// Calls of one generation that are run.
const CALLS_MAX: usize = 16;

/// One choice's generations, each of which goes on from what tools answered to the one before.
pub(super) struct ToolRounds<'a> {
    prepared: &'a Prepared,
    choice: &'a PreparedChoice,
    /// Behind the prompt: calls and what they answered.
    messages: Vec<Message>,
    /// Of the generation that runs.
    text: String,
    /// Of the generation that runs, by their number in it.
    of_plugin: BTreeMap<u32, ToolCall>,
    /// The numbers under which the client reads its own calls, by their number in the generation that runs.
    of_client: BTreeMap<u32, u32>,
    rounds: u32,
    /// Of the generations that have ended.
    usage: TokenUsage,
    reasoning_tokens: Option<u32>,
}

/// What follows a generation.
pub(super) enum Round {
    Next(GenerationStream),
    /// The last, with what all have used.
    Ended(GenerationEnd),
}

impl<'a> ToolRounds<'a> {
    pub fn new(prepared: &'a Prepared, choice: &'a PreparedChoice) -> Self {
        Self {
            prepared,
            choice,
            messages: Vec::new(),
            text: String::new(),
            of_plugin: BTreeMap::new(),
            of_client: BTreeMap::new(),
            rounds: 0,
            usage: TokenUsage::default(),
            reasoning_tokens: None,
        }
    }

    /// What the model wrote beside its calls, as no filter has changed it.
    pub fn add_text(&mut self, text: &str) {
        if self.prepared.tools.as_ref().is_some_and(|tools| tools.has_plugins()) {
            self.text.push_str(text);
        }
    }

    /// What the client reads of a piece of a call: nothing, if the room's plugin runs it.
    pub fn add_call(&mut self, piece: ToolCallPiece) -> Option<ToolCallPiece> {
        let is_of_plugin = |name: &String| {
            self.prepared
                .tools
                .as_ref()
                .is_some_and(|tools| tools.is_of_plugin(name))
        };
        if let Some(name) = piece.name.clone().filter(is_of_plugin) {
            let call = ToolCall {
                name,
                ..ToolCall::default()
            };
            self.of_plugin.insert(piece.call, call);
        }
        if let Some(call) = self.of_plugin.get_mut(&piece.call) {
            call.arguments.push_str(&piece.arguments);
            return None;
        }
        let next = u32::try_from(self.of_client.len()).unwrap_or(u32::MAX);
        let call = *self.of_client.entry(piece.call).or_insert(next);
        Some(ToolCallPiece { call, ..piece })
    }

    /// Runs the calls of a generation that has ended, and starts the next. Calls of the client's tools end the choice, also beside others:
    /// the model calls those again when it has read what the client answers.
    pub async fn go_on(&mut self, end: GenerationEnd) -> Result<Round> {
        let used = self.add_usage(&end);
        let calls: Vec<_> = std::mem::take(&mut self.of_plugin).into_values().collect();
        let left = self.prepared.sampling.max_tokens.saturating_sub(used);
        let is_last = calls.is_empty() || !self.of_client.is_empty() || end.finish != FinishReason::ToolCalls;
        if is_last {
            return Ok(self.end(end));
        }
        let Prepared { generations, .. } = self.prepared;
        let is_last_round = self.rounds >= generations.shared.limits.tool_rounds;
        if is_last_round {
            let line = "the model called tools again after limits.tool_rounds rounds, so the answer ends here";
            generations
                .shared
                .logs
                .open(&generations.pass)
                .write(LogLevel::Warn, line);
        }
        if left == 0 || is_last_round {
            return Ok(self.end(GenerationEnd {
                finish: FinishReason::Length,
                ..end
            }));
        }
        self.rounds += 1;
        self.run(calls).await?;
        self.start(left).await.map(Round::Next)
    }

    async fn run(&mut self, calls: Vec<ToolCall>) -> Result<()> {
        let content = conversation::with_calls(std::mem::take(&mut self.text), &calls);
        self.messages.push(Message {
            role: Role::Assistant,
            content,
        });
        let most = context_bytes(self.prepared.generations.shared.engine.as_ref());
        let mut bytes: u64 = self.messages.iter().map(|message| message.content.len() as u64).sum();
        let log = self
            .prepared
            .generations
            .shared
            .logs
            .open(&self.prepared.generations.pass);
        for (place, call) in calls.into_iter().enumerate() {
            let answer = match serde_json::from_str::<Map<String, Value>>(&call.arguments) {
                Ok(_) if place >= CALLS_MAX => format!("Error: at most {CALLS_MAX} functions are called at once."),
                Ok(_) => {
                    let calling = self.prepared.run.call_tool(&call.name, &call.arguments);
                    let calling = calling.instrument(info_span!(target: "riad_services", "call_tool"));
                    match self.prepared.meter.record_result(calling.await)? {
                        ToolOutcome::Result(text) => text,
                        ToolOutcome::Refused(why) => format!("Error: {why}"),
                    }
                }
                Err(_) => "Error: the arguments are not a JSON object.".to_owned(),
            };
            log.write(
                LogLevel::Info,
                &format!(
                    "the model called the tool {}, which answered {} bytes",
                    call.name,
                    answer.len()
                ),
            );
            // Before the next call: what no prompt can have is not collected.
            bytes = bytes.saturating_add(answer.len() as u64);
            if bytes > most {
                return Err(too_long(Error::new(
                    ErrorKind::ContextTooLong,
                    format!("the prompt has more than the {most} bytes that this model's context can have"),
                )));
            }
            self.messages.push(Message::user(conversation::result(&answer)));
        }
        Ok(())
    }

    /// `left`: tokens that the rest of the answer may have.
    async fn start(&mut self, left: u32) -> Result<GenerationStream> {
        let Prepared { generations, meter, .. } = self.prepared;
        let mut messages = self.choice.messages.to_vec();
        messages.extend_from_slice(&self.messages);
        prompts::check_prompt(generations.shared.engine.as_ref(), &messages).map_err(too_long)?;
        let encode = prompts::encode(&generations.shared, &generations.pass, meter.handle(), move |engine| {
            engine.encode(&messages)
        });
        let encoded = encode.await?;
        let fits = self.prepared.context_tokens.saturating_sub(encoded.count());
        if fits == 0 {
            return Err(too_long(Error::new(
                ErrorKind::ContextTooLong,
                format!(
                    "this model's maximum context length is {} tokens, and the prompt has {}",
                    self.prepared.context_tokens,
                    encoded.count()
                ),
            )));
        }
        // The completion is held already: all rounds together have the tokens of one answer.
        let prompt = Usage {
            prompt_tokens: encoded.count().into(),
            ..Usage::default()
        };
        meter.hold(prompt).await?;
        let sampling = self.prepared.sampling_of(self.choice);
        let turn = Turn {
            prompt: &encoded,
            sampling: Sampling {
                max_tokens: left.min(fits),
                // A call was required of the first generation only; else there would never be an answer.
                grammar: None,
                ..sampling
            },
            is_continuation: true,
        };
        Ok(generations.begin(&meter.handle(), turn).await?.stream)
    }

    /// Returns the tokens of the completion so far.
    fn add_usage(&mut self, end: &GenerationEnd) -> u32 {
        let TokenUsage {
            prompt_tokens,
            cached_tokens,
            completion_tokens,
        } = end.usage;
        self.usage.prompt_tokens = self.usage.prompt_tokens.saturating_add(prompt_tokens);
        self.usage.cached_tokens = self.usage.cached_tokens.saturating_add(cached_tokens);
        self.usage.completion_tokens = self.usage.completion_tokens.saturating_add(completion_tokens);
        if let Some(tokens) = end.reasoning_tokens {
            self.reasoning_tokens = Some(self.reasoning_tokens.unwrap_or(0).saturating_add(tokens));
        }
        self.usage.completion_tokens
    }

    fn end(&self, end: GenerationEnd) -> Round {
        Round::Ended(GenerationEnd {
            usage: self.usage,
            reasoning_tokens: self.reasoning_tokens,
            ..end
        })
    }
}

/// The client cannot know what its room's tools answer.
fn too_long(error: Error) -> Error {
    let text = format!("with what this room's tools answered, {}", error.message());
    Error::new(error.kind(), text).with_param("messages")
}
