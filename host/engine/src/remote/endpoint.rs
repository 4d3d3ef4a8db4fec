//! One server: where it is, how it is, and what it has. Not here: which one is asked (`fleet`).

use super::adapters::SharedAdapter;
use parking_lot::Mutex;
use reqwest::Url;
use riad_core::{Account, Digest, Error, Result};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

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
    pub loading: tokio::sync::Mutex<()>,
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
    /// Generations that use it, and whoever wants it to stay.
    holds: usize,
    files: Arc<SharedAdapter>,
}

/// A server's place for a generation, or a hold on an adapter, given back when it is dropped.
pub(super) struct Lease {
    pub endpoint: Arc<Endpoint>,
    /// The name of the adapter in use.
    pub adapter: Option<String>,
    is_generation: bool,
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
    pub fn new(base: &str) -> Result<Self> {
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
            loading: tokio::sync::Mutex::default(),
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

    /// A place for a generation.
    pub fn begin(self: &Arc<Self>, adapter: Option<String>) -> Lease {
        let mut state = self.state.lock();
        state.in_flight += 1;
        if let Some(name) = &adapter {
            state.hold(name);
        }
        Lease {
            endpoint: Arc::clone(self),
            adapter,
            is_generation: true,
        }
    }

    /// A hold on an adapter, if it is there.
    pub fn hold(self: &Arc<Self>, adapter: &str) -> Option<Lease> {
        self.state.lock().hold(adapter).then(|| Lease {
            endpoint: Arc::clone(self),
            adapter: Some(adapter.to_owned()),
            is_generation: false,
        })
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
                holds: 0,
                files,
            },
        );
    }

    /// Takes out the adapter that was used longest ago, pinned ones last. `None`: all are in use.
    pub fn take_oldest(&self, is_pinned: impl Fn(Account, &Digest) -> bool) -> Option<String> {
        let mut state = self.state.lock();
        let idle = state.loaded.iter().filter(|(_, loaded)| loaded.holds == 0);
        let oldest = idle.min_by_key(|(_, loaded)| (is_pinned(loaded.account, &loaded.generation), loaded.used));
        let name = oldest?.0.clone();
        state.loaded.remove(&name);
        state.evictions += 1;
        Some(name)
    }

    /// It answered, and has these models. Adapters that it lost, as in a restart, are loaded again when they are needed.
    pub fn answered(&self, models: &HashSet<String>) {
        let mut state = self.state.lock();
        if state.is_silent {
            tracing::info!(server = self.name, "a model server answers again");
        }
        state.is_silent = false;
        state.loaded.retain(|name, _| models.contains(name));
    }

    pub fn is_silent(&self, why: &str) {
        let mut state = self.state.lock();
        if !state.is_silent {
            tracing::warn!(server = self.name, why, "a model server does not answer");
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

impl State {
    fn hold(&mut self, name: &str) -> bool {
        self.clock += 1;
        let Some(loaded) = self.loaded.get_mut(name) else {
            return false;
        };
        loaded.used = self.clock;
        loaded.holds += 1;
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.endpoint.state.lock();
        state.in_flight -= usize::from(self.is_generation);
        // It is not there any more if the server has lost it.
        if let Some(loaded) = self.adapter.as_ref().and_then(|name| state.loaded.get_mut(name)) {
            loaded.holds = loaded.holds.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_below_the_base() {
        for base in ["http://gpu-1:8000/v1", "http://gpu-1:8000/v1/"] {
            let endpoint = Endpoint::new(base).unwrap();
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
            let error = Endpoint::new(base).err().unwrap();
            assert_eq!(error.param(), Some("engine.endpoints"), "{base}");
        }
    }

    #[test]
    fn a_server_that_fails_again_and_again_is_left_alone() {
        let endpoint = Endpoint::new("http://gpu-1:8000/v1").unwrap();
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
