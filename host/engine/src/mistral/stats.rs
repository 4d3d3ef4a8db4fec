//! What the steps did, where metrics can read it while the loop goes on.

use parking_lot::Mutex;
use riad_batch::{Gauges, Step};
use riad_core::ports::BatchState;
use std::{sync::Arc, time::Duration};

/// Written by the loop after each step.
#[derive(Clone, Default)]
pub(super) struct SharedState(Arc<Mutex<BatchState>>);

impl SharedState {
    pub fn read(&self) -> BatchState {
        *self.0.lock()
    }
}

pub(super) struct StepStats {
    shared: SharedState,
    state: BatchState,
    /// Counters of batches that were replaced.
    before: Gauges,
}

impl StepStats {
    pub fn new(shared: SharedState) -> Self {
        Self {
            shared,
            state: BatchState::default(),
            before: Gauges::default(),
        }
    }

    pub fn count(&mut self, step: &Step, time: Duration) {
        for segment in &step.segments {
            let rows = match segment.decodes() {
                true => &mut self.state.decode_rows,
                false => &mut self.state.prefill_rows,
            };
            *rows += segment.rows as u64;
        }
        self.state.step_times.observe(time.as_secs_f64());
        self.state.step_rows.observe(step.rows() as f64);
    }

    pub fn publish(&mut self, gauges: &Gauges, block_size: usize) {
        let (now, before) = (gauges, &self.before);
        let blocks = now.blocks_used + now.blocks_cached + now.blocks_free;
        self.state = BatchState {
            prefilling: now.prefilling as u64,
            decoding: now.running.saturating_sub(now.prefilling) as u64,
            waiting: now.waiting as u64,
            tokens: now.tokens as u64,
            kv_cache_tokens: (blocks * block_size) as u64,
            blocks_used: now.blocks_used as u64,
            blocks_cached: now.blocks_cached as u64,
            blocks_free: now.blocks_free as u64,
            preemptions: before.preemptions + now.preemptions,
            prefix_hit_tokens: before.prefix_hit_tokens + now.prefix_hit_tokens,
            prefix_lookup_tokens: before.prefix_lookup_tokens + now.prefix_lookup_tokens,
            ..self.state
        };
        *self.shared.0.lock() = self.state;
    }

    pub fn model_loaded(&mut self, took: Duration) {
        self.state.model_load = took;
        self.state.model_loaded = true;
        self.state.model_loads += 1;
    }

    /// The batch of `last` goes with its model; the counters of the next one begin at 0.
    pub fn model_unloaded(&mut self, last: &Gauges) {
        self.state.model_loaded = false;
        self.before.preemptions += last.preemptions;
        self.before.prefix_hit_tokens += last.prefix_hit_tokens;
        self.before.prefix_lookup_tokens += last.prefix_lookup_tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_when_the_batch_is_replaced() {
        let shared = SharedState::default();
        let mut stats = StepStats::new(shared.clone());
        let gauges = Gauges {
            running: 3,
            prefilling: 1,
            blocks_used: 5,
            blocks_cached: 2,
            blocks_free: 3,
            preemptions: 2,
            prefix_hit_tokens: 64,
            prefix_lookup_tokens: 100,
            ..Gauges::default()
        };
        stats.publish(&gauges, 32);
        stats.model_unloaded(&gauges);
        stats.publish(&Gauges::default(), 32);
        assert_eq!(shared.read().preemptions, 2);
        stats.publish(&gauges, 32);
        let state = shared.read();
        assert_eq!(
            (state.preemptions, state.prefix_hit_tokens, state.prefix_lookup_tokens),
            (4, 128, 200)
        );
        assert_eq!((state.prefilling, state.decoding, state.kv_cache_tokens), (1, 2, 320));
    }
}
