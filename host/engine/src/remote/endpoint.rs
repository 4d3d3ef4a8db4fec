//! One server: where it is, how it is, and what it has. Not here: which one is asked (`fleet`).

use super::adapters::SharedAdapter;
use parking_lot::Mutex;
use reqwest::Url;
use riad_core::{Account, Digest, Error, Result};
use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Failures in a row after which a server is asked nothing for a while.
const FAILURES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Endpoint {
    pub completions: Url,
    pub models: Url,
    pub load_adapter: Url,
    pub unload_adapter: Url,
    /// For the log: host and port.
    pub name: String,
    /// Held while it loads or unloads an adapter, or tells which it has.
    pub loading: Arc<tokio::sync::Mutex<()>>,
    /// Told when an adapter may go.
    freed: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_flight: usize,
    failures: u32,
    paused_until: Option<Instant>,
    /// Whether it did not answer when it was asked last.
    is_silent: bool,
    loaded: HashMap<String, Loaded>,
    clock: u64,
    loads: u64,
    evictions: u64,
}

struct Loaded {
    account: Account,
    generation: Digest,
    used: u64,
    /// Has a clone in each lease of it.
    uses: Arc<()>,
    files: Arc<SharedAdapter>,
}

impl Loaded {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.uses) == 1
    }
}

/// A server's place for a generation, or a hold on an adapter, given back when it is dropped.
pub(super) struct Lease {
    pub endpoint: Arc<Endpoint>,
    adapter_use: Option<Arc<()>>,
    is_generation: bool,
}

/// An adapter that a server is to unload.
pub(super) struct Evicted {
    pub name: String,
    _files: Arc<SharedAdapter>,
}

/// How many adapters it has, and of what.
pub(super) struct Adapters {
    pub bytes: Vec<(Account, u64)>,
    pub loads: u64,
    pub evictions: u64,
}

impl Endpoint {
    /// # Errors
    /// `InvalidRequest` if the base is no URL of a server.
    pub fn new(base: &str, freed: Arc<Notify>) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "engine.endpoints: {base:?} must be the base of an OpenAI-compatible API, as in http://gpu-1:8000/v1, without key, query \
                 and fragment"
            ))
            .with_param("engine.endpoints")
        };
        let url: Url = base.parse().map_err(|_| wrong())?;
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(wrong());
        }
        let below = |name: &str| {
            let mut url = url.clone();
            url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().push(name);
            Ok::<_, Error>(url)
        };
        Ok(Self {
            completions: below("completions")?,
            models: below("models")?,
            load_adapter: below("load_lora_adapter")?,
            unload_adapter: below("unload_lora_adapter")?,
            name: format!(
                "{}:{}",
                url.host_str().unwrap_or_default(),
                url.port_or_known_default().unwrap_or_default()
            ),
            loading: Arc::default(),
            freed,
            state: Mutex::default(),
        })
    }

    pub fn in_flight(&self) -> usize {
        self.state.lock().in_flight
    }

    pub fn is_well(&self) -> bool {
        let state = self.state.lock();
        !state.is_silent && state.paused_until.is_none_or(|until| until <= Instant::now())
    }

    pub fn has(&self, adapter: &str) -> bool {
        self.state.lock().loaded.contains_key(adapter)
    }

    /// A place for a generation of the base model.
    pub fn begin(self: &Arc<Self>) -> Lease {
        let lease = Lease {
            endpoint: Arc::clone(self),
            adapter_use: None,
            is_generation: false,
        };
        lease.begin()
    }

    /// A hold on an adapter, if it is there.
    pub fn hold(self: &Arc<Self>, adapter: &str) -> Option<Lease> {
        let adapter_use = self.state.lock().hold(adapter)?;
        Some(Lease {
            endpoint: Arc::clone(self),
            adapter_use: Some(adapter_use),
            is_generation: false,
        })
    }

    /// It does not have the adapter, whatever it was thought to have.
    pub fn forget(&self, adapter: &str) {
        let forgotten = self.state.lock().loaded.remove(adapter);
        drop(forgotten);
    }

    pub fn count(&self) -> usize {
        self.state.lock().loaded.len()
    }

    pub fn insert(&self, name: String, account: Account, generation: Digest, files: Arc<SharedAdapter>) {
        let mut state = self.state.lock();
        state.clock += 1;
        state.loads += 1;
        let used = state.clock;
        state.loaded.insert(
            name,
            Loaded {
                account,
                generation,
                used,
                uses: Arc::default(),
                files,
            },
        );
    }

    /// Takes out an adapter that nobody uses: of the account that has the most here, the one that was used longest ago; protected ones last.
    /// With its files, which stay until the server has unloaded it. `None`: all are in use.
    pub fn take_oldest(&self, is_pinned: impl Fn(Account, &Digest) -> bool, most_protected: usize) -> Option<Evicted> {
        let mut state = self.state.lock();
        let mut pinned: Vec<_> = state
            .loaded
            .iter()
            .filter(|(_, loaded)| is_pinned(loaded.account, &loaded.generation))
            .map(|(name, loaded)| (Reverse(loaded.used), name.clone()))
            .collect();
        pinned.sort_unstable();
        pinned.truncate(most_protected);
        let is_protected = |name: &String| pinned.iter().any(|(_, protected)| protected == name);
        let mut counts = HashMap::<Account, usize>::new();
        for loaded in state.loaded.values() {
            *counts.entry(loaded.account).or_default() += 1;
        }
        let idle = state.loaded.iter().filter(|(_, loaded)| loaded.is_idle());
        let oldest = idle.min_by_key(|(name, loaded)| {
            (
                is_protected(name),
                Reverse(counts.get(&loaded.account).copied()),
                loaded.used,
            )
        });
        let name = oldest?.0.clone();
        let files = state.loaded.remove(&name)?.files;
        state.evictions += 1;
        Some(Evicted { name, _files: files })
    }

    /// It answered, and has these models. Adapters that it lost, as in a restart, are loaded again when they are needed.
    pub fn answered(&self, models: &HashSet<String>) {
        let mut state = self.state.lock();
        if state.is_silent {
            tracing::info!(server = self.name, "a model server answers again");
        }
        state.is_silent = false;
        let lost: Vec<_> = state.loaded.extract_if(|name, _| !models.contains(name)).collect();
        // Their files are removed without the lock.
        drop(state);
        drop(lost);
    }

    pub fn is_silent(&self, why: &str) {
        let mut state = self.state.lock();
        if !state.is_silent {
            tracing::warn!(server = self.name, why, "a model server is not asked");
        }
        state.is_silent = true;
    }

    pub fn succeeded(&self) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.paused_until = None;
    }

    /// After some in a row it is left alone for a while, longer each time.
    pub fn failed(&self, why: &str) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        tracing::warn!(
            server = self.name,
            why,
            failures = state.failures,
            "a model server failed"
        );
        if let Some(doublings) = state.failures.checked_sub(FAILURES) {
            let pause = FIRST_PAUSE.saturating_mul(1 << doublings.min(16)).min(LONGEST_PAUSE);
            state.paused_until = Instant::now().checked_add(pause);
        }
    }

    pub fn adapters(&self) -> Adapters {
        let state = self.state.lock();
        Adapters {
            bytes: state
                .loaded
                .values()
                .map(|loaded| (loaded.account, loaded.files.bytes))
                .collect(),
            loads: state.loads,
            evictions: state.evictions,
        }
    }
}

