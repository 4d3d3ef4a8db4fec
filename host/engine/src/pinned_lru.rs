//! An LRU cache by bytes (`resources::RESIDENT_ADAPTERS`) whose entries stay while they are in use, and of which an account's pinned ones
//! are evicted last. Not here: what is cached.

use riad_core::{Account, Digest, ports::AdapterCounts};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

#[derive(Debug)]
pub(crate) struct PinnedLru<T> {
    entries: HashMap<Digest, Entry<T>>,
    /// What accounts want to stay.
    pins: HashMap<Account, HashSet<Digest>>,
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
            pins: HashMap::new(),
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

    /// Whether it is there; no use of it.
    pub fn contains(&self, key: &Digest) -> bool {
        self.entries.contains_key(key)
    }

    /// Pins these entries for an account, and no others. Pins need not be in the cache yet.
    pub fn pin(&mut self, account: Account, keys: HashSet<Digest>) {
        match keys.is_empty() {
            true => self.pins.remove(&account),
            false => self.pins.insert(account, keys),
        };
    }

    /// Whether so many bytes more are within the budget.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.bytes().saturating_add(bytes) <= self.budget_bytes
    }

    /// Keeps `value`, and evicts entries that are not in use until the budget is met: of the account that keeps the most bytes, the least
    /// recently used first, pinned ones last, and this one not at all. So an account that loads one adapter after the other evicts its own.
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
            let protected = self.protected();
            let of_account: HashMap<_, _> = self.bytes_by_account().into_iter().collect();
            // What several accounts use is as safe as it is for the one that keeps the least.
            let kept = |entry: &Entry<T>| {
                entry
                    .accounts
                    .iter()
                    .filter_map(|account| of_account.get(account))
                    .min()
            };
            let idle = self
                .entries
                .iter()
                .filter(|(other, entry)| **other != key && Arc::strong_count(&entry.value) == 1);
            let first = idle.min_by_key(|(key, entry)| (protected.contains(*key), Reverse(kept(entry)), entry.used));
            let Some(first) = first.map(|(key, _)| *key) else { break };
            self.entries.remove(&first);
            self.evictions += 1;
        }
    }

    /// Pinned entries, of at most half of the budget together, so that enough is left to everybody else: beyond it the account that has the
    /// most pinned loses the protection of those it used least recently.
    fn protected(&self) -> HashSet<Digest> {
        let mut pinned: BTreeMap<Account, Vec<(u64, Digest, u64)>> = BTreeMap::new();
        for (account, pins) in &self.pins {
            let entries = pins.iter().filter_map(|key| Some((*key, self.entries.get(key)?)));
            let mut entries: Vec<_> = entries.map(|(key, entry)| (entry.used, key, entry.bytes)).collect();
            entries.sort_unstable();
            pinned.insert(*account, entries);
        }
        let bytes = |entries: &[(u64, Digest, u64)]| entries.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
        while pinned.values().map(|entries| bytes(entries)).sum::<u64>() > self.budget_bytes / 2
            && let Some(most) = pinned.values_mut().max_by_key(|entries| bytes(entries))
        {
            most.remove(0);
        }
        pinned.into_values().flatten().map(|(_, key, _)| key).collect()
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
    fn an_account_that_loads_many_evicts_its_own() {
        let mut cache = PinnedLru::new(40);
        let (quiet, busy) = (account(1), account(2));
        cache.insert(key(0), quiet, Arc::new(0), 10);
        for n in 1..20 {
            cache.insert(key(n), busy, Arc::new(n), 15);
            assert!(cache.contains(&key(0)) && cache.bytes() <= 40);
        }
        // Nor does the quiet one lose what it has for its second.
        cache.insert(key(20), quiet, Arc::new(20), 10);
        assert!(cache.contains(&key(0)) && cache.contains(&key(20)));
    }

    #[test]
    fn an_accounts_pins_outlive_what_others_use_later() {
        let mut cache = PinnedLru::new(40);
        let (one, two) = (account(1), account(2));
        cache.pin(one, HashSet::from([key(1)]));
        cache.insert(key(1), one, Arc::new(1), 20);
        for n in 2..9 {
            cache.insert(key(n), two, Arc::new(n), 10);
            assert!(cache.bytes() <= 40, "pins count within the budget");
        }
        assert!(cache.has_room(0) && !cache.has_room(1));
        assert!(cache.get(&key(1), one).is_some());
        // No longer pinned, it goes like any other.
        cache.pin(one, HashSet::new());
        for n in 2..6 {
            cache.insert(key(n), one, Arc::new(n), 10);
        }
        assert!(cache.get(&key(1), one).is_none());
    }

    #[test]
    fn pins_beyond_half_of_the_budget_hold_no_more() {
        let mut cache = PinnedLru::new(40);
        let (one, two) = (account(1), account(2));
        cache.pin(one, HashSet::from([key(1), key(2)]));
        cache.insert(key(1), one, Arc::new(1), 20);
        cache.insert(key(2), one, Arc::new(2), 20);
        cache.insert(key(3), two, Arc::new(3), 20);
        // The older one went; the other is within half of the budget again.
        assert!(cache.get(&key(1), one).is_none());
        cache.get(&key(3), two);
        cache.insert(key(4), two, Arc::new(4), 20);
        assert!(cache.get(&key(2), one).is_some() && cache.get(&key(3), two).is_none());
    }

    #[test]
    fn whoever_pins_the_most_loses_it_and_others_do_not() {
        let mut cache = PinnedLru::new(40);
        let (one, two, three) = (account(1), account(2), account(3));
        cache.pin(one, HashSet::from([key(1)]));
        cache.pin(two, HashSet::from([key(2), key(3)]));
        for (number, owner) in [(1, one), (2, two), (3, two)] {
            cache.insert(key(number), owner, Arc::new(number), 10);
        }
        for number in 4..9 {
            cache.insert(key(number), three, Arc::new(number), 10);
        }
        let there = [1, 2, 3].map(|number| cache.contains(&key(number)));
        assert_eq!(there, [true, false, true]);
        // Nothing else is left to be evicted: pinned ones go too, and the budget is kept.
        let held = Arc::new(9);
        cache.insert(key(9), three, held.clone(), 40);
        assert_eq!((cache.counts().resident, cache.bytes()), (1, 40));
    }

    #[test]
    fn entries_in_use_stay_beyond_the_budget() {
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
        // Now the third has the most, and loses it, although the first entry was used before.
        cache.insert(key(2), two, Arc::new(2), 25);
        assert_eq!(cache.bytes_by_account(), [(one, 10), (two, 35)]);
    }
}
