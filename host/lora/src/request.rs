//! What the engine tells about a request while it runs, and what it is told: a token counter and a cancel flag. The patched
//! `mistralrs-core` finds the state by the request's id. Not here: who makes requests.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

static LIVE: LazyLock<Mutex<HashMap<usize, Arc<RequestState>>>> = LazyLock::new(Mutex::default);
// mistral.rs itself uses id 0 for its dummy run.
static NEXT: AtomicUsize = AtomicUsize::new(1);

#[derive(Debug, Default)]
pub struct RequestState {
    tokens: AtomicU32,
    cancelled: AtomicBool,
}

impl RequestState {
    /// Called by the engine when it makes a sequence for the request.
    #[must_use]
    pub fn of(id: usize) -> Option<Arc<Self>> {
        LIVE.lock().get(&id).cloned()
    }

    /// Called by the engine for every token that it has sampled.
    pub fn count_token(&self) {
        self.tokens.fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::Relaxed)
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
#[derive(Debug)]
pub struct LiveRequest {
    id: usize,
    state: Arc<RequestState>,
}

impl LiveRequest {
    #[must_use]
    #[expect(clippy::new_without_default, reason = "taking an id is not a default")]
    pub fn new() -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(RequestState::default());
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
