//! Rooms that nobody uses cost nothing but the disk: they are closed after a while. Not here: which are closed first when there are too many (`store`).

use crate::Services;
use std::time::Duration;
use tokio::time::sleep;

/// A room is closed up to so much later than it could be.
const EVERY: Duration = Duration::from_secs(10);

/// Closes rooms until it is dropped.
pub async fn run(services: Services) {
    let idle = Duration::from_secs(services.0.limits.idle_room_s);
    loop {
        sleep(EVERY.min(idle)).await;
        if let Err(error) = services.0.rooms.close_idle(idle).await {
            tracing::error!(?error, "rooms that nobody uses were not closed");
        }
    }
}
