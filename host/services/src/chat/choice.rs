//! One choice of a chat: its wait in the queue, its generation, and the stream filter.

use super::{
    event::ChatEvent,
    prepared::{Prepared, PreparedChoice},
    tool_rounds::{Round, ToolRounds},
};
use crate::generations::Turn;
use futures::StreamExt;
use riad_core::{
    Error, ErrorKind, Result,
    chat::TokenLogprobs,
    ports::{GenerationEnd, GenerationEvent, GenerationStream},
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{Instrument, info_span};

/// The channel to the caller, one for all choices of a request.
///
/// It is apart from the engine's channel, because the two protect different things. The engine's keeps a slow filter from holding up
/// the engine's step. This one keeps a slow client from holding up the filters, which occupy guest instances, and the deadline and the
/// settlement, which nobody would poll while the client does not read.
///
/// It has no bound of its own. The request bounds its content: at most `n` × `max_tokens` pieces, each from a filter whose output is
/// limited, until the request's deadline.
pub(super) type Events = UnboundedSender<Result<ChatEvent>>;

/// Starts the first generation of a choice.
pub(super) async fn begin_first(prepared: &Prepared, choice: &PreparedChoice) -> Result<GenerationStream> {
    let turn = Turn {
        prompt: &choice.prompt,
        sampling: prepared.sampling_of(choice),
        // The other choices belong to a request that already runs.
        is_continuation: choice.number > 0,
    };
    let begun = prepared.generations.begin(&prepared.meter.handle(), turn).await?;
    if choice.number == 0 {
        prepared.meter.record_queue_time(begun.queued);
    }
    prepared.meter.record_usage(|usage| usage.requests = 1);
    Ok(begun.stream)
}

/// Sends the filtered text of a choice, to its end: of its first generation, and of those that go on from what the room's tools answered.
pub(super) async fn follow(
    prepared: &Prepared,
    choice: &PreparedChoice,
    mut generation: GenerationStream,
    events: &Events,
) -> Result<GenerationEnd> {
    let number = choice.number;
    let meter = &prepared.meter;
    if let Some(text) = &choice.echo {
        send_text(events, number, text.to_string(), Vec::new())?;
    }
    let mut rounds = ToolRounds::new(prepared, choice);
    let end = loop {
        let generating = generate(prepared, choice, generation, events, &mut rounds);
        let end = generating
            .instrument(info_span!(target: "riad_services", "generate"))
            .await?;
        match rounds.go_on(end).await? {
            Round::Next(next) => generation = next,
            Round::Ended(end) => break end,
        }
    };
    if number == 0 {
        meter.record_generation_end(&end);
    }
    let citations = match choice.filter {
        None => Vec::new(),
        Some(filter) => {
            let finishing = prepared
                .run
                .finish(filter, end.finish)
                .instrument(info_span!(target: "riad_services", "postprocess"));
            let ending = meter.record_result(finishing.await)?;
            send_text(events, number, ending.text, Vec::new())?;
            ending.citations
        }
    };
    send(
        events,
        ChatEvent::ChoiceEnd {
            choice: number,
            finish: end.finish,
            stop: end.stop.clone().filter(|_| prepared.shows_reasoning),
            citations,
        },
    )?;
    Ok(end)
}

async fn generate(
    prepared: &Prepared,
    choice: &PreparedChoice,
    mut generation: GenerationStream,
    events: &Events,
    rounds: &mut ToolRounds<'_>,
) -> Result<GenerationEnd> {
    let number = choice.number;
    let meter = &prepared.meter;
    let record_piece = || {
        if number == 0 {
            meter.record_piece();
        }
    };
    loop {
        match generation.next().await {
            Some(Ok(GenerationEvent::Reasoning(text))) => {
                record_piece();
                if prepared.shows_reasoning {
                    send(events, ChatEvent::Reasoning { choice: number, text })?;
                }
            }
            Some(Ok(GenerationEvent::Piece(piece))) => {
                record_piece();
                rounds.add_text(&piece.text);
                let text = match choice.filter {
                    Some(filter) if !piece.text.is_empty() => {
                        meter.record_result(prepared.run.push(filter, &piece.text).await)?
                    }
                    Some(_) | None => piece.text,
                };
                send_text(events, number, text, piece.logprobs)?;
            }
            Some(Ok(GenerationEvent::ToolCall(piece))) => {
                record_piece();
                if let Some(piece) = rounds.add_call(piece) {
                    send(events, ChatEvent::ToolCall { choice: number, piece })?;
                }
            }
            Some(Ok(GenerationEvent::End(end))) => return Ok(end),
            Some(Err(error)) => return prepared.record_engine_result(Err(error)),
            None => return meter.record_engine_result(Err(Error::internal("a generation ended without an end event"))),
        }
    }
}

fn send_text(events: &Events, choice: u32, text: String, logprobs: Vec<TokenLogprobs>) -> Result<()> {
    if text.is_empty() && logprobs.is_empty() {
        return Ok(());
    }
    send(events, ChatEvent::Text { choice, text, logprobs })
}

pub(super) fn send(events: &Events, event: ChatEvent) -> Result<()> {
    events
        .send(Ok(event))
        .map_err(|_| Error::new(ErrorKind::Cancelled, "the caller has disconnected"))
}
