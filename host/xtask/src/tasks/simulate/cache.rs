//! The adapters in one memory of one worker: least recently used by bytes. What is in use stays, beyond the capacity if it must, as in
//! Riad's engine.

use lru::LruCache;

/// Where an adapter came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The engine's own memory.
    Engine,
    /// The memory of the engine's machine.
    Host,
    /// The object store.
    Store,
}

pub struct Cache {
    entries: LruCache<u32, Entry>,
    bytes: u64,
    capacity: u64,
}

struct Entry {
    bytes: u64,
    /// Requests that use it.
    uses: u32,
    /// When it can be used.
    ready: f64,
    from: Tier,
}

impl Cache {
    pub fn new(capacity: u64) -> Self {
        Self {
            entries: LruCache::unbounded(),
            bytes: 0,
            capacity,
        }
    }

    /// When the tenant's adapter can be used and where it comes from, if it is here or on its way. It is now the most recently used.
    pub fn touch(&mut self, tenant: u32) -> Option<(f64, Tier)> {
        self.entries.get(&tenant).map(|entry| (entry.ready, entry.from))
    }

    /// Names in `evicted` what leaves for it.
    pub fn insert(&mut self, tenant: u32, bytes: u64, ready: f64, from: Tier, evicted: &mut Vec<u32>) {
        let entry = Entry {
            bytes,
            uses: 0,
            ready,
            from,
        };
        self.bytes += bytes;
        // At most once around: everything may be in use.
        for _ in 0..self.entries.len() {
            if self.bytes <= self.capacity {
                break;
            }
            let Some((oldest, entry)) = self.entries.pop_lru() else {
                break;
            };
            if entry.uses > 0 {
                self.entries.push(oldest, entry);
            } else {
                self.bytes -= entry.bytes;
                evicted.push(oldest);
            }
        }
        self.entries.push(tenant, entry);
    }

    /// Whether it is the adapter's first use.
    pub fn use_once(&mut self, tenant: u32) -> bool {
        self.entries.peek_mut(&tenant).is_some_and(|entry| {
            entry.uses += 1;
            entry.uses == 1
        })
    }

    /// Whether it was the adapter's last use.
    pub fn end_use(&mut self, tenant: u32) -> bool {
        self.entries.peek_mut(&tenant).is_some_and(|entry| {
            entry.uses -= 1;
            entry.uses == 0
        })
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The most recently used first.
    pub fn tenants(&self) -> Vec<u32> {
        self.entries.iter().map(|(tenant, _)| *tenant).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Tier};

    fn insert(cache: &mut Cache, tenant: u32, bytes: u64) -> Vec<u32> {
        let mut evicted = Vec::new();
        cache.insert(tenant, bytes, 0.0, Tier::Store, &mut evicted);
        evicted
    }

    #[test]
    fn the_least_recently_used_bytes_leave() {
        let mut cache = Cache::new(10);
        assert!(insert(&mut cache, 1, 4).is_empty());
        assert!(insert(&mut cache, 2, 4).is_empty());
        assert!(cache.touch(1).is_some());
        assert_eq!(insert(&mut cache, 3, 4), [2]);
        assert_eq!(insert(&mut cache, 4, 9), [1, 3]);
        assert!(cache.touch(2).is_none());
        assert_eq!(cache.tenants(), [4]);
        cache.clear();
        assert!(insert(&mut cache, 5, 10).is_empty());
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut cache = Cache::new(10);
        insert(&mut cache, 1, 6);
        assert!(cache.use_once(1));
        assert!(!cache.use_once(1));
        assert!(insert(&mut cache, 2, 6).is_empty());
        assert!(!cache.end_use(1));
        assert!(cache.end_use(1));
        assert_eq!(insert(&mut cache, 3, 1), [1]);
    }
}
