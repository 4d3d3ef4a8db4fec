//! The order of the accounts: by virtual time, which is what an account was served, divided by its weight. Source: "Fairness in
//! Serving Large Language Models" (Sheng et al., 2024), with rows of engine steps for tokens.

use crate::sequence::SequenceId;
use riad_core::Account;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug)]
pub(crate) struct AccountState {
    weight: f64,
    pub time: f64,
    pub waiting: VecDeque<SequenceId>,
    pub running: BTreeSet<SequenceId>,
}

#[derive(Debug, Default)]
pub(crate) struct Accounts {
    active: BTreeMap<Account, AccountState>,
    /// Times of accounts that have nothing in the batch, as long as they are ahead of the others: leaving and coming back gains
    /// nothing.
    ahead: BTreeMap<Account, f64>,
}

impl Accounts {
    pub fn get_mut(&mut self, account: Account) -> Option<&mut AccountState> {
        self.active.get_mut(&account)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Account, &AccountState)> {
        self.active.iter()
    }

    pub fn values(&self) -> impl Iterator<Item = &AccountState> {
        self.active.values()
    }

    /// Adds a waiting sequence. An account that had none begins at the least time of the others: idling earns no credit.
    pub fn add(&mut self, account: Account, weight: u32, id: SequenceId) {
        let floor = self.floor();
        let ahead = self.ahead.remove(&account);
        let state = self.active.entry(account).or_insert_with(|| AccountState {
            weight: 1.0,
            time: ahead.map_or(floor, |time| time.max(floor)),
            waiting: VecDeque::new(),
            running: BTreeSet::new(),
        });
        state.weight = f64::from(weight.max(1));
        state.waiting.push_back(id);
    }

    fn floor(&self) -> f64 {
        let least = self.active.values().map(|state| state.time).reduce(f64::min);
        least.unwrap_or(0.0)
    }

    pub fn charge(&mut self, account: Account, cost: f64) {
        if let Some(state) = self.active.get_mut(&account) {
            state.time += cost / state.weight;
        }
    }

    pub fn remove(&mut self, account: Account, id: SequenceId) {
        let Some(state) = self.active.get_mut(&account) else {
            return;
        };
        state.running.remove(&id);
        state.waiting.retain(|waiting| *waiting != id);
        if state.running.is_empty() && state.waiting.is_empty() {
            let time = state.time;
            self.active.remove(&account);
            if self.active.is_empty() {
                // Nobody is left whom anybody could be ahead of.
                self.ahead.clear();
                return;
            }
            self.ahead.insert(account, time);
            let floor = self.floor();
            self.ahead.retain(|_, time| *time > floor);
        }
    }

    /// The account with the least time of those that `wants` accepts.
    pub fn least(&self, wants: impl Fn(Account, &AccountState) -> bool) -> Option<Account> {
        self.active
            .iter()
            .filter(|(account, state)| wants(**account, state))
            .min_by(|(_, one), (_, other)| one.time.total_cmp(&other.time))
            .map(|(account, _)| *account)
    }
}
