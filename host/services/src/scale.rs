//! The state of the server now, for metrics and autoscalers. Not here: how metrics are written (`Telemetry`).

use crate::{control_admission, metering::RecentActivity, shared::Shared, signals::Signal, snapshots::RoomSnapshots};
use riad_core::{
    OperatorPass, Result,
    ledger::EngineTokens,
    ports::{Gauges, StoredBytes},
    profile::ModelProfile,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

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

    /// What requests of the last minutes came to, by tenant.
    #[must_use]
    pub fn recent(&self, _operator: &OperatorPass) -> RecentActivity {
        self.0.metering.recent()
    }

    /// Samples of the last half an hour, the oldest first.
    #[must_use]
    pub fn signals(&self, _operator: &OperatorPass) -> Vec<Signal> {
        self.0.signals.all()
    }

    pub(crate) fn sample(&self) {
        self.0.signals.add(&self.now(), Instant::now());
    }

    /// Every room on the disk and its bytes.
    ///
    /// # Errors
    /// `Busy` if questions of others are being answered; whatever the disk fails with.
    pub async fn stored(&self, _operator: &OperatorPass) -> Result<Vec<StoredBytes>> {
        let stored = self.0.rooms.stored();
        self.0.control.ask(control_admission::operator(), stored).await
    }

    /// The model that the engine has.
    #[must_use]
    pub fn model(&self, _operator: &OperatorPass) -> &ModelProfile {
        self.0.engine.profile()
    }

    /// What a request waits for that has said nothing yet, for the client.
    #[must_use]
    pub fn waiting(&self) -> String {
        let batch = self.0.engine.batch();
        if !batch.model_loaded {
            let took = match batch.model_load {
                Duration::ZERO => String::new(),
                took => format!(", which took {} ms the last time", took.as_millis()),
            };
            return format!("waiting for the model, which is being loaded{took}");
        }
        // Not how many wait: that is the business of other tenants.
        match self.0.scheduler.state().estimated_wait {
            Some(wait) => format!(
                "waiting in the queue; a new request would wait for about {} ms",
                wait.as_millis()
            ),
            None => "waiting in the queue".to_owned(),
        }
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
        let batch = shared.engine.batch();
        // A model that was idle is loaded before the first token.
        let load = match batch.model_loaded {
            true => Duration::ZERO,
            false => batch.model_load,
        };
        Gauges {
            max_sequences: shared.engine.max_sequences() as u64,
            running_sequences: queue.running,
            queue_requests: queue.waiting,
            queue_tokens: queue.waiting_tokens,
            estimated_first_token: queue.estimated_wait.map(|wait| wait + load),
            target_first_token: shared.target_first_token,
            tokens_per_second: queue.tokens_per_second,
            batch,
            adapters: shared.engine.adapter_counts(),
            resident_bytes: resident_bytes(),
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

/// Linux says it in a file, in units of 1,024 bytes.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}
