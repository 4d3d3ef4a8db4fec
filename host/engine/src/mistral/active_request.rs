//! A request on a lane: all that is given back when the lane is idle again, and the repair of a lane. Not here: reading its answers
//! (`drain`).

use super::lane::{Lane, LaneParts};
use crate::pool::PooledLane;
use riad_core::ports::LaneTicket;
use std::sync::Arc;

/// Dropping it puts the lane back before the scheduler learns of it.
pub(super) struct ActiveRequest {
    lane: PooledLane<Lane>,
    parts: Arc<LaneParts>,
    _ticket: LaneTicket,
}

impl ActiveRequest {
    pub fn new(lane: PooledLane<Lane>, parts: Arc<LaneParts>, ticket: LaneTicket) -> Self {
        Self {
            lane,
            parts,
            _ticket: ticket,
        }
    }

    pub fn lane(&self) -> &Lane {
        self.lane.lane()
    }

    /// Builds the lane anew, over the same weights, and gives it back. For a lane whose engine thread has died: mistral.rs would
    /// start the thread again, but over the KV cache whose lock a panic inside of a forward has poisoned, so that every request
    /// after that would fail too.
    pub async fn repair(mut self) {
        let number = self.lane().number();
        tracing::warn!(lane = number, "the lane's engine has died; building it anew");
        match Lane::load(number, &self.parts).await {
            Ok(lane) => self.lane.replace(lane),
            // The next request on it tries again.
            Err(error) => tracing::error!(lane = number, %error, "the lane cannot be built anew"),
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        // The lane is idle: its channel has been read to the end. Fields drop after this, in order.
        self.lane().set_adapter(None);
    }
}
