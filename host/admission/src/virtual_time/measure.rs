//! Averages in which older samples fade. Not here: what follows from them (`estimate.rs`).

use std::time::{Duration, Instant};

/// Fraction of the sums that stays with each new sample: about the last 32 samples count.
const KEPT: f64 = 31.0 / 32.0;
/// The time constant of a throughput: a third is left after it.
const TIME_CONSTANT: Duration = Duration::from_secs(10);

/// The quotient of two sums. Large samples count more: it is the quotient of the totals, not the mean of quotients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quotient {
    over: f64,
    under: f64,
}

impl Quotient {
    pub(super) fn add(&mut self, over: f64, under: f64) {
        self.over = self.over * KEPT + over;
        self.under = self.under * KEPT + under;
    }

    /// `None` while one of the sums is zero.
    pub(super) fn value(&self) -> Option<f64> {
        (self.over > 0.0 && self.under > 0.0).then(|| self.over / self.under)
    }
}

/// An amount per second, averaged over about [`TIME_CONSTANT`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Throughput {
    /// Decays with time.
    sum: f64,
    at: Option<Instant>,
}

impl Throughput {
    pub(super) const NONE: Self = Self { sum: 0.0, at: None };

    pub(super) fn add(&mut self, amount: u64, now: Instant) {
        let passed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.sum = self.sum * (-passed.as_secs_f64() / TIME_CONSTANT.as_secs_f64()).exp() + amount as f64;
        self.at = Some(now);
    }

    pub(super) fn per_second(&self) -> f64 {
        self.sum / TIME_CONSTANT.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotient_follows_a_change_of_its_samples() {
        let mut quotient = Quotient::default();
        assert_eq!(quotient.value(), None);
        quotient.add(0.0, 5.0);
        assert_eq!(quotient.value(), None, "nothing was done");
        for _ in 0..200 {
            quotient.add(100.0, 1.0);
        }
        assert!((quotient.value().unwrap() - 100.0).abs() < 1.0);
        for _ in 0..200 {
            quotient.add(10.0, 1.0);
        }
        assert!((quotient.value().unwrap() - 10.0).abs() < 1.0);
    }

    #[test]
    fn a_throughput_settles_at_the_rate_and_fades() {
        let mut throughput = Throughput::NONE;
        let mut now = Instant::now();
        for _ in 0..1000 {
            now += Duration::from_millis(100);
            throughput.add(5, now);
        }
        assert!((throughput.per_second() - 50.0).abs() < 1.0);
        throughput.add(0, now + Duration::from_secs(100));
        assert!(throughput.per_second() < 1.0);
    }
}
