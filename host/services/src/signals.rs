//! The signals of the last minutes, for people: one sample after the other, in memory. Not here: the state now (`scale`), and metrics, which
//! a Prometheus server keeps for longer (`Telemetry`).

use crate::Services;
use parking_lot::Mutex;
use riad_core::ports::Gauges;
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two samples.
pub const SIGNAL_PERIOD: Duration = Duration::from_secs(5);
/// The last half an hour.
const KEPT: usize = 360;

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub at: Instant,
    pub queue_requests: u64,
    pub running_sequences: u64,
    pub estimated_first_token: Option<Duration>,
    /// Prompt tokens that were computed, and completion tokens, per second since the sample before.
    pub tokens_per_second: f64,
    /// Of the KV cache's blocks, those that sequences hold, 0 to 1.
    pub blocks_used: f64,
    pub rooms_open: u64,
    pub adapters: u64,
}

#[derive(Default)]
pub(crate) struct Signals(Mutex<State>);

#[derive(Default)]
struct State {
    samples: VecDeque<Signal>,
    /// Tokens that the engine had counted at the last sample.
    tokens: u64,
}

/// Samples until it is dropped.
pub async fn run(services: Services) {
    let mut ticks = interval(SIGNAL_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        services.scale().sample();
    }
}

impl Signals {
    pub fn add(&self, gauges: &Gauges, at: Instant) {
        let mut state = self.0.lock();
        let tokens = computed(gauges);
        let tokens_per_second = state.samples.back().map_or(0.0, |last| {
            let seconds = at.saturating_duration_since(last.at).as_secs_f64();
            tokens.saturating_sub(state.tokens) as f64 / seconds.max(f64::EPSILON)
        });
        state.tokens = tokens;
        let batch = &gauges.batch;
        let blocks = batch.blocks_used + batch.blocks_cached + batch.blocks_free;
        if state.samples.len() >= KEPT {
            state.samples.pop_front();
        }
        state.samples.push_back(Signal {
            at,
            queue_requests: gauges.queue_requests,
            running_sequences: gauges.running_sequences,
            estimated_first_token: gauges.estimated_first_token,
            tokens_per_second,
            blocks_used: batch.blocks_used as f64 / blocks.max(1) as f64,
            rooms_open: gauges.rooms_open,
            adapters: gauges.adapters.resident as u64,
        });
    }

    /// The oldest first.
    pub fn all(&self) -> Vec<Signal> {
        self.0.lock().samples.iter().cloned().collect()
    }
}

/// Prompts from the prefix cache are not.
fn computed(gauges: &Gauges) -> u64 {
    let engine = &gauges.engine;
    engine.prompt.saturating_sub(engine.cached) + engine.completion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_rates_and_are_bounded() {
        let signals = Signals::default();
        let begun = Instant::now();
        let mut gauges = Gauges::default();
        for number in 0..KEPT as u32 + 10 {
            gauges.engine.completion = u64::from(number) * 50;
            gauges.batch.blocks_used = 1;
            gauges.batch.blocks_free = 3;
            signals.add(&gauges, begun + SIGNAL_PERIOD * number);
        }
        let all = signals.all();
        assert_eq!(all.len(), KEPT);
        let last = all.last().unwrap();
        assert!((last.tokens_per_second - 10.0).abs() < 1e-9, "{last:?}");
        assert!((last.blocks_used - 0.25).abs() < 1e-9, "{last:?}");
    }
}
