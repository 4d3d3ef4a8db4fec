//! Which request joins the engine's batch next.

use crate::{Digest, Result, TenantPass, chat::TokenUsage, policy::Tier};
use async_trait::async_trait;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Tokens of one generation while it runs: written by the engine, read by the scheduler. At most one token behind.
#[derive(Debug, Default)]
pub struct Progress {
    prompt: AtomicU32,
    cached: AtomicU32,
    completion: AtomicU32,
    /// When it could begin at last, if the engine had no model before.
    restarted: OnceLock<Instant>,
}

impl Progress {
    /// Both are totals. The prompt counts once it has been read, which is with the first token.
    pub fn set(&self, prompt_tokens: u32, completion_tokens: u32) {
        self.prompt.store(prompt_tokens, Ordering::Relaxed);
        self.completion.store(completion_tokens, Ordering::Relaxed);
    }

    /// A total too: of the prompt's tokens, those that the prefix cache had.
    pub fn set_cached(&self, tokens: u32) {
        self.cached.store(tokens, Ordering::Relaxed);
    }

    /// The engine had to load its model for the generation, which could begin only now.
    pub fn restart(&self) {
        self.restarted.get_or_init(Instant::now);
    }

    /// When the time that the generation takes began, if it was admitted at `admitted`.
    #[must_use]
    pub fn began(&self, admitted: Instant) -> Instant {
        self.restarted
            .get()
            .map_or(admitted, |restarted| admitted.max(*restarted))
    }

    #[must_use]
    pub fn usage(&self) -> TokenUsage {
        TokenUsage {
            prompt_tokens: self.prompt_tokens(),
            cached_tokens: self.cached.load(Ordering::Relaxed),
            completion_tokens: self.completion_tokens(),
        }
    }

    #[must_use]
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn completion_tokens(&self) -> u32 {
        self.completion.load(Ordering::Relaxed)
    }
}

/// A request for a place in the batch.
#[derive(Clone)]
pub struct QueueRequest<'a> {
    /// Account and weight.
    pub pass: &'a TenantPass,
    pub tier: Tier,
    pub prompt_tokens: u32,
    pub max_tokens: u32,
    /// The adapter's generation. It only breaks ties.
    pub adapter: Option<Digest>,
    /// A request that is not expected to end before this is rejected at once.
    pub deadline: Instant,
    /// A further generation of a request that has begun its answer: it waits until the deadline and is never rejected before,
    /// because the answer so far would be lost.
    pub continuation: bool,
    /// That of the generation which the permit is for.
    pub progress: Arc<Progress>,
}

/// The right to one sequence in the engine's batch. Given back when dropped.
pub struct EnginePermit(Option<Box<dyn FnOnce() + Send + Sync>>);

impl EnginePermit {
    /// `give_back` runs once, on drop, on any thread; it must not block.
    pub fn new(give_back: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(give_back)))
    }
}

impl Drop for EnginePermit {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

/// The queue as it is now.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueState {
    pub waiting: u64,
    /// Prompt and greatest completion of the requests that wait.
    pub waiting_tokens: u64,
    pub running: u64,
    /// Estimated wait of a request that arrives now with the standard tier; absent before anything was measured.
    pub estimated_wait: Option<Duration>,
    /// Weighted tokens per second of the whole batch, averaged over about ten seconds.
    pub tokens_per_second: f64,
    /// Requests rejected to meet the latency target, since the process began.
    pub shed: u64,
}

#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Waits for a place in the batch. Dropping the future leaves the queue at once. `Busy`, with the time after which to try again, when the
    /// queue is full, the request was shed, or it is not expected to end before its deadline; `Timeout` when the wait was too long.
    async fn enter(&self, request: QueueRequest<'_>) -> Result<EnginePermit>;

    fn state(&self) -> QueueState;
}
