//! Reads a lane's answers at full speed into a buffer that the caller reads at its own speed, and reports what was used. Not here:
//! starting lanes (`lane`), giving them back (`active_request`).
//!
//! The buffer is a channel without a bound: what goes in is at most `max_tokens` of text, and the engine waits inside its
//! step for whoever reads it, so that no slow reader may stand between.

use super::{Counted, active_request::ActiveRequest, adapters::LoadedAdapter, engine_error, stop::StopTrimmer};
use futures::{Stream, StreamExt};
use mistralrs::Response;
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, TokenUsage},
    ports::{Generation, GenerationEnd, GenerationEvent, GenerationStream},
};
use riad_lora::{LiveRequest, RequestState};
use std::{
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver, UnboundedSender};

type Events = UnboundedSender<Result<GenerationEvent>>;

/// What the caller reads. Dropping it tells the engine at once: it ends with the token that it is sampling.
struct Answers {
    events: UnboundedReceiver<Result<GenerationEvent>>,
    state: Arc<RequestState>,
}

impl Stream for Answers {
    type Item = Result<GenerationEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.state.cancel();
    }
}

pub(super) async fn start(
    active: ActiveRequest,
    mut generation: Generation,
    adapter: Option<Arc<LoadedAdapter>>,
    counted: Arc<Counted>,
) -> Result<GenerationStream> {
    active
        .lane()
        .set_adapter(adapter.as_ref().map(|loaded| loaded.adapter.clone()));
    // Without a seed a fresh one: mistral.rs' own is the same for every lane, and two choices of a request would be too.
    let seed = generation
        .sampling
        .seed
        .unwrap_or_else(|| RandomState::new().hash_one(()));
    let live = LiveRequest::new(seed);
    let progress = generation.usage_reporter.progress.clone();
    live.state()
        .watch(move |prompt, completion| progress.set(prompt, completion));
    let sent = active
        .lane()
        .send(live.id(), &generation.messages, &generation.sampling)
        .await;
    let answers = match sent {
        Ok(answers) => answers,
        Err(error) => {
            drop(generation);
            tokio::spawn(active.repair());
            return Err(error);
        }
    };
    let (sender, events) = mpsc::unbounded_channel();
    let state = live.state().clone();
    tokio::spawn(async move {
        let tensors = adapter.as_ref().map_or(0, |loaded| loaded.tensors);
        let drained = drain(live.state(), answers, &generation.sampling.stop, &sender).await;
        // The engine has dropped the sequence: these are all its tokens, whatever it ended with.
        let usage = TokenUsage {
            prompt_tokens: live.state().prompt_tokens(),
            completion_tokens: live.state().tokens(),
        };
        counted.add(usage);
        generation.usage_reporter.report(usage);
        let died = matches!(drained, Drained::Died);
        // The receiver is dropped when the client has gone; that is no error.
        let _ = sender.send(match drained {
            Drained::Ended(finish) => Ok(GenerationEvent::End(GenerationEnd {
                finish,
                usage,
                adapter_tensors: tensors,
            })),
            Drained::Failed(error) => Err(error),
            Drained::Died => Err(engine_error("ended without an answer", "the channel closed")),
        });
        // Held until the lane is idle: the source pins the files, the adapter its place in memory. `active` goes last, so
        // that the adapter is unpinned when the ticket is back.
        drop((sender, live, generation, adapter));
        if died {
            active.repair().await;
        }
    });
    Ok(Answers { events, state }.boxed())
}

enum Drained {
    Ended(FinishReason),
    Failed(Error),
    /// The channel closed and nothing had said why.
    Died,
}

async fn drain(state: &RequestState, mut answers: Receiver<Response>, stop: &[String], events: &Events) -> Drained {
    let mut trimmer = StopTrimmer::new(stop);
    let mut finish = None;
    let mut failure = None;
    // The channel closes when the engine has dropped the sequence: only then is the lane idle.
    while let Some(answer) = answers.recv().await {
        match read(answer) {
            Ok(chunk) => {
                if finish.is_none() && !chunk.text.is_empty() {
                    let trimmed = trimmer.push(&chunk.text);
                    send_text(events, trimmed.text);
                    if trimmed.stopped {
                        finish = Some(FinishReason::Stop);
                        state.cancel();
                    }
                }
                finish = finish.or(chunk.finish);
            }
            Err(error) => {
                failure = failure.or(Some(error));
                state.cancel();
            }
        }
    }
    match (failure, finish) {
        (Some(error), _) => Drained::Failed(error),
        (None, Some(finish)) => {
            send_text(events, trimmer.finish());
            Drained::Ended(finish)
        }
        (None, None) => Drained::Died,
    }
}

fn send_text(events: &Events, text: String) {
    if !text.is_empty() {
        let _ = events.send(Ok(GenerationEvent::Piece(text)));
    }
}

struct Chunk {
    text: String,
    finish: Option<FinishReason>,
}

fn read(answer: Response) -> Result<Chunk> {
    match answer {
        Response::Chunk(chunk) => {
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
            Ok(Chunk { text, finish })
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
