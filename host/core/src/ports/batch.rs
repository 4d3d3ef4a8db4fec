//! What an engine's batch holds and has done, for metrics and scale signals.

use std::{marker::PhantomData, time::Duration};

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
    pub step_times: Histogram<Seconds>,
    pub step_rows: Histogram<Rows>,
    /// Whether the model is in memory.
    pub model_loaded: bool,
    /// Times that it was loaded.
    pub model_loads: u64,
    /// How long the last time took.
    pub model_load: Duration,
}

/// What is counted in buckets: its upper bounds. The last bucket has none.
pub trait Buckets {
    const BOUNDS: [f64; 12];
}

/// How long steps took, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seconds;

/// Rows of steps.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rows;

impl Buckets for Seconds {
    const BOUNDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
}

impl Buckets for Rows {
    const BOUNDS: [f64; 12] = [
        1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0,
    ];
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram<B> {
    counts: [u64; 13],
    sum: f64,
    buckets: PhantomData<B>,
}

impl<B: Buckets> Histogram<B> {
    pub fn observe(&mut self, value: f64) {
        let bucket = B::BOUNDS.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Upper bounds and the steps of each bucket alone; the last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        B::BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_bucket_that_bounds_it() {
        let mut times = Histogram::<Seconds>::default();
        for seconds in [0.0, 0.001, 0.001_001, 5.0, 5.000_001, 60.0] {
            times.observe(seconds);
        }
        let filled: Vec<_> = times.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.002, 1), (5.0, 1), (f64::INFINITY, 2)]);
        assert_eq!(times.count(), 6);
        assert!((times.sum() - 70.002_002).abs() < 1e-9);
        let mut rows = Histogram::<Rows>::default();
        rows.observe(3.0);
        assert!(rows.buckets().any(|bucket| bucket == (4.0, 1)));
    }
}
