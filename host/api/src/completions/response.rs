//! The answer to a request to continue texts: the same pieces as a whole or as server-sent events.

use super::request::Output;
use crate::{
    chat::{finish_reason, riad, usage},
    sse::{data, done, failure},
};
use axum::response::sse::Event;
use futures::{Stream, StreamExt, stream};
use riad_api_types::{
    chat::{Riad, Usage},
    completions::{Completion, CompletionChoice, CompletionLogprobs},
};
use riad_core::{
    Error, Result, Timestamp,
    chat::{FinishReason, TokenLogprobs},
};
use riad_services::chat::ChatEvent;
use std::pin::pin;
use uuid::Uuid;

/// More than a request may ask for.
const CHOICES_MAX: u32 = 256;

pub(super) struct CompletionWriter {
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
    /// Whether pieces have their tokens' logprobs.
    logprobs: bool,
    /// Where the next token of each choice begins, in characters.
    offsets: Vec<u64>,
}

/// What an event adds to the answer.
enum Written {
    Choice(CompletionChoice),
    End(Usage, Box<Riad>),
}

impl CompletionWriter {
    pub fn new(model: &str, fingerprint: &str, output: &Output) -> Self {
        Self {
            id: format!("cmpl-{}", Uuid::now_v7().simple()),
            created: Timestamp::now().as_seconds(),
            model: model.to_owned(),
            fingerprint: fingerprint.to_owned(),
            logprobs: output.logprobs,
            // More are refused when the request starts.
            offsets: vec![0; output.choices.min(CHOICES_MAX) as usize],
        }
    }

    pub async fn collect(mut self, events: impl Stream<Item = Result<ChatEvent>>) -> Result<Completion> {
        let mut events = pin!(events);
        let mut choices: Vec<_> = (0..)
            .zip(&self.offsets)
            .map(|(index, _)| piece(index, String::new(), self.logprobs.then(CompletionLogprobs::default)))
            .collect();
        while let Some(event) = events.next().await {
            match self.write(event?) {
                Written::Choice(written) => {
                    if let Some(choice) = choices.get_mut(written.index as usize) {
                        choice.text.push_str(&written.text);
                        choice.finish_reason = written.finish_reason;
                        if let (Some(all), Some(new)) = (&mut choice.logprobs, written.logprobs) {
                            append(all, new);
                        }
                    }
                }
                Written::End(usage, riad) => return Ok(self.completion(choices, Some(usage), Some(*riad))),
            }
        }
        Err(Error::internal("a completion ended without its receipt"))
    }

    /// The last choice's end is held back, because the last event before the usage has the receipt.
    pub fn stream(
        mut self,
        events: impl Stream<Item = Result<ChatEvent>> + Send + 'static,
        include_usage: bool,
    ) -> impl Stream<Item = Event> + Send + 'static {
        let mut pending = None;
        events.flat_map(move |event| {
            let written = match event {
                Ok(event) => self.write(event),
                Err(error) => return stream::iter(vec![failure(error)]),
            };
            let chunk = |choices, usage, riad| data(&self.completion(choices, usage, riad));
            let written = match written {
                Written::Choice(choice) => {
                    let before = pending.take();
                    let (now, later) = match choice.finish_reason.is_some() {
                        true => (None, Some(choice)),
                        false => (Some(choice), None),
                    };
                    pending = later;
                    let choices = before.into_iter().chain(now);
                    choices.map(|choice| chunk(vec![choice], None, None)).collect()
                }
                Written::End(usage, riad) => {
                    let last = pending.take().into_iter().collect();
                    match include_usage {
                        true => vec![
                            chunk(last, None, None),
                            chunk(Vec::new(), Some(usage), Some(*riad)),
                            done(),
                        ],
                        false => vec![chunk(last, None, Some(*riad)), done()],
                    }
                }
            };
            stream::iter(written)
        })
    }

    fn write(&mut self, event: ChatEvent) -> Written {
        match event {
            ChatEvent::Text { choice, text, logprobs } => {
                Written::Choice(piece(choice, text, self.logprobs(choice, logprobs)))
            }
            // This shape has one text only, and all of it is the model's.
            ChatEvent::Reasoning { choice, text } => Written::Choice(piece(choice, text, None)),
            // No tools are offered.
            ChatEvent::ToolCall { choice, piece: call } => Written::Choice(piece(choice, call.arguments, None)),
            // Without passages there is nothing to cite.
            ChatEvent::ChoiceEnd { choice, finish, .. } => Written::Choice(end(choice, finish)),
            ChatEvent::End {
                receipt,
                passages,
                usage: counted,
            } => {
                let usage = usage(counted);
                Written::End(usage, Box::new(riad(receipt, passages, None)))
            }
        }
    }

    fn logprobs(&mut self, choice: u32, tokens: Vec<TokenLogprobs>) -> Option<CompletionLogprobs> {
        let offset = self.offsets.get_mut(choice as usize).filter(|_| !tokens.is_empty())?;
        let mut logprobs = CompletionLogprobs::default();
        *offset = logprobs.extend(tokens, *offset);
        Some(logprobs)
    }

    fn completion(&self, choices: Vec<CompletionChoice>, usage: Option<Usage>, riad: Option<Riad>) -> Completion {
        Completion {
            id: self.id.clone(),
            object: "text_completion".into(),
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: self.fingerprint.clone(),
            choices,
            usage,
            riad,
        }
    }
}

fn piece(index: u32, text: String, logprobs: Option<CompletionLogprobs>) -> CompletionChoice {
    CompletionChoice {
        text,
        index,
        logprobs,
        finish_reason: None,
    }
}

fn end(index: u32, finish: FinishReason) -> CompletionChoice {
    CompletionChoice {
        finish_reason: Some(finish_reason(finish).into()),
        ..piece(index, String::new(), None)
    }
}

fn append(all: &mut CompletionLogprobs, new: CompletionLogprobs) {
    all.tokens.extend(new.tokens);
    all.token_logprobs.extend(new.token_logprobs);
    all.top_logprobs.extend(new.top_logprobs);
    all.text_offset.extend(new.text_offset);
}
