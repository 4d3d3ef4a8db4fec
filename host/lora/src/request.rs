//! State of a request beside mistral.rs' own: a seed and a cancel flag for the engine, and the tokens it has counted so far. The patched
//! `mistralrs-core` finds the state by the request's id. Not here: who makes requests.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

static LIVE: LazyLock<Mutex<HashMap<usize, Arc<RequestState>>>> = LazyLock::new(Mutex::default);
// mistral.rs itself uses id 0 for its dummy run.
static NEXT: AtomicUsize = AtomicUsize::new(1);
static SAMPLED: AtomicU64 = AtomicU64::new(0);

/// Called by the engine's sampler for every token that it has chosen for a request with a state: elsewhere in the engine than
/// [`RequestState::count_token`], so that each can be checked by the other.
pub fn count_sampled_token() {
    SAMPLED.fetch_add(1, Ordering::Relaxed);
}

/// Tokens that were sampled for requests since the process began, of all engines in it.
#[must_use]
pub fn sampled_tokens() -> u64 {
    SAMPLED.load(Ordering::Relaxed)
}

/// Gets the tokens of the prompt and of the completion so far.
type Watcher = Box<dyn Fn(u32, u32) + Send>;

pub struct RequestState {
    seed: u64,
    prompt: AtomicU32,
    tokens: AtomicU32,
    cancelled: AtomicBool,
    watcher: Mutex<Option<Watcher>>,
}

impl RequestState {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            prompt: AtomicU32::new(0),
            tokens: AtomicU32::new(0),
            cancelled: AtomicBool::new(false),
            watcher: Mutex::new(None),
        }
    }

    /// Called by the engine when it makes a sequence for the request.
    #[must_use]
    pub fn of(id: usize) -> Option<Arc<Self>> {
        LIVE.lock().get(&id).cloned()
    }

    /// Called by the engine when it makes a sequence, with the tokens that it is going to read.
    pub fn set_prompt(&self, tokens: usize) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.prompt.store(tokens, Ordering::Relaxed);
    }

    /// Called by the engine for every token that it has sampled, on its thread.
    pub fn count_token(&self) {
        // Who sees the first token sees the prompt too.
        let tokens = self.tokens.fetch_add(1, Ordering::Release) + 1;
        if let Some(watcher) = &*self.watcher.lock() {
            watcher(self.prompt.load(Ordering::Relaxed), tokens);
        }
    }

    /// `watcher` is called for every token from now on, on the engine's thread: it must not block. Replaces the one before.
    pub fn watch(&self, watcher: impl Fn(u32, u32) + Send + 'static) {
        *self.watcher.lock() = Some(Box::new(watcher));
    }

    /// What the sequence samples with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::Acquire)
    }

    /// Tokens of the prompt; 0 until it has been read, which is with the first token of the completion.
    #[must_use]
    pub fn prompt_tokens(&self) -> u32 {
        if self.tokens() == 0 {
            return 0;
        }
        self.prompt.load(Ordering::Relaxed)
    }

    /// The generation ends with the token that is being sampled.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Keeps a request known to the engine under an id of its own.
pub struct LiveRequest {
    id: usize,
    state: Arc<RequestState>,
}

impl LiveRequest {
    /// The same seed, prompt and sampling give the same tokens, whatever runs beside it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(RequestState::new(seed));
        LIVE.lock().insert(id, state.clone());
        Self { id, state }
    }

    #[must_use]
    pub fn id(&self) -> usize {
        self.id
    }

    #[must_use]
    pub fn state(&self) -> &Arc<RequestState> {
        &self.state
    }
}

impl Drop for LiveRequest {
    fn drop(&mut self) {
        LIVE.lock().remove(&self.id);
    }
}
