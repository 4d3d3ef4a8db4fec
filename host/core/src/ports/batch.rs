//! What an engine's batch holds and has done, for metrics and scale signals.

use std::time::Duration;

/// Upper bounds of [`StepTimes`]' buckets, in seconds; the last bucket has none.
const STEP_TIME_BOUNDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

/// The batch as it is now, and what was counted since the process started. It has nothing that tells tenants apart.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BatchState {
    /// Sequences that have more than one token to compute.
    pub prefilling: u64,
    /// The other running ones.
    pub decoding: u64,
    /// Sequences that the engine has and that are in no step yet, or were preempted.
    pub waiting: u64,
    /// Tokens of running sequences whose keys and values are in the KV cache.
    pub tokens: u64,
    /// Tokens that fit into the KV cache.
    pub kv_cache_tokens: u64,
    /// Blocks of the KV cache that sequences hold.
    pub blocks_used: u64,
    /// Blocks that no sequence holds and that are kept for prompts that may come again.
    pub blocks_cached: u64,
    pub blocks_free: u64,
    pub preemptions: u64,
    /// Prompt tokens that were taken from the prefix cache.
    pub prefix_hit_tokens: u64,
    /// Prompt tokens of the sequences that looked into it.
    pub prefix_lookup_tokens: u64,
    /// Rows of prompts, and of sequences that are computed again.
    pub prefill_rows: u64,
    /// Rows of sequences that needed no other one for their next token.
    pub decode_rows: u64,
    pub step_times: StepTimes,
    /// Whether the model is in memory.
    pub model_loaded: bool,
    /// Times that it was loaded.
    pub model_loads: u64,
}

/// How long steps took, in buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepTimes {
    counts: [u64; STEP_TIME_BOUNDS.len() + 1],
    sum: Duration,
}

impl StepTimes {
    pub fn observe(&mut self, time: Duration) {
        let bucket = STEP_TIME_BOUNDS.partition_point(|bound| *bound < time.as_secs_f64());
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(time);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Upper bounds in seconds and the steps of each bucket alone; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        STEP_TIME_BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_bounds_it() {
        let mut times = StepTimes::default();
        for micros in [0, 1000, 1001, 5_000_000, 5_000_001, 60_000_000] {
            times.observe(Duration::from_micros(micros));
        }
        let filled: Vec<_> = times.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.002, 1), (5.0, 1), (f64::INFINITY, 2)]);
        assert_eq!((times.count(), times.sum().as_micros()), (6, 70_002_002));
    }
}
