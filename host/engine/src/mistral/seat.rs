//! A lane in use, with all that goes back when it is idle again, and its repair. Not here: reading its answers (`drain`).

use super::{
    desk::Place,
    lane::{Lane, LaneParts},
};
use riad_core::ports::LaneTicket;
use std::sync::Arc;

/// Dropping it puts the lane back before the scheduler learns of it.
pub(super) struct Seat {
    place: Place<Lane>,
    parts: Arc<LaneParts>,
    _ticket: LaneTicket,
}

impl Seat {
    pub fn new(place: Place<Lane>, parts: Arc<LaneParts>, ticket: LaneTicket) -> Self {
        Self {
            place,
            parts,
            _ticket: ticket,
        }
    }

    pub fn lane(&self) -> &Lane {
        self.place.lane()
    }

    /// Builds the lane anew, over the same weights, and gives the seat back. For a lane whose engine thread has died: mistral.rs
    /// would start the thread again, but over the KV cache whose lock a panic inside of a forward has poisoned, so that every
    /// request after that would fail too.
    pub async fn repair(mut self) {
        let number = self.lane().number();
        tracing::warn!(lane = number, "the lane's engine has died; building it anew");
        match Lane::load(number, &self.parts).await {
            Ok(lane) => self.place.replace(lane),
            // The next request on it tries again.
            Err(error) => tracing::error!(lane = number, %error, "the lane cannot be built anew"),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The lane is idle: its channel has been read to the end. Fields drop after this, in order.
        self.lane().wear(None);
    }
}
