//! Times of the same thing, and what is said of them.

use std::time::Duration;

#[derive(Default, Clone)]
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// The time that the share `q` of the times is not above.
    fn quantile(&self, q: f64) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        let at = ((times.len() as f64 * q).ceil() as usize).clamp(1, times.len());
        times[at - 1]
    }
}

impl Extend<Duration> for Samples {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        self.0.extend(times);
    }
}

/// How many times as long.
pub fn ratio(one: &Samples, other: &Samples) -> f64 {
    one.median().as_secs_f64() / other.median().as_secs_f64()
}
