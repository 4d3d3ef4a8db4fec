//! Adapters of a fleet: loaded where they are needed, and unloaded where others need their places.

use super::{Fleet, unavailable};
use crate::{
    remote::{
        connection::Failure,
        endpoint::{Endpoint, Lease},
    },
    tokens::engine_error,
};
use reqwest::StatusCode;
use riad_core::{Account, Digest, Error, ErrorKind, Result, adapter::AdapterSource, ports::AdapterCounts};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::OwnedMutexGuard, time::Instant};

/// For a place, when all adapters of all servers are in use.
const WAIT: Duration = Duration::from_secs(30);

impl Fleet {
    /// In a server. No two accounts have the same one, so that no server can take one's adapter for another's.
    pub(super) fn adapter_name(&self, source: &AdapterSource, account: Account) -> String {
        format!("{}-{account}.{}", self.instance, source.generation)
    }

    /// An adapter in some server, kept there. Waits for a place in one: nobody may call it who keeps one busy.
    pub async fn lease_in_time(self: &Arc<Self>, source: &AdapterSource, account: Account) -> Result<Lease> {
        let deadline = Instant::now() + WAIT;
        loop {
            // Made before the try, so that a place that gets free meanwhile is noticed.
            let freed = self.freed.notified();
            match self.lease(source, account).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let is_full = self.endpoints.iter().any(|endpoint| endpoint.is_well());
                    if !is_full || tokio::time::timeout_at(deadline, freed).await.is_err() {
                        return Err(error);
                    }
                }
                leased => return leased,
            }
        }
    }

    /// As [`Self::lease_in_time`], now.
    pub async fn lease(self: &Arc<Self>, source: &AdapterSource, account: Account) -> Result<Lease> {
        let hold = self.hold(source, account, &mut Vec::new()).await?;
        hold.ok_or_else(unavailable)
    }

    /// A hold on an adapter in a server that was not tried. `None`: no such server can have it now.
    pub(super) async fn hold(
        self: &Arc<Self>,
        source: &AdapterSource,
        account: Account,
        tried: &mut Vec<Arc<Endpoint>>,
    ) -> Result<Option<Lease>> {
        let name = self.adapter_name(source, account);
        while let Some(endpoint) = self.choose(Some(&name), tried) {
            tried.push(Arc::clone(&endpoint));
            if let Some(hold) = self.load(&endpoint, source, account, true).await? {
                return Ok(Some(hold));
            }
        }
        Ok(None)
    }

    /// Loads an adapter where none has to go for it.
    pub async fn preload(self: &Arc<Self>, source: &AdapterSource, account: Account) -> Result<()> {
        let name = self.adapter_name(source, account);
        if self.adapters.is_none() || self.endpoints.iter().any(|endpoint| endpoint.has(&name)) {
            return Ok(());
        }
        let free = |endpoint: &&Arc<Endpoint>| endpoint.is_well() && endpoint.count() < self.adapters_per_server;
        match self
            .endpoints
            .iter()
            .filter(free)
            .min_by_key(|endpoint| endpoint.count())
        {
            Some(endpoint) => self.load(endpoint, source, account, false).await.map(drop),
            None => Ok(()),
        }
    }

    /// A hold on an adapter that some server has.
    pub fn resident(&self, source: &AdapterSource, account: Account) -> Option<Lease> {
        let name = self.adapter_name(source, account);
        self.endpoints.iter().find_map(|endpoint| endpoint.hold(&name))
    }

    /// Loads an adapter into a server, if it is not there. `None`: the server cannot do it now.
    async fn load(
        self: &Arc<Self>,
        endpoint: &Arc<Endpoint>,
        source: &AdapterSource,
        account: Account,
        may_evict: bool,
    ) -> Result<Option<Lease>> {
        let name = self.adapter_name(source, account);
        if let Some(hold) = endpoint.hold(&name) {
            return Ok(Some(hold));
        }
        let loading = Arc::clone(&endpoint.loading).lock_owned().await;
        if let Some(hold) = endpoint.hold(&name) {
            return Ok(Some(hold));
        }
        // Those who have waited with this one may have found out that it does not answer.
        if !endpoint.is_well() {
            return Ok(None);
        }
        let (fleet, endpoint, source) = (Arc::clone(self), Arc::clone(endpoint), source.clone());
        // A client that goes away must not leave the server with half of a load.
        let load = async move { fleet.load_now(&endpoint, &source, account, may_evict, loading).await };
        tokio::spawn(load)
            .await
            .map_err(|error| engine_error("panicked", error))?
    }

    async fn load_now(
        &self,
        endpoint: &Arc<Endpoint>,
        source: &AdapterSource,
        account: Account,
        may_evict: bool,
        _loading: OwnedMutexGuard<()>,
    ) -> Result<Option<Lease>> {
        let folder = self.adapters.as_ref().ok_or_else(no_adapters)?;
        while endpoint.count() >= self.adapters_per_server {
            let is_pinned = |account, generation: &Digest| self.is_pinned(account, generation);
            let evicted = match may_evict {
                true => endpoint.take_oldest(is_pinned, self.adapters_per_server / 2),
                false => None,
            };
            let Some(evicted) = evicted else {
                return Ok(None);
            };
            self.unload(endpoint, &evicted.name).await;
        }
        let name = self.adapter_name(source, account);
        let files = folder.put(source).await?;
        // Without `load_inplace`: vLLM keeps that word with the adapter, and reads its files again in each step of each answer.
        let body = json!({"lora_name": name, "lora_path": files.there});
        let mut loaded = self.connection.tell(&endpoint.load_adapter, &body).await;
        // The server may have one of this name, from files that are gone.
        if let Err(Failure::Refused(..)) = loaded
            && self
                .models(endpoint)
                .await
                .is_ok_and(|models| models.ids().contains(&name))
        {
            self.unload(endpoint, &name).await;
            loaded = self.connection.tell(&endpoint.load_adapter, &body).await;
        }
        match loaded {
            Ok(()) => {}
            Err(Failure::Unreachable(why)) => {
                endpoint.failed(&why);
                return Ok(None);
            }
            // Whatever the status: the server is there, and another one has the same model.
            Err(Failure::Refused(status, body)) => {
                tracing::error!(server = endpoint.name, %status, body, "a model server refuses an adapter");
                return Err(refused(status));
            }
        }
        endpoint.insert(name.clone(), account, source.generation, files);
        Ok(endpoint.hold(&name))
    }

    async fn unload(&self, endpoint: &Endpoint, name: &str) {
        let body = json!({"lora_name": name});
        if let Err(failure) = self.connection.tell(&endpoint.unload_adapter, &body).await {
            tracing::warn!(
                server = endpoint.name,
                why = failure.words(),
                "a model server did not unload an adapter"
            );
        }
    }

    /// # Errors
    /// `InvalidRequest` if the servers get no adapters.
    pub fn check_adapters(&self) -> Result<()> {
        self.adapters.as_ref().map(drop).ok_or_else(no_adapters)
    }

    pub fn pin(&self, account: Account, generations: Vec<Digest>) {
        let mut pins = self.pins.lock();
        match generations.is_empty() {
            true => pins.remove(&account),
            false => pins.insert(account, generations.into_iter().collect()),
        };
    }

    fn is_pinned(&self, account: Account, generation: &Digest) -> bool {
        self.pins
            .lock()
            .get(&account)
            .is_some_and(|pins| pins.contains(generation))
    }

    pub fn adapter_counts(&self) -> AdapterCounts {
        let mut counts = AdapterCounts::default();
        for adapters in self.endpoints.iter().map(|endpoint| endpoint.adapters()) {
            let bytes: u64 = adapters.bytes.iter().map(|(_, bytes)| bytes).sum();
            counts.resident += adapters.bytes.len();
            counts.resident_bytes = counts
                .resident_bytes
                .saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
            counts.loads += adapters.loads;
            counts.evictions += adapters.evictions;
        }
        counts
    }

    pub fn resident_bytes(&self) -> Vec<(Account, u64)> {
        let mut bytes = BTreeMap::<_, u64>::new();
        for (account, more) in self.endpoints.iter().flat_map(|endpoint| endpoint.adapters().bytes) {
            *bytes.entry(account).or_default() += more;
        }
        bytes.into_iter().collect()
    }
}

fn no_adapters() -> Error {
    Error::invalid("the model servers of this server take no adapters; its operator can set engine.adapter_folder")
}

fn refused(status: StatusCode) -> Error {
    let words = match status {
        StatusCode::NOT_FOUND => "the model server takes no adapters at run time; its operator has to allow them",
        _ => {
            "the model server does not load this adapter; check that it was trained for this base model, with a rank that the server allows"
        }
    };
    Error::new(ErrorKind::AdapterFailed, words)
}
