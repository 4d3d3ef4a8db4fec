//! The server's state now, and what other parts have counted since the process began. `services` collects the values.

use super::labels::Labels;
use prometheus_client::{
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::{Registry, Unit},
};
use riad_core::{ledger::EngineTokens, ports::Gauges};
use std::time::Duration;

pub(super) fn register(registry: &mut Registry, gauges: &Gauges) {
    sequences(registry, gauges);
    adapters(registry, gauges);
    ledger(registry, gauges);
}

fn sequences(registry: &mut Registry, gauges: &Gauges) {
    let mut gauge = |name: &str, help: &str, value: u64| registry.register(name, help, ConstGauge::new(value));
    gauge(
        "riad_sequences_max",
        "Generations that may run at the same time",
        gauges.max_sequences,
    );
    gauge(
        "riad_sequences_running",
        "Generations that run",
        gauges.running_sequences,
    );
    gauge(
        "riad_queue_requests",
        "Requests that wait for a place in the batch",
        gauges.queue_requests,
    );
    gauge("riad_rooms_open", "Tenants' rooms that are open", gauges.rooms_open);
    if let Some(resident) = gauges.resident_bytes {
        registry.register_with_unit(
            "process_resident_memory",
            "Memory of the process, models among it",
            Unit::Bytes,
            ConstGauge::new(resident),
        );
    }
    registry.register_with_unit(
        "riad_rooms_open",
        "Memory that open rooms take for vectors and SQLite",
        Unit::Bytes,
        ConstGauge::new(gauges.open_room_bytes),
    );
    if let Some(unsaved) = gauges.unsaved {
        seconds(
            registry,
            "riad_unsaved_change_age",
            "Age of the oldest change of a room that no snapshot has",
            unsaved,
        );
    }
    registry.register_with_unit(
        "riad_queue",
        "Tokens that waiting requests may need: prompt and max_tokens",
        tokens(),
        ConstGauge::new(gauges.queue_tokens),
    );
    registry.register(
        "riad_requests_shed",
        "Requests refused by the queue to keep the target for the time to the first token",
        ConstCounter::new(gauges.shed),
    );
    if let Some(estimate) = gauges.estimated_first_token {
        seconds(
            registry,
            "riad_first_token_estimated",
            "Estimated time to the first token of a request that arrives now",
            estimate,
        );
    }
    seconds(
        registry,
        "riad_first_token_target",
        "Target for the time to the first token; requests that would miss it are rejected",
        gauges.target_first_token,
    );
    let rate = gauges.tokens_per_second;
    registry.register(
        "riad_tokens_per_second",
        "Weighted tokens per second of the whole batch, as a recent average",
        // The library writes infinities in a form that OpenMetrics does not allow.
        ConstGauge::new(if rate.is_finite() { rate } else { 0.0 }),
    );
}

fn adapters(registry: &mut Registry, gauges: &Gauges) {
    let counts = gauges.adapters;
    registry.register(
        "riad_adapters_resident",
        "Adapters in the engine's memory",
        ConstGauge::new(counts.resident),
    );
    registry.register_with_unit(
        "riad_adapters_resident",
        "Size of the adapters in the engine's memory",
        Unit::Bytes,
        ConstGauge::new(counts.resident_bytes),
    );
    registry.register(
        "riad_adapter_loads",
        "Adapters loaded into the engine's memory",
        ConstCounter::new(counts.loads),
    );
    registry.register(
        "riad_adapter_evictions",
        "Adapters evicted from the engine's memory",
        ConstCounter::new(counts.evictions),
    );
}

fn ledger(registry: &mut Registry, gauges: &Gauges) {
    for (name, help, counted) in [
        (
            "riad_engine",
            "Tokens as counted by the engine and the embedder",
            gauges.engine,
        ),
        (
            "riad_ledger",
            "Tokens in the ledger's entries of this process",
            gauges.ledger,
        ),
    ] {
        let counters = Family::<Labels, Counter>::default();
        for (kind, amount) in by_type(counted) {
            counters.get_or_create(&kind).inc_by(amount);
        }
        registry.register_with_unit(name, help, tokens(), counters);
    }
    let drift = Family::<Labels, Gauge>::default();
    for ((kind, engine), (_, ledger)) in by_type(gauges.engine).into_iter().zip(by_type(gauges.ledger)) {
        drift.get_or_create(&kind).set(difference(engine, ledger));
    }
    // No type of the counters, because these tokens are among the prompt's, and sums over types must be right.
    drift
        .get_or_create(&of_type("cached"))
        .set(difference(gauges.engine.cached, gauges.ledger.cached));
    registry.register_with_unit(
        "riad_ledger_drift",
        "The engine's count minus the ledger's; 0 when nothing is being settled",
        tokens(),
        drift,
    );
    registry.register_with_unit(
        "riad_held",
        "Tokens held by requests that are not settled yet",
        tokens(),
        ConstGauge::new(gauges.held_tokens),
    );
}

fn by_type(counted: EngineTokens) -> [(Labels, u64); 3] {
    [
        ("prompt", counted.prompt),
        ("completion", counted.completion),
        ("embedded", counted.embedded),
    ]
    .map(|(kind, amount)| (of_type(kind), amount))
}

fn of_type(kind: &str) -> Labels {
    vec![("type", kind.to_owned())]
}

fn difference(left: u64, right: u64) -> i64 {
    let difference = i128::from(left) - i128::from(right);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}

fn seconds(registry: &mut Registry, name: &str, help: &str, time: Duration) {
    registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(time.as_secs_f64()));
}

fn tokens() -> Unit {
    Unit::Other("tokens".to_owned())
}
