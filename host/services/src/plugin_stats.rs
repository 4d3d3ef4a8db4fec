//! What calls of each tenant's plugins used since the server began, in memory. Not here: what is billed (`metering`).

use crate::{
    call_minutes::{CallMinutes, MinuteStats},
    time_classes::TimeClasses,
};
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, ErrorKind, Timestamp,
    plugin::Stage,
    ports::{GuestCall, GuestCallEnd},
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Versions of a tenant's plugins of which stages are counted. For more, what was called the longest ago is forgotten.
const COUNTED: usize = 64;

/// Calls of one stage of one version.
#[derive(Debug, Clone)]
pub struct CallStats {
    pub calls: u64,
    /// The plugin trapped, or returned an error.
    pub failed: u64,
    /// A limit ended it.
    pub limited: u64,
    /// The stage refused the client's request.
    pub refused: u64,
    /// The request ended before the call did.
    pub dropped: u64,
    pub fuel: u64,
    pub time: Duration,
    /// The most bytes of linear memory that a guest had.
    pub memory: u64,
    pub times: TimeClasses,
    pub minutes: CallMinutes,
    last: Instant,
}

/// Of one account, by version and stage.
type Counted = HashMap<(Digest, Stage), CallStats>;

#[derive(Default)]
pub(crate) struct PluginStats(Mutex<HashMap<Account, Counted>>);

impl PluginStats {
    pub fn of(&self, account: Account, version: Digest) -> Vec<(Stage, CallStats)> {
        let stats = self.0.lock();
        let counted = stats.get(&account);
        let stage = |stage| Some((stage, counted?.get(&(version, stage))?.clone()));
        Stage::ALL.into_iter().filter_map(stage).collect()
    }

    pub fn forget(&self, account: Account) {
        self.0.lock().remove(&account);
    }

    pub fn add(&self, account: Account, call: &GuestCall) {
        let mut stats = self.0.lock();
        let counted = stats.entry(account).or_default();
        let key = (call.component, call.stage);
        if counted.len() >= COUNTED && !counted.contains_key(&key) {
            let oldest = counted.iter().min_by_key(|(_, stats)| stats.last).map(|(key, _)| *key);
            oldest.map(|key| counted.remove(&key));
        }
        counted.entry(key).or_default().add(call);
    }
}

impl Default for CallStats {
    fn default() -> Self {
        Self {
            calls: 0,
            failed: 0,
            limited: 0,
            refused: 0,
            dropped: 0,
            fuel: 0,
            time: Duration::ZERO,
            memory: 0,
            times: TimeClasses::default(),
            minutes: CallMinutes::default(),
            last: Instant::now(),
        }
    }
}

impl CallStats {
    fn add(&mut self, call: &GuestCall) {
        self.calls += 1;
        match call.end {
            GuestCallEnd::Returned => {}
            GuestCallEnd::Dropped => self.dropped += 1,
            GuestCallEnd::Failed(ErrorKind::PluginLimit) => self.limited += 1,
            GuestCallEnd::Failed(ErrorKind::InvalidRequest) => self.refused += 1,
            GuestCallEnd::Failed(_) => self.failed += 1,
        }
        self.fuel = self.fuel.saturating_add(call.fuel);
        self.time = self.time.saturating_add(call.time);
        self.memory = self.memory.max(call.memory);
        self.times.add(call.time);
        let is_error = match call.end {
            GuestCallEnd::Returned | GuestCallEnd::Dropped => false,
            GuestCallEnd::Failed(kind) => kind != ErrorKind::InvalidRequest,
        };
        let in_minute = MinuteStats::of_call(call.time, is_error);
        self.minutes.add(Timestamp::now(), &in_minute);
        self.last = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(version: u8, micros: u64, end: GuestCallEnd) -> GuestCall {
        GuestCall {
            stage: Stage::Retrieval,
            component: Digest::of(&[version]),
            end,
            fuel: 10,
            time: Duration::from_micros(micros),
            memory: micros,
        }
    }

    #[test]
    fn calls_are_counted_by_account_and_version() {
        let (stats, one, other) = (PluginStats::default(), Account::new(1), Account::new(2));
        stats.add(one, &call(1, 3, GuestCallEnd::Returned));
        stats.add(one, &call(1, 5, GuestCallEnd::Failed(ErrorKind::PluginFailed)));
        stats.add(one, &call(1, 4, GuestCallEnd::Failed(ErrorKind::PluginLimit)));
        stats.add(one, &call(1, 1, GuestCallEnd::Dropped));
        let found = stats.of(one, Digest::of(&[1]));
        let [(Stage::Retrieval, found)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((found.calls, found.failed, found.limited, found.dropped), (4, 1, 1, 1));
        assert_eq!(
            (found.fuel, found.memory, found.time),
            (40, 5, Duration::from_micros(13))
        );
        let mut hour = MinuteStats::default();
        let minutes = found.minutes.last_hour(Timestamp::now());
        minutes.iter().for_each(|minute| hour.merge(minute));
        assert_eq!(
            (hour.calls, hour.errors, hour.longest),
            (4, 2, Duration::from_micros(5))
        );
        assert!(stats.of(other, Digest::of(&[1])).is_empty());
        assert!(stats.of(one, Digest::of(&[2])).is_empty());
        stats.forget(one);
        assert!(stats.of(one, Digest::of(&[1])).is_empty());
    }

    #[test]
    fn versions_that_are_no_longer_called_are_forgotten() {
        let (stats, account) = (PluginStats::default(), Account::new(1));
        for version in 0..=COUNTED {
            stats.add(
                account,
                &call(u8::try_from(version).unwrap(), 1, GuestCallEnd::Returned),
            );
        }
        assert!(stats.of(account, Digest::of(&[0])).is_empty());
        assert!(!stats.of(account, Digest::of(&[1])).is_empty());
    }
}
