//! Which server a generation goes to: one that has its adapter, else the one with the least to do; and where adapters are loaded.
//! Not here: one server (`endpoint`), reading answers (`stream`).

use super::{
    adapters::AdapterFolder,
    connection::{Connection, Failure},
    endpoint::{Endpoint, Lease},
    request::Asked,
    wrong_answer,
};
use crate::RemoteConfig;
use parking_lot::Mutex;
use reqwest::Response;
use riad_core::{
    Account, Digest, Error, ErrorKind, Result,
    adapter::AdapterSource,
    ports::{AdapterCounts, BatchState},
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

/// Between two looks at a server.
const WATCH: Duration = Duration::from_secs(5);
/// When a client may ask again if no server answers.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Fleet {
    endpoints: Vec<Arc<Endpoint>>,
    connection: Connection,
    /// What the servers call the base model.
    base_model: String,
    /// `None`: without adapters.
    adapters: Option<AdapterFolder>,
    /// Adapters that one server may have.
    adapters_per_server: usize,
    /// Generations that one server has before others are preferred that lack the adapter.
    places: usize,
    pins: Mutex<HashMap<Account, HashSet<Digest>>>,
}

/// A server's answer, of which nothing is read yet.
pub(super) struct Answering {
    pub lease: Lease,
    pub response: Response,
    /// The model that must have made it.
    pub model: String,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

impl Fleet {
    pub fn new(
        config: &RemoteConfig,
        max_sequences: usize,
        connection: Connection,
        adapters: Option<AdapterFolder>,
    ) -> Result<Self> {
        let endpoints: Vec<_> = config
            .endpoints
            .iter()
            .map(|base| Endpoint::new(base).map(Arc::new))
            .collect::<Result<_>>()?;
        Ok(Self {
            places: max_sequences.div_ceil(endpoints.len().max(1)),
            endpoints,
            connection,
            base_model: config.model.clone(),
            adapters,
            adapters_per_server: config.adapters_per_server,
            pins: Mutex::default(),
        })
    }

    /// Asks a server that is not among `tried`, and then another one if it fails; each of them is noted there.
    ///
    /// # Errors
    /// `Unavailable` if none is left; the server's refusal of the request itself.
    pub async fn ask(
        &self,
        asked: &Asked,
        adapter: Option<&AdapterSource>,
        account: Account,
        tried: &mut HashSet<usize>,
    ) -> Result<Answering> {
        let name = adapter.map(|source| adapter_name(source, account));
        while let Some((number, endpoint)) = self.choose(name.as_deref(), tried) {
            tried.insert(number);
            let lease = match adapter {
                None => endpoint.begin(None),
                Some(source) => match self.load(&endpoint, source, account).await? {
                    Some(hold) => endpoint.begin(hold.adapter.clone()),
                    None => continue,
                },
            };
            let model = name.clone().unwrap_or_else(|| self.base_model.clone());
            match self.connection.post(&endpoint.completions, &asked.of(&model)).await {
                Ok(response) => {
                    return Ok(Answering { lease, response, model });
                }
                Err(Failure::Server(why)) => endpoint.failed(&why),
                Err(Failure::Refused(status, body)) => {
                    tracing::warn!(server = endpoint.name, %status, body, "a model server refuses a request");
                    return Err(wrong_answer(&format!("status {status}")));
                }
            }
        }
        Err(unavailable())
    }

    fn choose(&self, adapter: Option<&str>, tried: &HashSet<usize>) -> Option<(usize, Arc<Endpoint>)> {
        let well = self
            .endpoints
            .iter()
            .enumerate()
            .filter(|(number, endpoint)| !tried.contains(number) && endpoint.is_well());
        let best = well.min_by_key(|(_, endpoint)| {
            let in_flight = endpoint.in_flight();
            let lacks = adapter.is_some_and(|name| !endpoint.has(name));
            (in_flight >= self.places, lacks, in_flight)
        });
        best.map(|(number, endpoint)| (number, Arc::clone(endpoint)))
    }