impl Lease {
    /// Makes a hold on an adapter a place for a generation with it.
    pub fn begin(mut self) -> Self {
        self.endpoint.state.lock().in_flight += 1;
        self.is_generation = true;
        self
    }
}

impl State {
    fn hold(&mut self, name: &str) -> Option<Arc<()>> {
        self.clock += 1;
        let loaded = self.loaded.get_mut(name)?;
        loaded.used = self.clock;
        Some(Arc::clone(&loaded.uses))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.state.lock().in_flight -= usize::from(self.is_generation);
        if self.adapter_use.take().is_some() {
            self.endpoint.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_below_the_base() {
        for base in ["http://gpu-1:8000/v1", "http://gpu-1:8000/v1/"] {
            let endpoint = Endpoint::new(base, Arc::default()).unwrap();
            assert_eq!(endpoint.completions.as_str(), "http://gpu-1:8000/v1/completions");
            assert_eq!(endpoint.load_adapter.as_str(), "http://gpu-1:8000/v1/load_lora_adapter");
            assert_eq!(endpoint.name, "gpu-1:8000");
        }
        for base in [
            "gpu-1:8000",
            "ftp://gpu-1/v1",
            "http://key@gpu-1/v1",
            "http://gpu-1/v1?key=1",
        ] {
            let error = Endpoint::new(base, Arc::default()).err().unwrap();
            assert_eq!(error.param(), Some("engine.endpoints"), "{base}");
        }
    }

    #[test]
    fn a_server_that_fails_again_and_again_is_left_alone() {
        let endpoint = Endpoint::new("http://gpu-1:8000/v1", Arc::default()).unwrap();
        endpoint.failed("once");
        assert!(endpoint.is_well(), "once may be chance");
        endpoint.failed("twice");
        assert!(!endpoint.is_well());
        endpoint.succeeded();
        assert!(endpoint.is_well());
        for _ in 0..40 {
            endpoint.failed("often");
        }
        let until = endpoint.state.lock().paused_until.unwrap();
        assert!(until <= Instant::now() + LONGEST_PAUSE);
    }
}
