//! Services over the real store, with an engine and guests that play scripts, and a recorder of notices and measurements.
//! Not here: what is asked of it (`ops`), what must hold (`checks`).

use crate::{
    engine::{SEQUENCES, ScriptedEngine, WordEmbedder, space},
    guests::ScriptedSandbox,
    script::{Payer, Truth},
};
use bytes::Bytes;
use parking_lot::Mutex;
use riad_core::{
    Account, KeyId, Limits, OperatorPass, PlanName, Secret, TenantId, TenantPass,
    adapter::AdapterFiles,
    audit::Origin,
    policy::Budget,
    ports::{BudgetNotice, Gauges, GuestCall, RequestRecord, Telemetry, Webhooks},
    price::PriceList,
};
use riad_outbound::GuestHttp;
use riad_services::{Dependencies, FairQueue, Services, StandardComponents, keys::KeyOwner, keys::KeyRequest};
use riad_store::Store;
use serde_json::Value;
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

const OPERATOR: &str = "riad_op_for_the_tests_of_money";
pub const ALIAS: &str = "legal";

/// A tenant that a test begins with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A patch of its policy.
    pub policy: Value,
    /// Its keys' budgets.
    pub keys: Vec<Budget>,
}

/// The keys' secrets: they outlive the server.
pub type Secrets = Vec<Vec<String>>;

pub struct Server {
    pub services: Services,
    pub operator: OperatorPass,
    pub passes: Vec<Vec<TenantPass>>,
    pub truth: Truth,
    pub recorder: Arc<Recorder>,
    pub engine: ScriptedEngine,
    store: Store,
}

#[derive(Default)]
pub struct Recorder {
    pub notices: Mutex<Vec<BudgetNotice>>,
    pub seen: Mutex<Vec<RequestRecord>>,
}

impl Webhooks for Recorder {
    fn notify(&self, _: &str, notice: BudgetNotice) {
        self.notices.lock().push(notice);
    }
}

impl Telemetry for Recorder {
    fn guest_call(&self, _: &TenantId, _: &GuestCall) {}

    fn request(&self, seen: &RequestRecord) {
        self.seen.lock().push(seen.clone());
    }

    fn render(&self, _: &Gauges) -> String {
        String::new()
    }
}

/// Short enough for requests to run into them.
fn limits() -> Limits {
    Limits {
        request_ms: 400,
        queue_ms: 250,
        queue: 12,
        ..Limits::default()
    }
}

impl Server {
    pub async fn open(folder: &Path, secrets: &Secrets) -> Self {
        Self::open_with(folder, secrets, limits()).await
    }

    async fn open_with(folder: &Path, secrets: &Secrets, limits: Limits) -> Self {
        let store = Store::open(folder, space(), &limits).unwrap();
        let (truth, recorder) = (Truth::default(), Arc::new(Recorder::default()));
        let engine = ScriptedEngine::new(truth.clone());
        let parts = Dependencies {
            tenant_store: store.tenant_store(),
            key_store: store.key_store(),
            tokens: None,
            cells: None,
            rooms: store.rooms(),
            moves: store.moves(),
            audit: store.audit(),
            plans: store.plans(),
            ledger: store.ledger(),
            engine: Arc::new(engine.clone()),
            embedder: Arc::new(WordEmbedder::new(truth.clone())),
            reranker: None,
            sandbox: Arc::new(ScriptedSandbox(truth.clone())),
            http: Arc::new(GuestHttp::new(&limits)),
            scheduler: Arc::new(FairQueue::new(SEQUENCES, &limits, Duration::from_secs(60))),
            telemetry: recorder.clone(),
            webhooks: recorder.clone(),
            snapshots: None,
            target_first_token: Duration::from_secs(60),
            currency: "eur".into(),
            standard: StandardComponents {
                chat: Bytes::from_static(b"standard"),
                extraction: Bytes::from_static(b"extraction"),
                chunking: Bytes::from_static(b"chunking"),
            },
            limits,
        };
        let services = Services::new(parts).await.unwrap();
        let key = Secret::new(OPERATOR.to_owned());
        services.ensure_operator_key(Some(key.clone())).await.unwrap();
        let operator = services.authorize_operator(key, Origin::default()).await.unwrap();
        let mut server = Self {
            services,
            operator,
            passes: Vec::new(),
            truth,
            recorder,
            engine,
            store,
        };
        server.authorize(secrets).await;
        server
    }

    /// A new folder with these tenants, each with an adapter, and prices for everything.
    pub async fn found(folder: &Path, plans: &[Plan]) -> (Self, Secrets) {
        Self::found_with(folder, plans, limits()).await
    }

    pub async fn found_with(folder: &Path, plans: &[Plan], limits: Limits) -> (Self, Secrets) {
        let mut server = Self::open_with(folder, &Secrets::new(), limits).await;
        let prices = PriceList {
            requests: 7_000_001,
            prompt_tokens: 150_000,
            cached_tokens: Some(15_000),
            completion_tokens: 600_000,
            embedded_tokens: 20_000,
            fuel: 1_000,
            stored_byte_hours: 10,
            adapter_byte_hours: 100,
        };
        let (services, operator) = (&server.services, &server.operator);
        services
            .plans()
            .put(operator, &PlanName::standard(), &prices)
            .await
            .unwrap();
        let mut secrets = Secrets::new();
        for (number, plan) in plans.iter().enumerate() {
            let id: riad_core::TenantId = format!("tenant-{number}").parse().unwrap();
            let tenants = services.tenants();
            let made = tenants.create(operator, id.clone(), "Tenant", &plan.policy).await;
            made.unwrap();
            let mut keys = Vec::new();
            for budget in &plan.keys {
                let request = KeyRequest {
                    name: "key".into(),
                    budget: budget.clone(),
                    ..KeyRequest::default()
                };
                let owner = KeyOwner::Named(operator.clone(), id.clone());
                let key = services.keys().create(&owner, request).await.unwrap();
                keys.push(key.secret.reveal().clone());
            }
            secrets.push(keys);
        }
        server.authorize(&secrets).await;
        for keys in &server.passes {
            let files = AdapterFiles {
                config: Bytes::from_static(b"{}"),
                weights: Bytes::from_static(b"weights"),
            };
            let adapters = server.services.adapters();
            adapters
                .put(&keys[0], &ALIAS.parse().unwrap(), &files, Arc::new(()))
                .await
                .unwrap();
        }
        (server, secrets)
    }

    pub async fn close(self) {
        self.services.end_run(Duration::from_secs(30)).await.unwrap();
        self.store.close().await.unwrap();
    }

    /// As a killed process: nothing is said to the ledger.
    pub async fn discard(self) {
        self.store.close().await.unwrap();
    }

    pub fn pass(&self, payer: Payer) -> &TenantPass {
        &self.passes[payer.0][payer.1]
    }

    pub fn payers(&self) -> HashMap<(Account, KeyId), Payer> {
        let mut payers = HashMap::new();
        for (tenant, keys) in self.passes.iter().enumerate() {
            for (key, pass) in keys.iter().enumerate() {
                payers.insert((pass.account(), pass.key().clone()), (tenant, key));
            }
        }
        payers
    }

    async fn authorize(&mut self, secrets: &Secrets) {
        for keys in secrets {
            let mut passes = Vec::new();
            for secret in keys {
                let secret = Secret::new(secret.clone());
                passes.push(self.services.authorize(secret, Origin::default()).await.unwrap());
            }
            self.passes.push(passes);
        }
    }
}
