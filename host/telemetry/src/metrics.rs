//! Metrics and their text form for Prometheus.
//!
//! `gen_ai_*` metrics have the names, units, attributes and buckets of OpenTelemetry's semantic conventions for generative AI
//! (open-telemetry/semantic-conventions-genai, `docs/gen-ai/gen-ai-metrics.md`, status "Development"), in the form that its
//! Prometheus compatibility rules give them: `.` becomes `_`, `s` is appended as `_seconds`, `{token}` is dropped.

mod batch;
mod gauges;
mod labels;

pub use labels::MetricsConfig;

use labels::{KnownNames, Labels};
use parking_lot::Mutex;
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use riad_core::{
    ErrorKind, TenantId,
    ledger::{Kind, Outcome},
    ports::{Gauges, GuestCall, GuestCallEnd, RequestRecord, Telemetry},
};
use std::{sync::atomic::Ordering, time::Duration};

/// Advised for `gen_ai.server.request.duration`; seconds. Also for our own durations.
const DURATION_BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Of one call of a guest; seconds.
const CALL_BUCKETS: [f64; 12] = [
    0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0,
];
/// Advised for `gen_ai.server.time_to_first_token`; seconds.
const FIRST_TOKEN_BUCKETS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Advised for `gen_ai.server.time_per_output_token`; seconds.
const PER_TOKEN_BUCKETS: [f64; 13] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// Advised for `gen_ai.client.token.usage`.
const TOKEN_BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

type Histograms = Family<Labels, Histogram, fn() -> Histogram>;
type Counters = Family<Labels, Counter>;

pub struct Metrics {
    registry: Registry,
    names: Mutex<KnownNames>,
    duration: Histograms,
    first_token: Histograms,
    per_token: Histograms,
    usage: Histograms,
    requests: Counters,
    tokens: Counters,
    cached_tokens: Counters,
    fuel: Counters,
    queue_time: Histograms,
    plugin_time: Histograms,
    guest_calls: Counters,
    guest_fuel: Counters,
    guest_time: Histograms,
    guest_memory: Family<Labels, Gauge>,
}

impl Metrics {
    #[must_use]
    pub fn new(config: MetricsConfig) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            names: Mutex::new(KnownNames::new(config)),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_BUCKETS)),
            per_token: Family::new_with_constructor(|| Histogram::new(PER_TOKEN_BUCKETS)),
            usage: Family::new_with_constructor(|| Histogram::new(TOKEN_BUCKETS)),
            requests: Family::default(),
            tokens: Family::default(),
            cached_tokens: Family::default(),
            fuel: Family::default(),
            queue_time: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            plugin_time: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            guest_calls: Family::default(),
            guest_fuel: Family::default(),
            guest_time: Family::new_with_constructor(|| Histogram::new(CALL_BUCKETS)),
            guest_memory: Family::default(),
        };
        metrics.register();
        metrics
    }

    /// The library adds the unit and `_total` to a name, and a period to its help.
    fn register(&mut self) {
        let registry = &mut self.registry;
        let tokens = || Unit::Other("tokens".to_owned());
        for (name, help, histograms) in [
            (
                "gen_ai_server_request_duration",
                "From a request's admission to the last piece of its answer",
                &self.duration,
            ),
            (
                "gen_ai_server_time_to_first_token",
                "From a request's admission to the first piece of its answer, for completed requests",
                &self.first_token,
            ),
            (
                "gen_ai_server_time_per_output_token",
                "Time for each token after the first one, for completed requests",
                &self.per_token,
            ),
            (
                "riad_queue_time",
                "How long requests waited for a place in the batch",
                &self.queue_time,
            ),
            ("riad_plugin_time", "How long a request's guests ran", &self.plugin_time),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histograms.clone());
        }
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens that a request was billed, by gen_ai_token_type",
            self.usage.clone(),
        );
        registry.register(
            "riad_requests",
            "Entries of the ledger, by what for and how it ended",
            self.requests.clone(),
        );
        registry.register_with_unit("riad", "Tokens billed, by type", tokens(), self.tokens.clone());
        registry.register_with_unit(
            "riad_cached",
            "Of the prompt tokens billed, those that the prefix cache had",
            tokens(),
            self.cached_tokens.clone(),
        );
        registry.register("riad_fuel", "WebAssembly fuel billed", self.fuel.clone());
        registry.register(
            "riad_guest_calls",
            "Calls of plugins' stages, by how they ended",
            self.guest_calls.clone(),
        );
        registry.register(
            "riad_guest_fuel",
            "Fuel of calls of plugins' stages",
            self.guest_fuel.clone(),
        );
        registry.register_with_unit(
            "riad_guest_call_duration",
            "How long calls of plugins' stages ran, without host calls",
            Unit::Seconds,
            self.guest_time.clone(),
        );
        registry.register_with_unit(
            "riad_guest_memory_peak",
            "The most linear memory that a guest has had",
            Unit::Bytes,
            self.guest_memory.clone(),
        );
    }

    fn observe(&self, record: &RequestRecord) {
        let labels = self.names.lock().labels_of(record);
        let used = &record.used;

        self.requests.get_or_create(&labels.request(record.outcome)).inc();
        for (kind, amount) in [
            ("prompt", used.prompt_tokens),
            ("completion", used.completion_tokens),
            ("embedded", used.embedded_tokens),
        ] {
            if amount > 0 {
                self.tokens.get_or_create(&labels.tokens(kind)).inc_by(amount);
            }
        }
        if used.cached_tokens > 0 {
            // The labels of the prompt's tokens, so that one can be divided by the other.
            self.cached_tokens
                .get_or_create(&labels.tokens("prompt"))
                .inc_by(used.cached_tokens);
        }
        if used.fuel > 0 {
            self.fuel.get_or_create(&labels.kind()).inc_by(used.fuel);
        }
        if let Some(queued) = record.queued {
            self.queue_time.get_or_create(&labels.kind()).observe(seconds(queued));
        }
        if !record.plugin.is_zero() {
            self.plugin_time
                .get_or_create(&labels.kind())
                .observe(seconds(record.plugin));
        }

        let Some(operation) = operation(record.kind) else {
            return;
        };
        self.duration
            .get_or_create(&labels.operation(operation, error_type(record.outcome)))
            .observe(seconds(record.duration));
        let (input, output) = match record.kind {
            Kind::Chat | Kind::Tool => (used.prompt_tokens, used.completion_tokens),
            Kind::Embedding | Kind::Document | Kind::Search | Kind::Storage | Kind::Residency | Kind::Moved => {
                (used.embedded_tokens, 0)
            }
        };
        for (kind, amount) in [("input", input), ("output", output)] {
            if amount > 0 {
                // Exact up to 2⁵³ tokens.
                self.usage
                    .get_or_create(&labels.usage(operation, kind))
                    .observe(amount as f64);
            }
        }
        // The conventions: "for successful responses".
        if record.outcome == Outcome::Completed {
            for (histograms, time) in [
                (&self.first_token, record.first_token),
                (&self.per_token, record.per_token),
            ] {
                if let Some(time) = time {
                    histograms
                        .get_or_create(&labels.operation(operation, None))
                        .observe(seconds(time));
                }
            }
        }
    }
}

