//! Which server a generation goes to: one that has its adapter, else the one with the least to do; and where adapters are loaded.
//! Not here: one server (`endpoint`), reading answers (`stream`).

mod adapters;

use super::{
    adapters::AdapterFolder,
    connection::{Connection, Failure},
    endpoint::{Endpoint, Lease},
    request::Asked,
    wrong_answer,
};
use crate::RemoteConfig;
use parking_lot::Mutex;
use reqwest::{Response, StatusCode};
use riad_core::{Account, Digest, Error, ErrorKind, Result, adapter::AdapterSource, ports::BatchState};
use serde::Deserialize;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// Between two looks at a server.
const WATCH: Duration = Duration::from_secs(5);
/// When a client may ask again if no server answers.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct Fleet {
    endpoints: Vec<Arc<Endpoint>>,
    connection: Connection,
    /// What the servers call the base model.
    base_model: String,
    /// Tokens that a prompt and its answer may have, as this engine promises.
    context_tokens: u32,
    /// Before the names of adapters: other processes may use the same servers.
    instance: String,
    /// `None`: without adapters.
    adapters: Option<AdapterFolder>,
    /// Adapters that one server may have.
    adapters_per_server: usize,
    /// Generations that one server has before others are preferred that lack the adapter.
    places: usize,
    pins: Mutex<HashMap<Account, HashSet<Digest>>>,
    /// Told when an adapter may go.
    freed: Arc<Notify>,
}

/// A server's answer, of which nothing is read yet.
pub(super) struct Answering {
    pub lease: Lease,
    pub response: Response,
    /// The model that must have made it.
    pub model: String,
}

/// The servers that a request was sent to.
#[derive(Default)]
pub(super) struct Tried {
    /// A hold on the request's adapter in the server that is asked first, until it is.
    first: Option<Lease>,
    /// In the order in which they were asked.
    servers: Vec<Arc<Endpoint>>,
    /// Those that said no, which may be the request's fault: they are to blame if another one answers it.
    suspects: Vec<(Arc<Endpoint>, String)>,
    /// Whether its adapter was loaded again, because the server did not have it after all.
    has_reloaded: bool,
}

impl Tried {
    /// After so many have said no, the request is to blame.
    const SUSPECTS: usize = 2;

    /// Of a request whose adapter was found there, if it has one.
    pub fn new(first: Option<Lease>) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    pub fn suspect(&mut self, endpoint: &Arc<Endpoint>, why: String) {
        tracing::warn!(server = endpoint.name, why, "a model server refuses a request");
        self.suspects.push((Arc::clone(endpoint), why));
    }

    fn has_answer(&mut self) {
        for (endpoint, why) in self.suspects.drain(..) {
            endpoint.failed(&why);
        }
    }
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    /// vLLM and SGLang: tokens that the server reads and writes at most.
    max_model_len: Option<u32>,
}

impl Models {
    fn ids(self) -> HashSet<String> {
        self.data.into_iter().map(|model| model.id).collect()
    }
}

impl Fleet {
    pub fn new(
        config: &RemoteConfig,
        (max_sequences, context_tokens): (usize, u32),
        connection: Connection,
        adapters: Option<AdapterFolder>,
    ) -> Result<Self> {
        let freed = Arc::<Notify>::default();
        let endpoint = |base: &String| Endpoint::new(base, Arc::clone(&freed)).map(Arc::new);
        let endpoints: Vec<_> = config.endpoints.iter().map(endpoint).collect::<Result<_>>()?;
        Ok(Self {
            places: max_sequences.div_ceil(endpoints.len().max(1)),
            endpoints,
            connection,
            base_model: config.model.clone(),
            context_tokens,
            instance: config.instance.clone(),
            adapters,
            adapters_per_server: config.adapters_per_server,
            pins: Mutex::default(),
            freed,
        })
    }

