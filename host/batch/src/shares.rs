//! Which account is next: virtual time, by rows (`resources::STEP_ROWS`).
//!
//! After Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), at the granularity of quanta of rows. An account's
//! virtual time is the cost of the rows it got, divided by its weight. An account that had no work for a while is lifted to the level, the
//! least virtual time of those that had to wait for rows, so idling earns no credit; what was used while nobody had to wait is owed to nobody.

use crate::{
    cost::least_charge,
    sequence::{Queue, SequenceId},
};
use riad_core::Account;
use std::collections::{BTreeMap, BTreeSet};

/// Accounts that are looked at for a short prompt, so that many of them do not make planning slow.
const PROMPTS_MAX: usize = 64;

/// What accounts are ordered by: the virtual time, then the account.
pub type QueueKey = (u128, Account);

#[derive(Debug, Default)]
struct Share {
    virtual_time: u128,
    weight: u32,
    running: usize,
    /// Rows that its running sequences have yet to compute.
    pending_rows: usize,
    waiting: BTreeSet<(u64, SequenceId)>,
    decoding: BTreeSet<(u64, SequenceId)>,
    prefilling: BTreeSet<(u64, SequenceId)>,
}

/// The virtual time by which an account is found in each order it is in.
#[derive(PartialEq, Eq)]
struct QueueKeys {
    ready: Option<u128>,
    waiting: Option<u128>,
    idle: Option<u128>,
}

#[derive(Debug, Default)]
pub struct Shares {
    accounts: BTreeMap<Account, Share>,
    /// Accounts with sequences that can get rows, by virtual time.
    ready: BTreeSet<QueueKey>,
    /// Accounts with sequences that wait, by the virtual time they will have when the rows of their running ones are computed, so that
    /// one account does not take all places at once.
    waiting: BTreeSet<QueueKey>,
    /// Accounts without sequences that are still ahead of the level, by virtual time: if they come back, they go on from there.
    idle: BTreeSet<QueueKey>,
    level: u128,
    /// The greatest virtual time that was reached in this step.
    reached: u128,
}

impl Share {
    fn has_work(&self) -> bool {
        !self.decoding.is_empty() || !self.prefilling.is_empty()
    }

    fn queue(&mut self, queue: Queue) -> &mut BTreeSet<(u64, SequenceId)> {
        match queue {
            Queue::Decoding => &mut self.decoding,
            Queue::Prefilling => &mut self.prefilling,
        }
    }

    fn queue_keys(&self) -> QueueKeys {
        let at = |present: bool, virtual_time: u128| present.then_some(virtual_time);
        let pending = least_charge(self.pending_rows, self.weight);
        QueueKeys {
            ready: at(self.has_work(), self.virtual_time),
            waiting: at(!self.waiting.is_empty(), self.virtual_time.saturating_add(pending)),
            idle: at(self.running == 0 && self.waiting.is_empty(), self.virtual_time),
        }
    }
}

impl Shares {
    /// A sequence waits to run.
    pub fn wait(&mut self, account: Account, order: u64, id: SequenceId) {
        self.accounts.entry(account).or_insert_with(|| Share {
            virtual_time: self.level,
            weight: 1,
            ..Share::default()
        });
        self.update(account, |share| share.waiting.insert((order, id)));
    }

    /// It waits no more.
    pub fn leave(&mut self, account: Account, order: u64, id: SequenceId) {
        self.update(account, |share| share.waiting.remove(&(order, id)));
    }

    pub fn set_weight(&mut self, account: Account, weight: u32) {
        self.update(account, |share| share.weight = weight.max(1));
    }

    pub fn weight(&self, account: Account) -> u32 {
        self.accounts.get(&account).map_or(1, |share| share.weight)
    }

    pub fn started(&mut self, account: Account) {
        self.update(account, |share| share.running += 1);
    }

    pub fn stopped(&mut self, account: Account) {
        self.update(account, |share| share.running = share.running.saturating_sub(1));
    }

    pub fn change_pending(&mut self, account: Account, before: usize, after: usize) {
        self.update(account, |share| {
            share.pending_rows = (share.pending_rows + after).saturating_sub(before);
        });
    }

