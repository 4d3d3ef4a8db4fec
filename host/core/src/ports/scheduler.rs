//! Who gets the next lane.

use crate::{Result, TenantPass};
use async_trait::async_trait;

/// What a request tells the queue about itself.
pub struct QueueAsk<'a> {
    pub pass: &'a TenantPass,
    pub prompt_tokens: u32,
    pub max_tokens: u32,
}

/// The right to one lane. Given back when dropped.
pub struct LaneTicket(Option<Box<dyn FnOnce() + Send + Sync>>);

impl LaneTicket {
    /// `give_back` runs once, on drop, on any thread; it must not block.
    pub fn new(give_back: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(give_back)))
    }
}

impl Drop for LaneTicket {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

#[async_trait]
pub trait Scheduler: Send + Sync {
    /// Waits for a lane. Dropping the future leaves the queue at once. `Busy` when the queue is full, `Timeout` when the
    /// wait was too long.
    async fn enter(&self, ask: QueueAsk<'_>) -> Result<LaneTicket>;

    /// Requests that wait now.
    fn waiting(&self) -> usize;
}
