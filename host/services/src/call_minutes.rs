//! Calls by the minute in which they ended, over the last hour, in little memory. Not here: what calls used since the server began (`plugin_stats`).

use riad_core::Timestamp;
use std::{collections::VecDeque, time::Duration};

/// The last hour. A minute without calls takes no memory.
pub const MINUTES: usize = 60;
const SECONDS: u64 = 60;

/// Of one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MinuteStats {
    pub calls: u64,
    /// The plugin's own faults, and calls that a limit ended.
    pub errors: u64,
    pub time: Duration,
    pub longest: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct CallMinutes(VecDeque<(u64, MinuteStats)>);

impl MinuteStats {
    pub(crate) fn of_call(time: Duration, is_error: bool) -> Self {
        Self {
            calls: 1,
            errors: u64::from(is_error),
            time,
            longest: time,
        }
    }

    /// Both, as if they were of one version.
    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.time = self.time.saturating_add(other.time);
        self.longest = self.longest.max(other.longest);
    }

    /// `None` without calls.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        (self.calls > 0).then(|| self.time.div_f64(self.calls as f64))
    }
}

impl CallMinutes {
    pub(crate) fn add(&mut self, now: Timestamp, call: &MinuteStats) {
        let minute = now.as_seconds() / SECONDS;
        match self.0.back_mut() {
            // A clock that is set back does not bring the order out.
            Some((last, stats)) if *last >= minute => stats.merge(call),
            Some(_) | None => {
                if self.0.len() >= MINUTES {
                    self.0.pop_front();
                }
                self.0.push_back((minute, *call));
            }
        }
    }

    /// The minute of `now` and those before it, the oldest first.
    #[must_use]
    pub fn last_hour(&self, now: Timestamp) -> Vec<MinuteStats> {
        let end = (now.as_seconds() / SECONDS).saturating_add(1);
        let begin = end.saturating_sub(MINUTES as u64);
        let mut hour = vec![MinuteStats::default(); MINUTES];
        for (minute, stats) in &self.0 {
            let index = minute.checked_sub(begin).and_then(|index| usize::try_from(index).ok());
            if let Some(slot) = index.and_then(|index| hour.get_mut(index)) {
                slot.merge(stats);
            }
        }
        hour
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn an_hour_ends_with_the_minute_of_now() {
        let mut minutes = CallMinutes::default();
        let call = |millis, is_error| MinuteStats::of_call(Duration::from_millis(millis), is_error);
        minutes.add(at(6000), &call(1, false));
        minutes.add(at(6059), &call(3, true));
        minutes.add(at(6060), &call(9, false));
        // The clock was set back.
        minutes.add(at(5000), &call(5, false));
        let hour = minutes.last_hour(at(6119));
        assert_eq!(hour.len(), MINUTES);
        let [.., before, last] = hour.as_slice() else {
            panic!("{hour:?}");
        };
        assert_eq!(
            (before.calls, before.errors, before.longest),
            (2, 1, Duration::from_millis(3))
        );
        assert_eq!(before.mean(), Some(Duration::from_millis(2)));
        assert_eq!(
            (last.calls, last.errors, last.mean()),
            (2, 0, Some(Duration::from_millis(7)))
        );
        assert_eq!(hour[0].mean(), None);
        let later = minutes.last_hour(at(6000 + 60 * 60));
        assert_eq!(later.iter().map(|minute| minute.calls).sum::<u64>(), 2);
        assert!(minutes.last_hour(at(100_000)).iter().all(|minute| minute.calls == 0));
    }

    #[test]
    fn no_more_minutes_are_kept_than_are_shown() {
        let mut minutes = CallMinutes::default();
        for minute in 0..MINUTES as u64 * 3 {
            minutes.add(at(minute * SECONDS), &MinuteStats::of_call(Duration::ZERO, false));
        }
        assert_eq!(minutes.0.len(), MINUTES);
    }
}
