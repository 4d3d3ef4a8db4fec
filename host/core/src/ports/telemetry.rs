//! Measurements of requests and of the server, for metrics.

use crate::{
    AdapterAlias, TenantId,
    ledger::{EngineTokens, Kind, Outcome},
    ports::{AdapterCounts, BatchState, GuestCall},
    price::Usage,
};
use std::time::Duration;

/// The content type of what [`Telemetry::render`] returns.
pub const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A request that has ended, without its content.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    pub tenant: TenantId,
    pub kind: Kind,
    pub model: String,
    pub adapter: Option<AdapterAlias>,
    pub outcome: Outcome,
    pub used: Usage,
    /// From admission to the end.
    pub duration: Duration,
    /// Wait in the queue for a place in the batch; absent if the request never reached it.
    pub queued: Option<Duration>,
    /// From admission to the first piece of the answer.
    pub first_token: Option<Duration>,
    /// From the first piece to the last, divided by the tokens after the first.
    pub per_token: Option<Duration>,
    /// Time in guests.
    pub plugin: Duration,
}

/// The state of the server now.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    pub max_sequences: u64,
    pub running_sequences: u64,
    pub queue_requests: u64,
    /// Tokens that queued requests may need: prompt and `max_tokens`.
    pub queue_tokens: u64,
    /// Estimated time to the first token of a request that arrives now; absent before anything was measured.
    pub estimated_first_token: Option<Duration>,
    pub target_first_token: Duration,
    /// Weighted tokens per second of the whole batch, as a recent average.
    pub tokens_per_second: f64,
    pub batch: BatchState,
    pub adapters: AdapterCounts,
    /// Memory of the process, models among it; absent where the system does not say it.
    pub resident_bytes: Option<u64>,
    pub rooms_open: u64,
    /// Bytes of memory that open rooms take for vectors and SQLite.
    pub open_room_bytes: u64,
    /// The engine's own count since the process started.
    pub engine: EngineTokens,
    /// Sums over the ledger entries of this process.
    pub ledger: EngineTokens,
    /// Tokens that requests hold now.
    pub held_tokens: u64,
    /// Requests that the queue rejected to keep the latency target.
    pub shed: u64,
    /// Age of the oldest change of a room that no snapshot has; absent if rooms are not saved by themselves.
    pub unsaved: Option<Duration>,
}

pub trait Telemetry: Send + Sync {
    /// Called once for every settled request. Does not block.
    fn request(&self, request: &RequestRecord);

    /// Called once for every call of a guest. Does not block.
    fn guest_call(&self, tenant: &TenantId, call: &GuestCall);

    /// All metrics in Prometheus' text format, `gauges` among them.
    fn render(&self, gauges: &Gauges) -> String;
}
