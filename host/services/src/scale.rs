//! The state of the server now, for metrics and autoscalers. Not here: how metrics are written (`Telemetry`).

use crate::{shared::Shared, snapshots::RoomSnapshots};
use riad_core::{OperatorPass, ledger::EngineTokens, ports::Gauges};
use std::sync::Arc;

pub struct ScaleService(pub(crate) Arc<Shared>);

impl ScaleService {
    #[must_use]
    pub fn gauges(&self, _operator: &OperatorPass) -> Gauges {
        self.now()
    }

    /// All metrics in Prometheus' text format. `api` decides who may read them: they have no content, and tenants' names only
    /// if the operator enables that.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.0.telemetry.render(&self.now())
    }

    fn now(&self) -> Gauges {
        let shared = &self.0;
        let queue = shared.scheduler.state();
        // The ledger first: tokens that are counted in between then show as not yet settled, and never as settled too much.
        let ledger = shared.metering.ledger_counted();
        let engine = EngineTokens {
            embedded: shared.embedded(),
            ..shared.engine.counted()
        };
        Gauges {
            max_sequences: shared.engine.max_sequences() as u64,
            running_sequences: queue.running,
            queue_requests: queue.waiting,
            queue_tokens: queue.waiting_tokens,
            estimated_first_token: queue.estimated_wait,
            target_first_token: shared.target_first_token,
            tokens_per_second: queue.tokens_per_second,
            batch: shared.engine.batch(),
            adapters: shared.engine.adapter_counts(),
            rooms_open: shared.rooms.open_rooms(),
            open_room_bytes: shared.rooms.open_room_bytes(),
            engine,
            ledger,
            held_tokens: shared.metering.held_tokens(),
            shed: queue.shed,
            unsaved: shared.snapshots.as_ref().and_then(RoomSnapshots::unsaved_age),
        }
    }
}
