//! What stays in memory: an LRU by bytes whose entries are pinned while somebody holds them. Not here: what is kept.

use riad_core::{Digest, ports::AdapterCounts};
use std::{collections::HashMap, sync::Arc};

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

    pub fn get(&mut self, key: &Digest) -> Option<Arc<T>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Keeps `value`, and lets go of the least recently used that nobody holds until the budget is met.
    pub fn insert(&mut self, key: Digest, value: Arc<T>, bytes: u64) {
        self.clock += 1;
        self.loads += 1;
        self.entries.insert(
            key,
            Entry {
                value,
                bytes,
                used: self.clock,
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

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut residents = Residents::new(20);
        residents.insert(key(1), Arc::new(1), 10);
        residents.insert(key(2), Arc::new(2), 10);
        residents.get(&key(1));
        residents.insert(key(3), Arc::new(3), 10);
        assert!(residents.get(&key(2)).is_none());
        assert!(residents.get(&key(1)).is_some() && residents.get(&key(3)).is_some());
        assert_eq!(residents.counts().evictions, 1);
    }

    #[test]
    fn what_is_held_stays_beyond_the_budget() {
        let mut residents = Residents::new(10);
        let held = Arc::new(1);
        residents.insert(key(1), held.clone(), 10);
        let other = Arc::new(2);
        residents.insert(key(2), other.clone(), 10);
        assert_eq!(residents.counts().resident_bytes, 20);
        drop((held, other));
        residents.insert(key(3), Arc::new(3), 10);
        assert_eq!((residents.counts().resident, residents.counts().loads), (1, 3));
        assert!(residents.get(&key(3)).is_some());
    }
}
