//! Keys, tenants and the operator's hash in memory, so that a request is authenticated without asking the disk.
//!
//! Nothing here outlives a change: whoever changes a key or a tenant calls [`KeyCache::forget`] under the writer's lock, after the commit
//! and before the change is answered. What is not here may exist all the same.

use lru::LruCache;
use parking_lot::Mutex;
use riad_core::{TenantId, pass::KeyHash, ports::KeyRecord, tenant::Tenant};
use std::{num::NonZeroUsize, sync::Arc};

/// Keys, and as many tenants: some 1 KB each (`resources::KEYS_IN_MEMORY`).
const ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

pub(crate) struct KeyCache(Mutex<State>);

struct State {
    keys: LruCache<KeyHash, CachedKey>,
    tenants: LruCache<TenantId, Arc<Tenant>>,
    operator: Option<KeyHash>,
    /// Changes with every change of a key or a tenant.
    epoch: u64,
}

#[derive(Clone)]
pub(crate) struct CachedKey {
    /// Of its row.
    pub number: i64,
    pub last_used: Option<u64>,
    pub key: Arc<KeyRecord>,
}

/// When a look-up in the database began. What it found is not kept if anything has changed since: it may be older than the change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Default for KeyCache {
    fn default() -> Self {
        Self(Mutex::new(State {
            keys: LruCache::new(ENTRIES),
            tenants: LruCache::new(ENTRIES),
            operator: None,
            epoch: 0,
        }))
    }
}

impl KeyCache {
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.0.lock().epoch)
    }

    /// The key with this hash, unless it has expired.
    pub(crate) fn key(&self, hash: &KeyHash, now: u64) -> Option<CachedKey> {
        let mut state = self.0.lock();
        let found = state.keys.get(hash)?.clone();
        if found.key.expires.is_some_and(|end| end <= now) {
            state.keys.pop(hash);
            return None;
        }
        Some(found)
    }

    pub(crate) fn put_key(&self, began: Epoch, hash: KeyHash, key: CachedKey) {
        self.put(began, |state| {
            state.keys.put(hash, key);
        });
    }

    pub(crate) fn note_use(&self, hash: &KeyHash, now: u64) {
        if let Some(found) = self.0.lock().keys.get_mut(hash) {
            found.last_used = Some(now);
        }
    }

    pub(crate) fn tenant(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.lock().tenants.get(id).cloned()
    }

    pub(crate) fn put_tenant(&self, began: Epoch, tenant: Arc<Tenant>) {
        self.put(began, |state| {
            state.tenants.put(tenant.id.clone(), tenant);
        });
    }

    pub(crate) fn operator(&self) -> Option<KeyHash> {
        self.0.lock().operator
    }

    pub(crate) fn put_operator(&self, began: Epoch, hash: KeyHash) {
        self.put(began, |state| state.operator = Some(hash));
    }

    /// Forgets a tenant and its keys.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.tenants.pop(tenant);
        let hashes: Vec<KeyHash> = state
            .keys
            .iter()
            .filter(|(_, cached)| cached.key.tenant == *tenant)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in hashes {
            state.keys.pop(&hash);
        }
    }

    pub(crate) fn forget_operator(&self) {
        let mut state = self.0.lock();
        state.epoch += 1;
        state.operator = None;
    }

    fn put(&self, began: Epoch, put: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        if Epoch(state.epoch) == began {
            put(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Account, policy::Policy};

    fn tenant(id: &str) -> Arc<Tenant> {
        Arc::new(Tenant {
            id: id.parse().unwrap(),
            account: Account::new(1),
            name: id.into(),
            created: 1,
            policy: Policy::default(),
            succeeds: false,
        })
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let cache = KeyCache::default();
        let acme = tenant("acme");
        let began = cache.epoch();
        // The look-up has read the old row; the change is committed and answered before it is kept.
        cache.forget(&acme.id);
        cache.put_tenant(began, acme.clone());
        assert_eq!(cache.tenant(&acme.id), None);
        cache.put_operator(began, [1; 32]);
        assert_eq!(cache.operator(), None);

        let began = cache.epoch();
        cache.put_tenant(began, acme.clone());
        cache.put_tenant(began, tenant("globex"));
        cache.put_operator(began, [1; 32]);
        cache.forget(&acme.id);
        assert_eq!(cache.tenant(&acme.id), None);
        assert!(cache.tenant(&"globex".parse().unwrap()).is_some());
        assert_eq!(cache.operator(), Some([1; 32]));
        cache.forget_operator();
        assert_eq!(cache.operator(), None);
    }
}
