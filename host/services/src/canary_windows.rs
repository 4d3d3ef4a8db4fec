//! How requests of each room that has a canary ended, the latest ones weighing the most, in memory: after a restart they are counted from the beginning. Not here:
//! which requests count, and ending the canary (`canary`).

use parking_lot::Mutex;
use riad_core::{Account, Digest};
use std::collections::HashMap;

/// Requests of each side before which nothing is decided.
const ENOUGH: u32 = 8;
/// Requests of the canary after which it is decided although the others have fewer: a canary with a large share leaves them few or none.
const ENOUGH_ALONE: u32 = 16;
/// By how many hundredths of its requests a canary may fail more often than the stages that it is compared with. Where those fail too,
/// because a stage that both have does, the canary is not ended for it.
const MARGIN_PERCENT: i64 = 20;

/// Requests of the canary after which both sides count for half, so that the latest weigh the most.
const HALVED_AT: u32 = 64;

/// Requests on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    failures: u32,
    requests: u32,
}

impl Window {
    fn add(&mut self, failed: bool) {
        self.failures = self.failures.saturating_add(failed.into());
        self.requests = self.requests.saturating_add(1);
    }

    fn halve(&mut self) {
        self.failures /= 2;
        self.requests /= 2;
    }

    pub fn requests(self) -> u32 {
        self.requests
    }

    pub fn failures(self) -> u32 {
        self.failures
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub canary: Window,
    pub stable: Window,
}

impl Comparison {
    /// Both sides are halved together: they are compared over the same time, so that a fault that both had does not weigh longer on one.
    fn add(&mut self, by_canary: bool, failed: bool) {
        match by_canary {
            true => self.canary.add(failed),
            false => self.stable.add(failed),
        }
        if self.canary.requests >= HALVED_AT {
            self.canary.halve();
            self.stable.halve();
        }
    }

    fn is_worse(self) -> bool {
        let enough = i64::from(ENOUGH);
        let ((failures, requests), (stable_failures, stable_requests)) = (of(self.canary), of(self.stable));
        if requests < enough || (stable_requests < enough && requests < i64::from(ENOUGH_ALONE)) {
            return false;
        }
        // Those that are missing count as if they had not failed: one failure alone does not excuse a canary that always fails, and where
        // there are no others, the margin is the share that may fail.
        let stable_requests = stable_requests.max(enough);
        // Both shares multiplied by both numbers of requests.
        let more = failures * stable_requests - stable_failures * requests;
        more * 100 > MARGIN_PERCENT * requests * stable_requests
    }
}

fn of(window: Window) -> (i64, i64) {
    (i64::from(window.failures()), i64::from(window.requests()))
}

struct Trial {
    id: Digest,
    comparison: Comparison,
    /// Whether somebody is ending the canary.
    ending: bool,
}

/// One trial per account, while the room has a canary.
#[derive(Default)]
pub(crate) struct CanaryWindows(Mutex<HashMap<Account, Trial>>);

impl CanaryWindows {
    /// Counts for this trial from now on, and forgets another of the account's.
    pub fn begin(&self, account: Account, id: Digest) {
        let mut trials = self.0.lock();
        if trials.get(&account).is_none_or(|trial| trial.id != id) {
            let trial = Trial {
                id,
                comparison: Comparison::default(),
                ending: false,
            };
            trials.insert(account, trial);
        }
    }

    /// Counts a request that has ended. The caller must end the canary if it gets a comparison, and gets one once: until [`Self::retry`].
    pub fn record(&self, account: Account, id: Digest, by_canary: bool, failed: bool) -> Option<Comparison> {
        let mut trials = self.0.lock();
        let trial = trials.get_mut(&account).filter(|trial| trial.id == id)?;
        trial.comparison.add(by_canary, failed);
        let ends = by_canary && failed && !trial.ending && trial.comparison.is_worse();
        trial.ending |= ends;
        ends.then_some(trial.comparison)
    }

    /// The canary could not be ended: the next of its requests is another occasion.
    pub fn retry(&self, account: Account, id: Digest) {
        if let Some(trial) = self.0.lock().get_mut(&account).filter(|trial| trial.id == id) {
            trial.ending = false;
        }
    }

    pub fn forget_trial(&self, account: Account, id: Digest) {
        let mut trials = self.0.lock();
        if trials.get(&account).is_some_and(|trial| trial.id == id) {
            trials.remove(&account);
        }
    }

    pub fn forget(&self, account: Account) {
        self.0.lock().remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account::new(1)
    }

    fn id(byte: u8) -> Digest {
        Digest::of(&[byte])
    }

    fn window(failures: u32, requests: u32) -> Window {
        let mut window = Window::default();
        (0..requests).for_each(|number| window.add(number < failures));
        window
    }

