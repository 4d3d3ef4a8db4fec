//! What every handler can reach. Not here: anything that belongs to one request.

use riad_services::Services;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

#[derive(Clone)]
pub(crate) struct AppState {
    pub services: Services,
    pub readiness: Readiness,
}

/// Whether load balancers should send requests here. Begins ready; clones share one answer.
#[derive(Clone, Default)]
pub struct Readiness {
    draining: Arc<AtomicBool>,
}

impl Readiness {
    /// From now on `/readyz` answers 503. Requests are served all the same.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Acquire)
    }
}
