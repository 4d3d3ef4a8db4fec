//! The stream of events that the caller reads, and the task that produces them.

use super::{
    choice::{self, Events},
    event::{AnswerUsage, ChatEvent, SearchedFiles},
    prepare::Started,
    prepared::Prepared,
    times::ChatTimes,
};
use futures::{Stream, future::try_join_all};
use riad_core::{
    Error, Result,
    chat::Message,
    grants::{Access, Scope},
    ports::GenerationStream,
};
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::AbortHandle,
    time::timeout_at,
};
use tracing::{Instrument, info_span};

/// Ends after [`ChatEvent::End`] or the first error. Dropping it cancels the request: its generations stop, its guests end, and what
/// was used is settled.
pub struct ChatStream {
    events: UnboundedReceiver<Result<ChatEvent>>,
    task: AbortHandle,
    finished: bool,
    prompt_tokens: u32,
    searched_files: Option<SearchedFiles>,
    prompt: Option<Arc<[Message]>>,
    times: Arc<OnceLock<ChatTimes>>,
}

impl ChatStream {
    /// Of the prompt that the model reads, whatever the prefix cache has of it. [`ChatEvent::End`] tells them again, with what it had.
    #[must_use]
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt_tokens
    }

    /// What was searched in vector stores, if the request names some. Once.
    pub fn take_searched_files(&mut self) -> Option<SearchedFiles> {
        self.searched_files.take()
    }

    /// The first prompt, as the room's pipeline built it. `None` for a key that may not read what passes through plugins: a tenant's plugin may
    /// tell the model more than its users are to know.
    #[must_use]
    pub fn prompt(&self) -> Option<&[Message]> {
        self.prompt.as_deref()
    }

    /// Where the time went; there with [`ChatEvent::End`].
    #[must_use]
    pub fn times(&self) -> Option<ChatTimes> {
        self.times.get().copied()
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.finished {
            return Poll::Ready(None);
        }
        // The task always sends a last event, unless it panicked.
        let event = ready!(self.events.poll_recv(context))
            .unwrap_or_else(|| Err(Error::internal("the task of a chat request ended without an answer")));
        self.finished = matches!(event, Err(_) | Ok(ChatEvent::End { .. }));
        Poll::Ready(Some(event))
    }
}

impl Drop for ChatStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows the generations in a task of their own, so that a slow client holds up neither the filters nor the engine.
pub(super) fn spawn(mut started: Started) -> ChatStream {
    // resources::ANSWERS
    let (sender, events) = unbounded_channel();
    let prompt_tokens = started.prepared.prompt_tokens();
    let searched_files = started.prepared.searched_files.take();
    let pass = &started.prepared.generations.pass;
    let prompt = started
        .prepared
        .choices
        .first()
        .map(|choice| Arc::clone(&choice.messages));
    let prompt = prompt.filter(|_| pass.grants().allow(Scope::Plugins, Access::Read));
    let times: Arc<OnceLock<ChatTimes>> = Arc::default();
    let ended_times = Arc::clone(&times);
    let task = async move {
        let Started { prepared, first } = started;
        let served = timeout_at(prepared.generations.deadline, serve(&prepared, first, &sender)).await;
        let served = served.unwrap_or_else(|_| Err(prepared.generations.shared.deadline_exceeded()));
        // Not under the deadline: an answer that was served in time is billed and gets its receipt.
        let outcome = match served {
            Ok(usage) => {
                end(&prepared, usage)
                    .instrument(info_span!(target: "riad_services", "settle"))
                    .await
                    .inspect(|_| {
                        // Once, before the event that says so.
                        let _ = ended_times.set(ChatTimes::of(prepared.stage_times, &prepared.meter));
                    })
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            prepared.meter.record_error(error);
        }
        // Before the last event, on every way out: guests end here, and the request is settled when the engine has ended too.
        drop(prepared);
        // Fails only if the caller has disconnected.
        let _ = sender.send(outcome);
    };
    let task = tokio::spawn(task.in_current_span());
    ChatStream {
        events,
        task: task.abort_handle(),
        finished: false,
        prompt_tokens,
        searched_files,
        prompt,
        times,
    }
}

async fn serve(prepared: &Prepared, first: GenerationStream, events: &Events) -> Result<AnswerUsage> {
    let mut first = Some(first);
    let choices = prepared.choices.iter().map(|choice| {
        let running = first.take();
        async move {
            let generation = match running {
                Some(generation) => generation,
                None => choice::begin_first(prepared, choice).await?,
            };
            choice::follow(prepared, choice, generation, events).await
        }
    });
    // The first error drops the other choices, which cancels them.
    let ends = try_join_all(choices).await?;
    let reasoning_tokens = ends.iter().filter_map(|end| end.reasoning_tokens.map(u64::from));
    let of_prompts = || {
        let choices = prepared.choices.iter().zip(&ends);
        choices.filter_map(|(choice, end)| (choice.of_prompt == 0).then_some(end.usage))
    };
    Ok(AnswerUsage {
        prompt_tokens: of_prompts().map(|usage| u64::from(usage.prompt_tokens)).sum(),
        completion_tokens: ends.iter().map(|end| u64::from(end.usage.completion_tokens)).sum(),
        cached_tokens: of_prompts().map(|usage| u64::from(usage.cached_tokens)).sum(),
        reasoning_tokens: reasoning_tokens.reduce(u64::saturating_add),
    })
}

async fn end(prepared: &Prepared, usage: AnswerUsage) -> Result<ChatEvent> {
    Ok(ChatEvent::End {
        receipt: prepared.meter.settle().await?,
        passages: prepared.passages.clone(),
        usage,
    })
}