    #[test]
    fn both_sides_are_halved_together() {
        let mut comparison = Comparison::default();
        (0..100).for_each(|_| comparison.add(false, true));
        (0..63).for_each(|_| comparison.add(true, false));
        assert_eq!((comparison.canary.requests(), comparison.stable.failures()), (63, 100));
        comparison.add(true, true);
        assert_eq!((comparison.canary.requests(), comparison.stable.failures()), (32, 50));
    }

    #[test]
    fn a_fault_of_both_sides_that_is_over_ends_no_canary() {
        let windows = CanaryWindows::default();
        windows.begin(account(), id(1));
        let minute = |failed| {
            (0..9).for_each(|_| assert!(windows.record(account(), id(1), false, failed).is_none()));
            windows.record(account(), id(1), true, failed)
        };
        assert!((0..30).all(|_| minute(true).is_none()));
        assert!((0..200).all(|_| minute(false).is_none()));
        assert!((0..5).all(|_| minute(true).is_none()), "both again");
    }

    #[test]
    fn a_canary_is_worse_by_more_than_20_percentage_points() {
        for (canary, stable, worse) in [
            ((7, 7), (0, 50), false),
            ((8, 8), (0, 50), true),
            ((2, 10), (0, 50), false),
            ((3, 10), (0, 50), true),
            ((3, 10), (5, 50), false),
            // A stage that both have fails.
            ((5, 10), (25, 50), false),
            ((6, 10), (25, 50), false),
            ((8, 10), (25, 50), true),
            ((0, 60), (60, 60), false),
            ((8, 8), (7, 8), false),
            ((8, 8), (0, 8), true),
        ] {
            let comparison = Comparison {
                canary: window(canary.0, canary.1),
                stable: window(stable.0, stable.1),
            };
            assert_eq!(comparison.is_worse(), worse, "{canary:?} {stable:?}");
        }
    }

    #[test]
    fn a_canary_that_leaves_others_few_requests_is_judged_after_16() {
        for (canary, stable, worse) in [
            // The others are waited for while they may still come.
            ((8, 8), (0, 7), false),
            ((15, 15), (0, 0), false),
            ((16, 16), (0, 0), true),
            // Of 100 %, a fifth may fail.
            ((3, 16), (0, 0), false),
            ((4, 16), (0, 0), true),
            // One failure, or all of a few, excuses as many of the canary's as it would among eight.
            ((16, 16), (1, 1), true),
            ((16, 16), (6, 6), true),
            ((16, 16), (7, 7), false),
            ((5, 16), (1, 1), false),
            ((6, 16), (1, 1), true),
        ] {
            let comparison = Comparison {
                canary: window(canary.0, canary.1),
                stable: window(stable.0, stable.1),
            };
            assert_eq!(comparison.is_worse(), worse, "{canary:?} {stable:?}");
        }
    }

    #[test]
    fn one_caller_ends_a_canary_and_may_try_again() {
        let windows = CanaryWindows::default();
        windows.begin(account(), id(1));
        for _ in 0..7 {
            assert_eq!(windows.record(account(), id(1), true, true), None);
            assert_eq!(
                windows.record(account(), id(1), false, true),
                None,
                "it did not serve it"
            );
        }
        let found = windows.record(account(), id(1), true, true);
        assert!(found.is_none(), "the other side fails as often");
        (0..3).for_each(|_| assert!(windows.record(account(), id(1), false, false).is_none()));
        let ended = windows.record(account(), id(1), true, true).unwrap();
        assert_eq!((ended.canary, ended.stable), (window(9, 9), window(7, 10)));
        assert!(windows.record(account(), id(1), true, true).is_none());
        windows.retry(account(), id(1));
        assert!(windows.record(account(), id(1), true, true).is_some());
    }

    #[test]
    fn each_trial_of_each_account_counts_from_its_beginning() {
        let windows = CanaryWindows::default();
        let fail = |id| windows.record(account(), id, true, true);
        assert!((0..40).all(|_| fail(id(1)).is_none()), "it has not begun");
        windows.begin(account(), id(1));
        assert!((0..15).all(|_| fail(id(1)).is_none()));
        windows.begin(account(), id(1));
        windows.begin(Account::new(2), id(1));
        assert!(windows.record(Account::new(2), id(1), true, true).is_none());
        assert!(fail(id(1)).is_some(), "it goes on");
        windows.begin(account(), id(2));
        assert!(
            (0..40).all(|_| fail(id(1)).is_none()),
            "requests of an earlier trial end"
        );
        assert!((0..15).all(|_| fail(id(2)).is_none()));
        windows.forget_trial(account(), id(1));
        assert!(fail(id(2)).is_some());
        windows.forget_trial(account(), id(2));
        windows.begin(account(), id(2));
        assert!((0..15).all(|_| fail(id(2)).is_none()));
        windows.forget(account());
        assert!((0..40).all(|_| fail(id(2)).is_none()));
    }
}
