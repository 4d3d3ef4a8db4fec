//! The accounts whose pinned adapters the engine knows. It forgets them when the process ends; the rooms do not.

use parking_lot::Mutex;
use riad_core::Account;
use std::collections::HashSet;

#[derive(Default)]
pub(crate) struct PinnedAccounts(Mutex<HashSet<Account>>);

impl PinnedAccounts {
    pub fn contains(&self, account: Account) -> bool {
        self.0.lock().contains(&account)
    }

    pub fn insert(&self, account: Account) {
        self.0.lock().insert(account);
    }

    pub fn remove(&self, account: Account) {
        self.0.lock().remove(&account);
    }
}
