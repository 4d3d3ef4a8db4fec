//! One choice of a chat: its wait in the queue, its generation, and the stream filter.

use super::{
    batch_permit::{self, BatchPermit},
    event::ChatEvent,
    prepared::Prepared,
};
use futures::StreamExt;
use riad_core::{
    Error, ErrorKind, Result,
    chat::{Sampling, TokenLogprobs},
    ports::{FilterId, Generation, GenerationEnd, GenerationEvent, GenerationStream, Progress},
};
use std::sync::Arc;
use tokio::{sync::mpsc::UnboundedSender, time::Instant};
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

/// Waits for a place in the engine's batch and starts the generation of a choice. The first choice's wait is limited, so that a client
/// learns early that the server is full; the others belong to a request that already runs and wait until its deadline.
pub(super) async fn begin(prepared: &Prepared, choice: usize) -> Result<GenerationStream> {
    let arrived = Instant::now();
    let progress = Arc::new(Progress::default());
    let meter = &prepared.meter;
    let BatchPermit { permit, adapter } = batch_permit::acquire(prepared, choice, &progress).await?;
    if choice == 0 {
        meter.record_queue_time(arrived.elapsed());
    }
    let generation = Generation {
        prompt: prepared.encoded.clone(),
        sampling: sampling_for_choice(&prepared.sampling, choice as u64),
        adapter: prepared.adapter.clone(),
        account: prepared.pass.account(),
        weight: prepared.pass.policy().weight,
        prefix_cache: prepared.pass.policy().prefix_cache,
        usage_reporter: meter.usage_reporter(&progress),
    };
    let starting = prepared.shared.engine.generate(generation, permit);
    let stream = prepared.record_engine_result(starting.await)?;
    // The generation holds it from here on.
    drop(adapter);
    meter.record_usage(|usage| usage.requests = 1);
    Ok(stream)
}

/// Derives a choice's seed from the request's: choices differ from each other and are reproducible.
fn sampling_for_choice(sampling: &Sampling, choice: u64) -> Sampling {
    Sampling {
        seed: sampling.seed.map(|seed| seed.wrapping_add(choice)),
        ..sampling.clone()
    }
}

/// Sends the filtered text of a generation, to its end.
pub(super) async fn follow(
    prepared: &Prepared,
    choice: usize,
    filter: FilterId,
    generation: GenerationStream,
    events: &Events,
) -> Result<GenerationEnd> {
    let number = u32::try_from(choice).map_err(Error::internal)?;
    let meter = &prepared.meter;
    let generating = generate(prepared, choice, filter, generation, events)
        .instrument(info_span!(target: "riad_services", "generate"));
    let end = generating.await?;
    let finishing = prepared
        .run
        .finish(filter)
        .instrument(info_span!(target: "riad_services", "postprocess"));
    let ending = meter.record_result(finishing.await)?;
    send_text(events, number, ending.text, Vec::new())?;
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

async fn generate(
    prepared: &Prepared,
    choice: usize,
    filter: FilterId,
    mut generation: GenerationStream,
    events: &Events,
) -> Result<GenerationEnd> {
    let number = u32::try_from(choice).map_err(Error::internal)?;
    let meter = &prepared.meter;
    let record_piece = || {
        if choice == 0 {
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
                let text = match piece.text.is_empty() {
                    true => String::new(),
                    false => meter.record_result(prepared.run.push(filter, &piece.text).await)?,
                };
                send_text(events, number, text, piece.logprobs)?;
            }
            Some(Ok(GenerationEvent::ToolCall(piece))) => {
                record_piece();
                send(events, ChatEvent::ToolCall { choice: number, piece })?;
            }
            Some(Ok(GenerationEvent::End(end))) => {
                if choice == 0 {
                    meter.record_generation_end(&end);
                }
                return Ok(end);
            }
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
