//! Fairness by processor time, as it was measured. Not here: threads.

use crate::queue::{AccountState, Admitted, Policy, Request, State};
use riad_core::Account;
use std::{collections::HashMap, time::Instant};

/// Idle accounts that are remembered.
const IDLE_MOST: usize = 4096;
/// The counters' unit is a nanosecond divided by this, for weights that are not 1.
const PRECISION: u128 = 1024;

/// A piece of work that is done without a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slice {
    /// Of work that has begun: it comes before work that has not.
    Further,
    First,
}

/// Admits the account that has had the least processor time for its weight, since it or the account that was admitted last began.
/// For threads: work is charged with the time from its admission to its end.
#[derive(Debug, Default)]
pub struct ProcessorTime {
    /// The counter of the account that was admitted last. Accounts that had nothing to do start there: time that was not used is not
    /// saved for later.
    level: u128,
    /// Counters of accounts without work that are above the level.
    idle: HashMap<Account, u128>,
}

impl Policy for ProcessorTime {
    type Detail = Slice;
    type Rank = Slice;
    /// Time it has had, then units held.
    type Order = (u128, u32);
    /// Time it has had.
    type Account = u128;
    type Run = ();

    fn rank(&self, slice: &Slice) -> Slice {
        *slice
    }

    fn order(&self, account: &AccountState<Self>, _: &Request<Slice>) -> (u128, u32) {
        (account.policy, account.held)
    }

    fn activate(&mut self, account: Account) -> u128 {
        self.idle.remove(&account).unwrap_or_default().max(self.level)
    }

    fn deactivate(&mut self, account: Account, counter: u128) {
        self.idle.insert(account, counter);
        if self.idle.len() > IDLE_MOST {
            // Forgetting those below the level changes nothing.
            let level = self.level;
            self.idle.retain(|_, counter| *counter > level);
        }
        if self.idle.len() > IDLE_MOST {
            // The others are ahead by what they had in their last slices.
            self.idle.clear();
        }
    }

    fn admitted(&mut self, account: &mut AccountState<Self>, _: &Request<Slice>) {
        self.level = self.level.max(account.policy);
    }

    fn released(&mut self, state: &mut State<Self>, ended: &Admitted<Self>, now: Instant) {
        if let Some(account) = state.accounts.get_mut(&ended.request.account) {
            let time = now.saturating_duration_since(ended.since).as_nanos();
            account.policy += time * PRECISION / u128::from(ended.request.weight.max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bounds, Queue, RequestId, Verdict};
    use std::time::Duration;

    struct Machine {
        queue: Queue<ProcessorTime>,
        now: Instant,
        running: Vec<(u64, RequestId)>,
        asked: HashMap<RequestId, u64>,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                queue: Queue::new(Bounds::of(1), ProcessorTime::default()),
                now: Instant::now(),
                running: Vec::new(),
                asked: HashMap::new(),
            }
        }

        fn ask(&mut self, account: u64, weight: u32, slice: Slice) -> RequestId {
            let request = Request {
                weight,
                ..Request::new(Account::new(account), slice)
            };
            let (id, decisions) = self.queue.arrive(self.now, request);
            self.asked.insert(id, account);
            self.start(&decisions);
            id
        }

        fn start(&mut self, decisions: &[(RequestId, Verdict)]) {
            for (id, verdict) in decisions {
                assert_eq!(*verdict, Verdict::Admitted);
                self.running.push((self.asked[id], *id));
            }
        }

        /// What runs ends after `ms`. Whose it was.
        fn end(&mut self, ms: u64) -> u64 {
            let (account, id) = self.running.remove(0);
            self.now += Duration::from_millis(ms);
            let decisions = self.queue.release(self.now, id);
            self.start(&decisions);
            account
        }
    }

    #[test]
    fn accounts_share_by_time_and_weight() {
        let mut machine = Machine::new();
        for account in [1, 2, 3] {
            for _ in 0..200 {
                machine.ask(account, if account == 3 { 2 } else { 1 }, Slice::First);
            }
        }
        let mut had = [0; 4];
        for _ in 0..120 {
            let account = machine.running[0].0;
            // Work of the second one takes three times as long.
            let ms = if account == 2 { 30 } else { 10 };
            machine.end(ms);
            had[account as usize] += ms;
        }
        assert!(
            had[1].abs_diff(had[2]) <= 40 && had[3].abs_diff(2 * had[1]) <= 40,
            "{had:?}"
        );
    }

    #[test]
    fn idle_time_is_not_saved_and_debts_are_not_forgotten() {
        let mut machine = Machine::new();
        for _ in 0..100 {
            machine.ask(1, 1, Slice::First);
        }
        for _ in 0..50 {
            machine.end(10);
        }
        // It waits for what runs, and not for what came before it; then both take turns.
        for _ in 0..10 {
            machine.ask(2, 1, Slice::First);
        }
        let order: Vec<u64> = (0..6).map(|_| machine.end(10)).collect();
        assert_eq!(order, [1, 2, 1, 2, 1, 2]);
        // One long piece of work is paid for by waiting, also after a pause.
        let mut machine = Machine::new();
        machine.ask(1, 1, Slice::First);
        machine.ask(2, 1, Slice::First);
        assert_eq!((machine.end(1000), machine.end(10)), (1, 2));
        machine.ask(2, 1, Slice::First);
        machine.ask(1, 1, Slice::First);
        for _ in 0..20 {
            machine.ask(2, 1, Slice::First);
        }
        assert!((0..20).all(|_| machine.end(10) == 2));
    }

    #[test]
    fn work_that_has_begun_is_finished_before_the_next() {
        let mut machine = Machine::new();
        machine.ask(1, 1, Slice::First);
        machine.ask(1, 1, Slice::First);
        let further = machine.ask(1, 1, Slice::Further);
        machine.end(10);
        assert_eq!(machine.running, [(1, further)]);
    }
}
