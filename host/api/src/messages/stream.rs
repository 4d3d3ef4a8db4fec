//! An answer as server-sent events, in Anthropic's order: `message_start`, the blocks, `message_delta` with the reason and the usage,
//! `message_stop`. An error after the first byte is an event `error`, and the last. Not here: answers as a whole (`collect`).

use super::{
    AnswerHeader,
    blocks::{self, BlockStep, Blocks, Numbered},
};
use crate::{
    anthropic,
    chat::response::riad,
    error::ApiResult,
    sse::{self, Silence},
};
use axum::response::{Response, sse::Event};
use futures::{Stream, StreamExt, stream};
use riad_api_types::messages::{Message, MessageEnd, MessageEvent, MessageUsage};
use riad_core::{Error, Result, chat::FinishReason, plugin::Citation};
use riad_services::chat::ChatEvent;

/// As [`sse::respond`], of events and the tokens of their prompt.
pub(super) async fn respond<S>(
    starting: impl Future<Output = Result<(u64, S)>> + Send + 'static,
    silence: Silence,
    header: AnswerHeader,
) -> ApiResult<Response>
where
    S: Stream<Item = Result<ChatEvent>> + Send + 'static,
{
    let write = move |(prompt_tokens, events)| write(events, header, prompt_tokens);
    sse::respond(starting, silence, write, failure).await
}

fn write(
    events: impl Stream<Item = Result<ChatEvent>> + Send + 'static,
    header: AnswerHeader,
    prompt_tokens: u64,
) -> impl Stream<Item = Event> + Send + 'static {
    let start = start(&header, prompt_tokens);
    let mut writer = EventWriter {
        blocks: Blocks::new(&header.id, header.blocks),
        end: None,
    };
    let rest = events.flat_map(move |event| stream::iter(writer.events_for(event)));
    stream::iter([start]).chain(rest)
}

struct EventWriter {
    blocks: Blocks,
    /// How the answer ended; its receipt is still to come.
    end: Option<(FinishReason, Option<String>, Vec<Citation>)>,
}

impl EventWriter {
    fn events_for(&mut self, event: Result<ChatEvent>) -> Vec<Event> {
        match event {
            Ok(ChatEvent::Reasoning { text, .. }) => written(self.blocks.push_reasoning(text)),
            Ok(ChatEvent::Text { text, .. }) => written(self.blocks.push_text(text)),
            Ok(ChatEvent::ToolCall { piece, .. }) => written(self.blocks.push_call(piece)),
            Ok(ChatEvent::ChoiceEnd {
                finish,
                stop,
                citations,
                ..
            }) => {
                self.end = Some((finish, stop, citations));
                written(self.blocks.end())
            }
            Ok(ChatEvent::End {
                receipt,
                passages,
                usage,
            }) => {
                let Some((finish, stop, citations)) = self.end.take() else {
                    return vec![failure(Error::internal("a chat ended before its choice"))];
                };
                let (reason, stop_sequence) = blocks::stop_reason(finish, stop);
                let delta = MessageEnd {
                    stop_reason: Some(reason.into()),
                    stop_sequence,
                };
                let usage = blocks::usage(usage);
                let riad = riad(receipt, passages, Some(citations));
                vec![
                    named(&MessageEvent::MessageDelta { delta, usage, riad }),
                    named(&MessageEvent::MessageStop),
                ]
            }
            Err(error) => vec![failure(error)],
        }
    }
}

/// What the prefix cache has of the prompt is known only when the model has read it.
fn start(header: &AnswerHeader, prompt_tokens: u64) -> Event {
    named(&MessageEvent::MessageStart {
        message: Message {
            id: header.message_id(),
            r#type: "message".into(),
            role: "assistant".into(),
            model: header.model.clone(),
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: MessageUsage {
                input_tokens: prompt_tokens,
                cache_creation_input_tokens: 0,
                cache_read_input_tokens: 0,
                output_tokens: 0,
                output_tokens_details: None,
            },
            riad: None,
        },
    })
}

fn written(steps: Vec<Numbered>) -> Vec<Event> {
    let event = |(index, step)| match step {
        BlockStep::Start(content_block) => named(&MessageEvent::ContentBlockStart { index, content_block }),
        BlockStep::Delta(delta) => named(&MessageEvent::ContentBlockDelta { index, delta }),
        BlockStep::Stop => named(&MessageEvent::ContentBlockStop { index }),
    };
    steps.into_iter().map(event).collect()
}

/// Clients read an event's name, and its data's type.
fn named(event: &MessageEvent) -> Event {
    let name = match event {
        MessageEvent::MessageStart { .. } => "message_start",
        MessageEvent::ContentBlockStart { .. } => "content_block_start",
        MessageEvent::ContentBlockDelta { .. } => "content_block_delta",
        MessageEvent::ContentBlockStop { .. } => "content_block_stop",
        MessageEvent::MessageDelta { .. } => "message_delta",
        MessageEvent::MessageStop => "message_stop",
    };
    sse::named(name, event)
}

fn failure(error: Error) -> Event {
    sse::named("error", &anthropic::stream_error(error))
}