    /// A sequence that runs can get rows.
    pub fn enqueue(&mut self, account: Account, queue: Queue, order: u64, id: SequenceId) {
        let level = self.level;
        self.update(account, |share| {
            if !share.has_work() {
                share.virtual_time = share.virtual_time.max(level);
            }
            share.queue(queue).insert((order, id));
        });
    }

    pub fn dequeue(&mut self, account: Account, queue: Queue, order: u64, id: SequenceId) {
        self.update(account, |share| share.queue(queue).remove(&(order, id)));
    }

    /// The sequence that gets the next quantum: of the account with the least virtual time, the decoding one that was served
    /// longest ago, else the oldest one that is prefilled.
    pub fn next(&self) -> Option<(Account, SequenceId)> {
        let (_, account) = self.ready.first()?;
        let share = self.accounts.get(account)?;
        let (_, id) = share.decoding.first().or_else(|| share.prefilling.first())?;
        Some((*account, *id))
    }

    /// The oldest prompts of the accounts whose virtual time is at most `lead` after the least one, and that last possible time. Of many
    /// accounts, those with the least.
    pub fn next_prompts(&self, lead: u128) -> (u128, impl Iterator<Item = (u128, SequenceId)>) {
        let least = self.ready.first().map_or(0, |(least, _)| *least);
        let until = least.saturating_add(lead);
        let ready = self
            .ready
            .iter()
            .take(PROMPTS_MAX)
            .take_while(move |key| key.0 <= until);
        let prompts = ready.filter_map(|(virtual_time, account)| {
            let (_, id) = self.accounts.get(account)?.prefilling.first()?;
            Some((*virtual_time, *id))
        });
        (until, prompts)
    }

    /// The first account after `after` that has a sequence that waits, and its first one.
    pub fn next_waiting(&self, after: Option<QueueKey>) -> Option<(QueueKey, SequenceId)> {
        let key = match after {
            None => self.waiting.first()?,
            Some(after) => {
                let from = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
                self.waiting.range(from).next()?
            }
        };
        let (_, id) = self.accounts.get(&key.1)?.waiting.first()?;
        Some((*key, *id))
    }

    pub fn charge(&mut self, account: Account, charge: u128) {
        let mut reached = 0;
        self.update(account, |share| {
            share.virtual_time = share.virtual_time.saturating_add(charge);
            reached = share.virtual_time;
        });
        self.reached = self.reached.max(reached);
    }

    /// Rows that were charged will not be computed.
    pub fn refund(&mut self, account: Account, charge: u128) {
        self.update(account, |share| {
            share.virtual_time = share.virtual_time.saturating_sub(charge);
        });
    }

    /// A step is planned: raises the level, which never falls.
    pub fn close_step(&mut self) {
        let ahead = self.idle.last().map_or(0, |(most, _)| *most);
        let nobody_waits = self.reached.max(ahead);
        let level = self.ready.first().map_or(nobody_waits, |(least, _)| *least);
        self.level = self.level.max(level);
        self.reached = 0;
        while let Some((virtual_time, account)) = self.idle.first().copied()
            && virtual_time <= self.level
        {
            self.idle.pop_first();
            self.accounts.remove(&account);
        }
    }

    /// Every change of an account goes through here, so that it is found where it belongs.
    fn update<R>(&mut self, account: Account, change: impl FnOnce(&mut Share) -> R) {
        let Some(share) = self.accounts.get_mut(&account) else {
            return;
        };
        let before = share.queue_keys();
        change(share);
        let after = share.queue_keys();
        if before == after {
            return;
        }
        relocate(&mut self.ready, account, before.ready, after.ready);
        relocate(&mut self.waiting, account, before.waiting, after.waiting);
        relocate(&mut self.idle, account, before.idle, after.idle);
    }

    #[cfg(test)]
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }
}

fn relocate(order: &mut BTreeSet<QueueKey>, account: Account, before: Option<u128>, after: Option<u128>) {
    if before == after {
        return;
    }
    if let Some(virtual_time) = before {
        order.remove(&(virtual_time, account));
    }
    if let Some(virtual_time) = after {
        order.insert((virtual_time, account));
    }
}
