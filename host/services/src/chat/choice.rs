//! One choice: a place in the queue, a generation, and its way through the stream filter.
//! Not here: how choices are put together (`stream`).

use super::{ChatEvent, prepare::Prepared};
use futures::StreamExt;
use riad_core::{
    Error, ErrorKind, Result,
    ports::{FilterId, Generation, GenerationEnd, GenerationEvent, GenerationStream, QueueAsk},
};
use tokio::sync::mpsc::UnboundedSender;

/// Where the events of a request go.
///
/// The channel has no bound of its own, because a slow client must not hold up the filter, which holds guest memory, nor
/// the engine. It is bounded all the same: a request has at most `n` × `max_tokens` pieces, each let through by a filter
/// whose output is limited, and the request's deadline ends it.
pub(super) type Events = UnboundedSender<Result<ChatEvent>>;

/// Waits for a lane and starts the generation of a choice.
pub(super) async fn begin(prepared: &Prepared, choice: usize) -> Result<GenerationStream> {
    let shared = &prepared.shared;
    let ask = QueueAsk {
        pass: &prepared.pass,
        prompt_tokens: prepared.prompt_tokens,
        max_tokens: prepared.sampling.max_tokens,
    };
    let ticket = shared.scheduler.enter(ask).await?;
    let generation = Generation {
        messages: prepared.prompt.messages.clone(),
        sampling: prepared.sampling.clone(),
        adapter: prepared.adapter.clone(),
    };
    let stream = shared.engine.generate(generation, ticket).await?;
    prepared.bill.start(choice);
    Ok(stream)
}

/// Sends what the filter makes of a generation, to its end.
pub(super) async fn follow(
    prepared: &Prepared,
    choice: usize,
    filter: FilterId,
    mut generation: GenerationStream,
    events: &Events,
) -> Result<GenerationEnd> {
    let number = u32::try_from(choice).map_err(Error::internal)?;
    let end = loop {
        match generation.next().await {
            Some(Ok(GenerationEvent::Piece(piece))) => {
                prepared.bill.piece(choice, &piece);
                let text = prepared.run.push(filter, &piece).await?;
                send_text(events, number, text)?;
            }
            Some(Ok(GenerationEvent::End(end))) => break end,
            Some(Err(error)) => return Err(error),
            None => return Err(Error::internal("a generation ended without saying so")),
        }
    };
    prepared.bill.end(choice, end.usage);
    let ending = prepared.run.finish(filter).await?;
    send_text(events, number, ending.text)?;
    send(
        events,
        ChatEvent::ChoiceEnd {
            choice: number,
            finish: end.finish,
            citations: ending.citations,
        },
    )?;
    Ok(end)
}

fn send_text(events: &Events, choice: u32, text: String) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    send(events, ChatEvent::Text { choice, text })
}

pub(super) fn send(events: &Events, event: ChatEvent) -> Result<()> {
    events
        .send(Ok(event))
        .map_err(|_| Error::new(ErrorKind::Cancelled, "the caller went away"))
}
