//! Many durations in little memory: how many were as long, to a factor of two. Not here: histograms of metrics (`telemetry`).

use std::time::Duration;

/// Each class is twice as long as the one before, from a microsecond on.
const CLASSES: usize = 40;

#[derive(Debug, Clone)]
pub struct TimeClasses([u64; CLASSES]);

impl Default for TimeClasses {
    fn default() -> Self {
        Self([0; CLASSES])
    }
}

impl TimeClasses {
    pub(crate) fn add(&mut self, time: Duration) {
        let class = time.as_micros().max(1).ilog2() as usize;
        if let Some(count) = self.0.get_mut(class.min(CLASSES - 1)) {
            *count += 1;
        }
    }

    pub(crate) fn merge(&mut self, others: &Self) {
        for (count, other) in self.0.iter_mut().zip(&others.0) {
            *count += other;
        }
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many took as long, by the longest time of their class; from the first class that has any to the last.
    #[must_use]
    pub fn counted(&self) -> Vec<(Duration, u64)> {
        let counted: Vec<_> = (1..)
            .zip(&self.0)
            .map(|(class, count)| (Duration::from_micros(1 << class), *count))
            .collect();
        let has_any = |(_, count): &(Duration, u64)| *count > 0;
        let first = counted.iter().position(has_any).unwrap_or(0);
        let end = counted.iter().rposition(has_any).map_or(0, |last| last + 1);
        counted.get(first..end).unwrap_or_default().to_vec()
    }

    /// Within how long this share of them ended, 0 to 1, as the longest time of a class: at most twice as long. `None` if there are none.
    #[must_use]
    pub fn time_of_share(&self, share: f64) -> Option<Duration> {
        let wanted = ((share * self.count() as f64).ceil() as u64).max(1);
        let mut counted = 0;
        (1..).zip(&self.0).find_map(|(class, count)| {
            counted += count;
            (counted >= wanted).then(|| Duration::from_micros(1 << class))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_a_time() {
        let mut times = TimeClasses::default();
        assert_eq!(times.time_of_share(0.5), None);
        let mut others = TimeClasses::default();
        (0..98).for_each(|_| times.add(Duration::from_micros(100)));
        (0..2).for_each(|_| others.add(Duration::from_micros(5000)));
        times.merge(&others);
        assert_eq!(times.count(), 100);
        assert_eq!(times.time_of_share(0.5), Some(Duration::from_micros(128)));
        assert_eq!(times.time_of_share(0.99), Some(Duration::from_micros(8192)));
        let counted = times.counted();
        assert_eq!(counted.first(), Some(&(Duration::from_micros(128), 98)));
        assert_eq!(counted.last(), Some(&(Duration::from_micros(8192), 2)));
        assert_eq!(counted.len(), 7);
        times.add(Duration::MAX);
        assert_eq!(times.count(), 101);
    }
}