/// How a call ended, as a label.
fn call_end(end: GuestCallEnd) -> &'static str {
    match end {
        GuestCallEnd::Returned => "returned",
        GuestCallEnd::Dropped => "dropped",
        GuestCallEnd::Failed(ErrorKind::PluginLimit) => "limited",
        GuestCallEnd::Failed(ErrorKind::InvalidRequest) => "refused",
        GuestCallEnd::Failed(_) => "failed",
    }
}

impl Telemetry for Metrics {
    fn guest_call(&self, tenant: &TenantId, call: &GuestCall) {
        let labels = self.names.lock().labels_of_guest(tenant, call.stage.as_str());
        let mut ended = labels.clone();
        ended.push(("result", call_end(call.end).to_owned()));
        self.guest_calls.get_or_create(&ended).inc();
        self.guest_fuel.get_or_create(&labels).inc_by(call.fuel);
        self.guest_time.get_or_create(&labels).observe(seconds(call.time));
        let memory = i64::try_from(call.memory).unwrap_or(i64::MAX);
        let peak = self.guest_memory.get_or_create(&labels);
        peak.inner().fetch_max(memory, Ordering::Relaxed);
    }

    fn request(&self, record: &RequestRecord) {
        self.observe(record);
    }

    fn render(&self, gauges: &Gauges) -> String {
        let mut now = Registry::default();
        gauges::register(&mut now, gauges);
        batch::register(&mut now, &gauges.batch);
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &now))
            .and_then(|()| encode_eof(&mut text));
        if written.is_err() {
            tracing::error!("the metrics could not be written");
            return "# EOF\n".to_owned();
        }
        text
    }
}

/// `gen_ai.operation.name`, a well-known value where one applies. Absent for costs of time, which no request causes.
fn operation(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Chat => Some("chat"),
        Kind::Embedding => Some("embeddings"),
        Kind::Document => Some("index_document"),
        Kind::Search => Some("retrieval"),
        Kind::Tool => Some("execute_tool"),
        Kind::Storage | Kind::Residency | Kind::Moved => None,
    }
}

/// `error.type`, absent for completed requests.
fn error_type(outcome: Outcome) -> Option<&'static str> {
    (outcome != Outcome::Completed).then(|| outcome.as_str())
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}
