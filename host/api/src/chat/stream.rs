//! An answer as server-sent events, in OpenAI's order: a chunk with the role for each choice, deltas, a chunk with the finish
//! reason for each choice, the usage if it was asked for, `[DONE]`. An error after the first byte is one more event, and the
//! stream then ends without `[DONE]`. Comments fill a silence. Not here: answers as a whole (`collect`).

use super::response::{AnswerHeader, call_id, citation_list, finish_reason, riad, usage};
use crate::{
    error::ApiResult,
    sse::{self, Silence, data, done, failure},
};
use axum::response::{Response, sse::Event};
use futures::{Stream, StreamExt, stream};
use riad_api_types::chat::{
    CalledFunction, ChatCompletionChunk, ChoiceRiad, ChunkChoice, Delta, Riad, ToolCallDelta, Usage,
};
use riad_core::{Error, Result, chat::FinishReason, plugin::Citation};
use riad_services::chat::ChatEvent;

/// As [`sse::respond`], in OpenAI's chunks.
pub(super) async fn respond<S>(
    starting: impl Future<Output = Result<S>> + Send + 'static,
    silence: Silence,
    header: AnswerHeader,
    choices: u32,
    include_usage: bool,
) -> ApiResult<Response>
where
    S: Stream<Item = Result<ChatEvent>> + Send + 'static,
{
    let write = move |events| write(events, header, choices, include_usage);
    sse::respond(starting, silence, write, failure).await
}

fn write(
    events: impl Stream<Item = Result<ChatEvent>> + Send + 'static,
    header: AnswerHeader,
    choices: u32,
    include_usage: bool,
) -> impl Stream<Item = Event> + Send + 'static {
    let mut writer = ChunkWriter {
        header,
        single: choices == 1,
        include_usage,
        pending_end: None,
    };
    let opening: Vec<_> = (0..choices).map(|choice| writer.role_chunk(choice)).collect();
    let rest = events.flat_map(move |event| stream::iter(writer.events_for(event)));
    stream::iter(opening).chain(rest)
}

struct ChunkWriter {
    header: AnswerHeader,
    single: bool,
    include_usage: bool,
    /// The choice that ended last. Its chunk is held back until the next event, because the very last one carries the receipt.
    pending_end: Option<ChoiceEnd>,
}

struct ChoiceEnd {
    choice: u32,
    finish: FinishReason,
    citations: Vec<Citation>,
}

impl ChunkWriter {
    fn role_chunk(&self, choice: u32) -> Event {
        let delta = Delta {
            role: Some("assistant".into()),
            content: Some(String::new()),
            ..Delta::default()
        };
        self.chunk(vec![choice_chunk(choice, delta)], None, None)
    }

    fn events_for(&mut self, event: Result<ChatEvent>) -> Vec<Event> {
        match event {
            Ok(ChatEvent::Reasoning { choice, text }) => {
                let delta = Delta {
                    reasoning_content: Some(text),
                    ..Delta::default()
                };
                self.events_for_text(choice_chunk(choice, delta))
            }
            Ok(ChatEvent::Text { choice, text, logprobs }) => {
                let delta = Delta {
                    content: Some(text),
                    ..Delta::default()
                };
                let mut chunk = choice_chunk(choice, delta);
                chunk.logprobs = (!logprobs.is_empty()).then(|| logprobs.into());
                self.events_for_text(chunk)
            }
            Ok(ChatEvent::ToolCall { choice, piece }) => {
                let begins = piece.name.is_some();
                let call = ToolCallDelta {
                    index: piece.call,
                    id: begins.then(|| call_id(&self.header, choice, piece.call)),
                    r#type: begins.then(|| "function".into()),
                    function: CalledFunction {
                        name: piece.name,
                        arguments: piece.arguments,
                    },
                };
                let delta = Delta {
                    tool_calls: Some(vec![call]),
                    ..Delta::default()
                };
                self.events_for_text(choice_chunk(choice, delta))
            }
            Ok(ChatEvent::ChoiceEnd {
                choice,
                finish,
                citations,
                ..
            }) => {
                let before = self.take_pending_end();
                self.pending_end = Some(ChoiceEnd {
                    choice,
                    finish,
                    citations,
                });
                before.into_iter().collect()
            }
            Ok(ChatEvent::End {
                receipt,
                passages,
                usage: counted,
            }) => {
                let usage = usage(counted);
                let Some(end) = self.pending_end.take() else {
                    return vec![failure(Error::internal("a chat ended before its choices"))];
                };
                let (choice, citations) = self.end_chunk(end);
                let riad = riad(receipt, passages, citations);
                let mut events = Vec::new();
                if self.include_usage {
                    events.push(self.chunk(vec![choice], None, None));
                    events.push(self.chunk(Vec::new(), Some(usage), Some(riad)));
                } else {
                    events.push(self.chunk(vec![choice], None, Some(riad)));
                }
                events.push(done());
                events
            }
            Err(error) => vec![failure(error)],
        }
    }

    fn events_for_text(&mut self, chunk: ChunkChoice) -> Vec<Event> {
        let text = self.chunk(vec![chunk], None, None);
        self.take_pending_end().into_iter().chain([text]).collect()
    }

    /// The chunk of a choice that ended before others.
    fn take_pending_end(&mut self) -> Option<Event> {
        let (choice, _) = self.pending_end.take().map(|end| self.end_chunk(end))?;
        Some(self.chunk(vec![choice], None, None))
    }

    /// The end of a choice, and the citations that belong to the whole answer.
    fn end_chunk(&self, end: ChoiceEnd) -> (ChunkChoice, Option<Vec<Citation>>) {
        let mut choice = choice_chunk(end.choice, Delta::default());
        choice.finish_reason = Some(finish_reason(end.finish).into());
        if self.single {
            return (choice, Some(end.citations));
        }
        choice.riad = Some(ChoiceRiad {
            citations: citation_list(end.citations),
        });
        (choice, None)
    }

    fn chunk(&self, choices: Vec<ChunkChoice>, usage: Option<Usage>, riad: Option<Riad>) -> Event {
        let header = self.header.clone();
        data(&ChatCompletionChunk {
            id: header.id,
            object: "chat.completion.chunk".into(),
            created: header.created,
            model: header.model,
            system_fingerprint: header.fingerprint,
            choices,
            usage: self.include_usage.then_some(usage),
            riad,
        })
    }
}

fn choice_chunk(index: u32, delta: Delta) -> ChunkChoice {
    ChunkChoice {
        index,
        delta,
        logprobs: None,
        finish_reason: None,
        riad: None,
    }
}
