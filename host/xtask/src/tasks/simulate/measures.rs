//! What a run is asked about, in intervals of the day.

use super::cache::Tier;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// Seconds.
pub const INTERVAL: f64 = 900.0;
/// Times are kept in microseconds, with two digits, up to an hour.
const MICROS: f64 = 1e6;
const LONGEST_MICROS: u64 = 3_600_000_000;
const DIGITS: u8 = 2;

#[derive(Clone)]
pub struct Interval {
    /// Seconds since the run's first midnight.
    pub start: f64,
    pub seconds: f64,
    first_tokens: Histogram<u32>,
    /// Requests that got a place, by where their adapter was.
    pub from_engine: u64,
    pub from_host: u64,
    pub from_store: u64,
    pub arrived: u64,
    pub given_up: u64,
    pub completed: u64,
    /// Seconds that completed requests were in the fleet, and that placed ones had waited for their place.
    pub sojourn: f64,
    pub waited: f64,
    /// Integrals over time: workers that cost money, those of them that take requests, places that are held, requests that wait.
    pub in_use: f64,
    pub ready: f64,
    pub held: f64,
    pub waiting: f64,
    pub most_in_use: u32,
    /// Seconds of a whole worker that was asked for.
    pub work: f64,
    pub starts: u64,
    pub evictions: u64,
    pub store_bytes: f64,
    pub store_busy: f64,
}

impl Interval {
    pub fn new(start: f64) -> Result<Self> {
        Ok(Self {
            start,
            seconds: 0.0,
            first_tokens: Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS)
                .context("a histogram cannot be made")?,
            from_engine: 0,
            from_host: 0,
            from_store: 0,
            arrived: 0,
            given_up: 0,
            completed: 0,
            sojourn: 0.0,
            waited: 0.0,
            in_use: 0.0,
            ready: 0.0,
            held: 0.0,
            waiting: 0.0,
            most_in_use: 0,
            work: 0.0,
            starts: 0,
            evictions: 0,
            store_bytes: 0.0,
            store_busy: 0.0,
        })
    }

    pub fn record_first_token(&mut self, seconds: f64) {
        self.first_tokens.saturating_record((seconds * MICROS) as u64);
    }

    pub fn record_place(&mut self, waited: f64, tier: Tier) {
        self.waited += waited;
        match tier {
            Tier::Engine => self.from_engine += 1,
            Tier::Host => self.from_host += 1,
            Tier::Store => self.from_store += 1,
        }
    }

    /// Seconds.
    pub fn first_token(&self, quantile: f64) -> f64 {
        self.first_tokens.value_at_quantile(quantile) as f64 / MICROS
    }

    /// The share of first tokens that came in so many seconds.
    pub fn first_tokens_within(&self, seconds: f64) -> f64 {
        self.first_tokens.percentile_below((seconds * MICROS) as u64) / 100.0
    }

    pub fn placed(&self) -> u64 {
        self.from_engine + self.from_host + self.from_store
    }

    pub fn share(&self, of: u64) -> f64 {
        of as f64 / self.placed().max(1) as f64
    }

    /// Of requests that arrived.
    pub fn given_up_share(&self) -> f64 {
        self.given_up as f64 / self.arrived.max(1) as f64
    }

    /// A mean over time of one of the integrals.
    pub fn mean(&self, integral: f64) -> f64 {
        integral / self.seconds
    }

    /// All of them as one.
    pub fn sum<'a>(intervals: impl IntoIterator<Item = &'a Self>) -> Result<Self> {
        let mut intervals = intervals.into_iter();
        let mut sum = intervals.next().context("nothing was measured")?.clone();
        for next in intervals {
            sum.first_tokens
                .add(&next.first_tokens)
                .context("histograms cannot be added")?;
            sum.seconds += next.seconds;
            sum.from_engine += next.from_engine;
            sum.from_host += next.from_host;
            sum.from_store += next.from_store;
            sum.arrived += next.arrived;
            sum.given_up += next.given_up;
            sum.completed += next.completed;
            sum.sojourn += next.sojourn;
            sum.waited += next.waited;
            sum.in_use += next.in_use;
            sum.ready += next.ready;
            sum.held += next.held;
            sum.waiting += next.waiting;
            sum.most_in_use = sum.most_in_use.max(next.most_in_use);
            sum.work += next.work;
            sum.starts += next.starts;
            sum.evictions += next.evictions;
            sum.store_bytes += next.store_bytes;
            sum.store_busy += next.store_busy;
        }
        Ok(sum)
    }
}