    /// Asks a server that was not tried, and then another one if it fails.
    ///
    /// # Errors
    /// `Unavailable` if none is left; a refusal of the request itself.
    pub async fn ask(
        self: &Arc<Self>,
        asked: &Asked,
        adapter: Option<&AdapterSource>,
        account: Account,
        tried: &mut Tried,
    ) -> Result<Answering> {
        while tried.suspects.len() < Tried::SUSPECTS
            && let Some(lease) = self.begin(adapter, account, tried).await?
        {
            let endpoint = Arc::clone(&lease.endpoint);
            let model = match adapter {
                Some(source) => self.adapter_name(source, account),
                None => self.base_model.clone(),
            };
            match self.connection.post(&endpoint.completions, &asked.of(&model)).await {
                Ok(response) => {
                    return Ok(Answering { lease, response, model });
                }
                Err(Failure::Unreachable(why)) => endpoint.failed(&why),
                // It has been started again since it was looked at.
                Err(Failure::Refused(StatusCode::NOT_FOUND, _)) if adapter.is_some() && !tried.has_reloaded => {
                    tried.has_reloaded = true;
                    tried.servers.pop();
                    endpoint.forget(&model);
                }
                Err(failure @ Failure::Refused(status, _)) => match status.as_u16() {
                    // Another key, or another model than is configured.
                    401 | 403 | 404 => endpoint.failed(&failure.words()),
                    400 | 413 | 422 => {
                        tried.suspect(&endpoint, failure.words());
                        return Err(wrong_answer(&format!("status {status}")));
                    }
                    _ => tried.suspect(&endpoint, failure.words()),
                },
            }
        }
        Err(unavailable())
    }

    /// A place for a generation in a server that was not tried. `None`: no such server can take it now.
    async fn begin(
        self: &Arc<Self>,
        adapter: Option<&AdapterSource>,
        account: Account,
        tried: &mut Tried,
    ) -> Result<Option<Lease>> {
        if let Some(hold) = tried.first.take() {
            tried.servers.push(Arc::clone(&hold.endpoint));
            return Ok(Some(hold.begin()));
        }
        let Some(source) = adapter else {
            let endpoint = self.choose(None, &tried.servers);
            tried.servers.extend(endpoint.clone());
            return Ok(endpoint.map(|endpoint| endpoint.begin()));
        };
        let hold = self.hold(source, account, &mut tried.servers).await?;
        Ok(hold.map(Lease::begin))
    }

    /// The server has answered well.
    pub fn has_answered(&self, endpoint: &Endpoint, tried: &mut Tried) {
        endpoint.succeeded();
        tried.has_answer();
    }

    fn choose(&self, adapter: Option<&str>, tried: &[Arc<Endpoint>]) -> Option<Arc<Endpoint>> {
        let is_tried = |endpoint: &Arc<Endpoint>| tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        let well = self
            .endpoints
            .iter()
            .filter(|endpoint| !is_tried(endpoint) && endpoint.is_well());
        let best = well.min_by_key(|endpoint| {
            let in_flight = endpoint.in_flight();
            let lacks = adapter.is_some_and(|name| !endpoint.has(name));
            (in_flight >= self.places, lacks, in_flight)
        });
        best.cloned()
    }

    pub fn batch(&self) -> BatchState {
        BatchState {
            decoding: self.endpoints.iter().map(|endpoint| endpoint.in_flight() as u64).sum(),
            model_loaded: self.endpoints.iter().any(|endpoint| endpoint.is_well()),
            ..BatchState::default()
        }
    }

    async fn models(&self, endpoint: &Endpoint) -> Result<Models, Failure> {
        let body = self.connection.get(&endpoint.models).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreachable(format!("its list of models cannot be read: {error}")))
    }

    /// Why a server cannot do what this engine promises.
    fn unfit(&self, models: &Models) -> Option<String> {
        let Some(base) = models.data.iter().find(|model| model.id == self.base_model) else {
            return Some(format!("it has no model {:?} (engine.remote_model)", self.base_model));
        };
        let most = base.max_model_len.filter(|most| *most < self.context_tokens)?;
        Some(format!(
            "it reads at most {most} tokens, and this server promises {}; set engine.profile.context_tokens to {most}",
            self.context_tokens
        ))
    }

    /// While it loads an adapter, it is looked at the next time.
    async fn look_at(&self, endpoint: &Endpoint) {
        let Ok(_loading) = endpoint.loading.try_lock() else {
            return;
        };
        match self.models(endpoint).await {
            Ok(models) => match self.unfit(&models) {
                Some(why) => endpoint.is_silent(&why),
                None => endpoint.answered(&models.ids()),
            },
            Err(failure) => endpoint.is_silent(&failure.words()),
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

fn unavailable() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "no model server can answer now; send the request again later",
    )
    .with_retry_after(RETRY)
}
