//! Reads a lane's answers at full speed into a buffer that the caller reads at its own. Not here: starting lanes.
//!
//! The buffer is a channel without a bound: what goes in is at most `max_tokens` of text, and the engine waits inside its
//! step for whoever reads it, so that nobody slow may stand between.

use super::{Desk, adapters::LoadedAdapter, engine_error, lane::Lane, stop::StopTrimmer};
use futures::StreamExt;
use mistralrs::Response;
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, Sampling, TokenUsage},
    ports::{Generation, GenerationEnd, GenerationEvent, GenerationStream, LaneTicket},
};
use riad_lora::LiveRequest;
use std::sync::Arc;
use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{self, Receiver, UnboundedSender},
};

/// A lane in use. Dropping it puts the lane back before the scheduler learns of it.
pub(super) struct Seat {
    lane: Arc<Lane>,
    desk: Arc<Desk>,
    _place: OwnedSemaphorePermit,
    _ticket: LaneTicket,
}

impl Seat {
    pub fn new(lane: Arc<Lane>, desk: Arc<Desk>, place: OwnedSemaphorePermit, ticket: LaneTicket) -> Self {
        Self {
            lane,
            desk,
            _place: place,
            _ticket: ticket,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The lane is idle: its channel has been read to the end. Fields drop after this, in order.
        self.lane.wear(None);
        self.desk.idle.lock().push(self.lane.clone());
    }
}

type Events = UnboundedSender<Result<GenerationEvent>>;

pub(super) async fn start(
    seat: Seat,
    generation: Generation,
    adapter: Option<Arc<LoadedAdapter>>,
) -> Result<GenerationStream> {
    seat.lane.wear(adapter.as_ref().map(|loaded| loaded.adapter.clone()));
    let live = LiveRequest::new();
    let answers = seat
        .lane
        .send(live.id(), &generation.messages, &generation.sampling)
        .await?;
    let (events, mut receiver) = mpsc::unbounded_channel();
    let tensors = adapter.as_ref().map_or(0, |loaded| loaded.tensors);
    tokio::spawn(async move {
        drain(&live, answers, &generation.sampling, tensors, events).await;
        // Held until the lane is idle: the source pins the files, the adapter its place in memory. The seat goes last, so
        // that who gets the ticket back finds the adapter unpinned.
        drop((live, generation, adapter));
        drop(seat);
    });
    Ok(futures::stream::poll_fn(move |context| receiver.poll_recv(context)).boxed())
}

async fn drain(
    live: &LiveRequest,
    mut answers: Receiver<Response>,
    sampling: &Sampling,
    adapter_tensors: u32,
    events: Events,
) {
    let mut trimmer = StopTrimmer::new(&sampling.stop);
    let mut prompt_tokens = None;
    let mut finish = None;
    let mut failure = None;
    loop {
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            () = events.closed(), if !live.state().cancelled() => {
                live.state().cancel();
                continue;
            }
        };
        // The channel closes when the engine has dropped the sequence: only then is the lane idle.
        let Some(answer) = answer else { break };
        match read(answer) {
            Ok(chunk) => {
                prompt_tokens = prompt_tokens.or(chunk.prompt_tokens);
                if finish.is_none() && !chunk.text.is_empty() {
                    let trimmed = trimmer.push(&chunk.text);
                    send_text(&events, trimmed.text);
                    if trimmed.stopped {
                        finish = Some(FinishReason::Stop);
                        live.state().cancel();
                    }
                }
                finish = finish.or(chunk.finish);
            }
            Err(error) => failure = Some(error),
        }
    }
    let last = match (failure, finish, prompt_tokens) {
        (Some(error), _, _) => Err(error),
        (None, Some(finish), Some(prompt_tokens)) => {
            send_text(&events, trimmer.finish());
            let usage = TokenUsage {
                prompt_tokens,
                completion_tokens: live.state().tokens(),
            };
            Ok(GenerationEvent::End(GenerationEnd {
                finish,
                usage,
                adapter_tensors,
            }))
        }
        (None, _, _) => Err(engine_error("ended without an answer", "the channel closed")),
    };
    // Nobody listens when the client has gone; that is no error.
    let _ = events.send(last);
}

fn send_text(events: &Events, text: String) {
    if !text.is_empty() {
        let _ = events.send(Ok(GenerationEvent::Piece(text)));
    }
}

struct Chunk {
    text: String,
    finish: Option<FinishReason>,
    /// Comes with the last chunk.
    prompt_tokens: Option<u32>,
}

fn read(answer: Response) -> Result<Chunk> {
    match answer {
        Response::Chunk(chunk) => {
            let prompt_tokens = chunk
                .usage
                .map(|usage| u32::try_from(usage.prompt_tokens).unwrap_or(u32::MAX));
            let choice = chunk.choices.into_iter().next();
            let finish =
                choice
                    .as_ref()
                    .and_then(|choice| choice.finish_reason.as_deref())
                    .map(|reason| match reason {
                        "length" => FinishReason::Length,
                        _ => FinishReason::Stop,
                    });
            let text = choice.and_then(|choice| choice.delta.content).unwrap_or_default();
            Ok(Chunk {
                text,
                finish,
                prompt_tokens,
            })
        }
        Response::ValidationError(error) => {
            Err(Error::new(ErrorKind::InvalidRequest, "the model engine refused the request").with_source(error))
        }
        Response::InternalError(error) => Err(engine_error("failed", error)),
        Response::ModelError(message, _) | Response::CompletionModelError(message, _) => {
            Err(engine_error("failed", message))
        }
        Response::Done(_)
        | Response::CompletionDone(_)
        | Response::CompletionChunk(_)
        | Response::ImageGeneration(_)
        | Response::Speech { .. }
        | Response::Raw { .. }
        | Response::Embeddings { .. } => Err(engine_error("failed", "an answer of another kind")),
    }
}
