//! Idempotency keys whose request this process is answering.

use parking_lot::Mutex;
use riad_core::Account;
use std::collections::HashSet;

#[derive(Default)]
pub(crate) struct InFlightKeys(Mutex<HashSet<(Account, String)>>);

impl InFlightKeys {
    /// False if a request with this key is being answered already.
    pub fn insert(&self, account: Account, key: &str) -> bool {
        self.0.lock().insert((account, key.to_owned()))
    }

    pub fn remove(&self, account: Account, key: String) {
        self.0.lock().remove(&(account, key));
    }
}
