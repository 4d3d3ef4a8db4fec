//! What stays in memory: an LRU by bytes whose entries are pinned while somebody holds them. Not here: what is kept.

use riad_core::{Account, Digest, ports::AdapterCounts};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

#[derive(Debug)]
pub(crate) struct Residents<T> {
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
    /// Who used it since it was loaded.
    accounts: BTreeSet<Account>,
}

impl<T> Residents<T> {
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

    /// Keeps `value`, and lets go of the least recently used that nobody holds until the budget is met.
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

    /// Bytes that each account keeps in memory; what several use counts for each.
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
    fn the_least_recently_used_goes_first() {
        let mut residents = Residents::new(20);
        let someone = account(1);
        residents.insert(key(1), someone, Arc::new(1), 10);
        residents.insert(key(2), someone, Arc::new(2), 10);
        residents.get(&key(1), someone);
        residents.insert(key(3), someone, Arc::new(3), 10);
        assert!(residents.get(&key(2), someone).is_none());
        assert!(residents.get(&key(1), someone).is_some() && residents.get(&key(3), someone).is_some());
        assert_eq!(residents.counts().evictions, 1);
    }

    #[test]
    fn what_is_held_stays_beyond_the_budget() {
        let mut residents = Residents::new(10);
        let someone = account(1);
        let held = Arc::new(1);
        residents.insert(key(1), someone, held.clone(), 10);
        let other = Arc::new(2);
        residents.insert(key(2), someone, other.clone(), 10);
        assert_eq!(residents.counts().resident_bytes, 20);
        drop((held, other));
        residents.insert(key(3), someone, Arc::new(3), 10);
        assert_eq!((residents.counts().resident, residents.counts().loads), (1, 3));
        assert!(residents.get(&key(3), someone).is_some());
    }

    #[test]
    fn each_account_has_what_it_used_until_it_is_evicted() {
        let mut residents = Residents::new(40);
        let (one, two, three) = (account(1), account(2), account(3));
        residents.insert(key(1), one, Arc::new(1), 10);
        residents.insert(key(2), one, Arc::new(2), 25);
        assert_eq!(residents.bytes_by_account(), [(one, 35)]);
        residents.get(&key(1), two);
        residents.get(&key(1), two);
        assert!(residents.get(&key(9), three).is_none());
        assert_eq!(residents.bytes_by_account(), [(one, 35), (two, 10)]);
        // Evicts the second, and who used it is forgotten with it.
        residents.insert(key(3), three, Arc::new(3), 30);
        assert_eq!(residents.bytes_by_account(), [(one, 10), (two, 10), (three, 30)]);
        residents.insert(key(2), two, Arc::new(2), 25);
        assert_eq!(residents.bytes_by_account(), [(two, 25)]);
    }
}
