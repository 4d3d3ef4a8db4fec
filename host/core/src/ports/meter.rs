//! What was used, by whom.

use crate::{Result, TenantPass};

/// Things that cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub requests: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub embedded_tokens: u64,
    pub fuel: u64,
}

/// An upper bound that is set aside for a request. Settled once; one that is dropped unsettled is released.
pub struct Reservation(Option<Box<dyn FnOnce(Used) + Send + Sync>>);

impl Reservation {
    /// `settle` gets what was used; zeros when the reservation is dropped unsettled.
    pub fn new(settle: impl FnOnce(Used) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(settle)))
    }

    pub fn settle(mut self, used: Used) {
        if let Some(settle) = self.0.take() {
            settle(used);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(settle) = self.0.take() {
            settle(Used::default());
        }
    }
}

pub trait Meter: Send + Sync {
    /// Sets an upper bound aside before anything is spent. Does not block. `QuotaExceeded` when a budget has no room.
    fn reserve(&self, pass: &TenantPass, at_most: Used) -> Result<Reservation>;

    /// What the tenant has used since the process began.
    fn used(&self, pass: &TenantPass) -> Used;
}