    /// Loads an adapter into a server, if it is not there. `None`: the server cannot do it now.
    async fn load(&self, endpoint: &Arc<Endpoint>, source: &AdapterSource, account: Account) -> Result<Option<Lease>> {
        let name = adapter_name(source, account);
        if let Some(hold) = endpoint.hold(&name) {
            return Ok(Some(hold));
        }
        let folder = self.adapters.as_ref().ok_or_else(no_adapters)?;
        let _loading = endpoint.loading.lock().await;
        if let Some(hold) = endpoint.hold(&name) {
            return Ok(Some(hold));
        }
        while endpoint.count() >= self.adapters_per_server {
            let Some(oldest) = endpoint.take_oldest(|account, generation| self.is_pinned(account, generation)) else {
                return Ok(None);
            };
            let unloaded = self
                .connection
                .post(&endpoint.unload_adapter, &json!({"lora_name": oldest}))
                .await;
            if let Err(failure) = unloaded {
                tracing::warn!(
                    server = endpoint.name,
                    ?failure,
                    "a model server did not unload an adapter"
                );
            }
        }
        let files = folder.put(source).await?;
        let body = json!({"lora_name": name, "lora_path": files.there});
        match self.connection.post(&endpoint.load_adapter, &body).await {
            Ok(_) => {}
            // It may have it from before this process.
            Err(Failure::Refused(..)) if self.models(endpoint).await.is_ok_and(|models| models.contains(&name)) => {}
            Err(Failure::Server(why)) => {
                endpoint.failed(&why);
                return Ok(None);
            }
            Err(Failure::Refused(status, body)) => {
                tracing::error!(server = endpoint.name, %status, body, "a model server refuses an adapter");
                return Err(Error::new(
                    ErrorKind::AdapterFailed,
                    "the model server does not load this adapter; check that it was trained for this base model, with a rank that the server \
                     allows",
                ));
            }
        }
        endpoint.insert(name.clone(), account, source.generation, files);
        Ok(endpoint.hold(&name))
    }

    /// An adapter in some server, kept there.
    pub async fn lease(&self, source: &AdapterSource, account: Account) -> Result<Lease> {
        let (name, mut tried) = (adapter_name(source, account), HashSet::new());
        while let Some((number, endpoint)) = self.choose(Some(&name), &tried) {
            tried.insert(number);
            if let Some(lease) = self.load(&endpoint, source, account).await? {
                return Ok(lease);
            }
        }
        Err(unavailable())
    }

    /// Loads an adapter where none has to go for it.
    pub async fn preload(&self, source: &AdapterSource, account: Account) -> Result<()> {
        let name = adapter_name(source, account);
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
            Some(endpoint) => self.load(endpoint, source, account).await.map(drop),
            None => Ok(()),
        }
    }

    /// A hold on an adapter that some server has.
    pub fn resident(&self, source: &AdapterSource, account: Account) -> Option<Lease> {
        let name = adapter_name(source, account);
        self.endpoints.iter().find_map(|endpoint| endpoint.hold(&name))
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

    pub fn batch(&self) -> BatchState {
        BatchState {
            decoding: self.endpoints.iter().map(|endpoint| endpoint.in_flight() as u64).sum(),
            model_loaded: self.endpoints.iter().any(|endpoint| endpoint.is_well()),
            ..BatchState::default()
        }
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

    async fn models(&self, endpoint: &Endpoint) -> Result<HashSet<String>, Failure> {
        let body = self.connection.get(&endpoint.models).await?;
        let models: Models =
            serde_json::from_slice(&body).map_err(|error| Failure::Server(format!("its list of models: {error}")))?;
        Ok(models.data.into_iter().map(|model| model.id).collect())
    }

    async fn look_at(&self, endpoint: &Endpoint) {
        let _loading = endpoint.loading.lock().await;
        match self.models(endpoint).await {
            Ok(models) => endpoint.answered(&models),
            Err(Failure::Server(why)) => endpoint.is_silent(&why),
            Err(Failure::Refused(status, _)) => endpoint.is_silent(&format!("status {status}")),
        }
    }
}

/// Looks at each server again and again, as long as the fleet is there.
pub(super) fn watch(fleet: &Arc<Fleet>) {
    for endpoint in &fleet.endpoints {
        let (fleet, endpoint): (Weak<Fleet>, _) = (Arc::downgrade(fleet), Arc::clone(endpoint));
        tokio::spawn(async move {
            while let Some(fleet) = fleet.upgrade() {
                fleet.look_at(&endpoint).await;
                drop(fleet);
                tokio::time::sleep(WATCH).await;
            }
        });
    }
}

/// In a server. No two accounts have the same one, so that no server can take one's adapter for another's.
fn adapter_name(source: &AdapterSource, account: Account) -> String {
    format!("{account}.{}", source.generation)
}

fn no_adapters() -> Error {
    Error::invalid("the model servers of this server take no adapters; its operator can set engine.adapter_folder")
}

fn unavailable() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "no model server can answer now; send the request again later",
    )
    .with_retry_after(RETRY)
}
