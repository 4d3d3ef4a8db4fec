//! An LRU cache by bytes whose entries are pinned while they are in use. Not here: what is cached.

use riad_core::{Account, Digest, ports::AdapterCounts};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

#[derive(Debug)]
pub(crate) struct PinnedLru<T> {
    entries: HashMap<Digest, Entry<T>>,
    budget_bytes: u64,
    clock: u64,
    loads: u64,
    evictions: u64,
}

#[derive(Debug)]
struct Entry<T> {
    value: Arc<T>,
    bytes: u64,
    used: u64,
    /// Accounts that used it since it was loaded.
    accounts: BTreeSet<Account>,
}

impl<T> PinnedLru<T> {
    pub fn new(budget_bytes: u64) -> Self {
        Self {
            entries: HashMap::new(),
            budget_bytes,
            clock: 0,
            loads: 0,
            evictions: 0,
        }
    }

    pub fn get(&mut self, key: &Digest, account: Account) -> Option<Arc<T>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        entry.accounts.insert(account);
        Some(entry.value.clone())
    }

    /// Keeps `value`, and evicts the least recently used entries that are not in use until the budget is met.
    pub fn insert(&mut self, key: Digest, account: Account, value: Arc<T>, bytes: u64) {
        self.clock += 1;
        self.loads += 1;
        self.entries.insert(
            key,
            Entry {
                value,
                bytes,
                used: self.clock,
                accounts: BTreeSet::from([account]),
            },
        );
        while self.bytes() > self.budget_bytes {
            let oldest = self
                .entries
                .iter()
                .filter(|(_, entry)| Arc::strong_count(&entry.value) == 1)
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            self.entries.remove(&oldest);
            self.evictions += 1;
        }
    }

    pub fn counts(&self) -> AdapterCounts {
        AdapterCounts {
            resident: self.entries.len(),
            resident_bytes: usize::try_from(self.bytes()).unwrap_or(usize::MAX),
            loads: self.loads,
            evictions: self.evictions,
        }
    }

    /// Bytes that each account keeps in memory; an entry that several use counts for each.
    pub fn bytes_by_account(&self) -> Vec<(Account, u64)> {
        let mut bytes = BTreeMap::new();
        for entry in self.entries.values() {
            for account in &entry.accounts {
                *bytes.entry(*account).or_default() += entry.bytes;
            }
        }
        bytes.into_iter().collect()
    }

    fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Digest {
        Digest::of(&[n])
    }

    fn account(n: u64) -> Account {
        Account::new(n)
    }

    #[test]
    fn the_least_recently_used_is_evicted_first() {
        let mut cache = PinnedLru::new(20);
        let someone = account(1);
        cache.insert(key(1), someone, Arc::new(1), 10);
        cache.insert(key(2), someone, Arc::new(2), 10);
        cache.get(&key(1), someone);
        cache.insert(key(3), someone, Arc::new(3), 10);
        assert!(cache.get(&key(2), someone).is_none());
        assert!(cache.get(&key(1), someone).is_some() && cache.get(&key(3), someone).is_some());
        assert_eq!(cache.counts().evictions, 1);
    }

    #[test]
    fn pinned_entries_stay_beyond_the_budget() {
        let mut cache = PinnedLru::new(10);
        let someone = account(1);
        let held = Arc::new(1);
        cache.insert(key(1), someone, held.clone(), 10);
        let other = Arc::new(2);
        cache.insert(key(2), someone, other.clone(), 10);
        assert_eq!(cache.counts().resident_bytes, 20);
        drop((held, other));
        cache.insert(key(3), someone, Arc::new(3), 10);
        assert_eq!((cache.counts().resident, cache.counts().loads), (1, 3));
        assert!(cache.get(&key(3), someone).is_some());
    }

    #[test]
    fn accounts_own_what_they_used_until_its_eviction() {
        let mut cache = PinnedLru::new(40);
        let (one, two, three) = (account(1), account(2), account(3));
        cache.insert(key(1), one, Arc::new(1), 10);
        cache.insert(key(2), one, Arc::new(2), 25);
        assert_eq!(cache.bytes_by_account(), [(one, 35)]);
        cache.get(&key(1), two);
        cache.get(&key(1), two);
        assert!(cache.get(&key(9), three).is_none());
        assert_eq!(cache.bytes_by_account(), [(one, 35), (two, 10)]);
        // Evicts the second, and its accounts with it.
        cache.insert(key(3), three, Arc::new(3), 30);
        assert_eq!(cache.bytes_by_account(), [(one, 10), (two, 10), (three, 30)]);
        cache.insert(key(2), two, Arc::new(2), 25);
        assert_eq!(cache.bytes_by_account(), [(two, 25)]);
    }
}
