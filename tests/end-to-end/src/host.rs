//! A server that is started for a test and ended with it. Not here: what is asked of it (`caller`).

use crate::{Caller, files};
use reqwest::StatusCode;
use riad_app::{
    config::{Config, Secrets},
    serve::{Compiler, Running},
};
use riad_core::{Error, Limits, Secret};
use riad_fakes::own_components;
use serde_json::{Value, json};
use std::{
    ops::Deref,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{runtime::Handle, task::block_in_place, time::sleep};

/// Long enough for any machine; only a server that hangs makes a test wait for it.
const REQUEST_MS: u64 = 120_000;
const OPERATOR_KEY: &str = "riad_op_end_to_end_tests";
/// Until something that is done in the background has been done; only a bug makes a test wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A real server. Dropping it ends it gracefully: a request that never ends, or a room that cannot be closed, fails the test.
/// Needs a runtime with several threads.
pub struct TestHost {
    pub operator: Caller,
    server: Option<Running>,
    config: Config,
    secrets: Secrets,
    // Gone after the server.
    folder: Arc<TempDir>,
}

#[derive(Default)]
pub struct Builder {
    config: Config,
    secrets: Secrets,
}

/// A tenant, and a caller with its key.
pub struct Tenant {
    pub id: String,
    pub key: String,
    pub key_id: String,
    pub account: u64,
    caller: Caller,
}

impl Builder {
    /// Generations at the same time, in one batch.
    #[must_use]
    pub fn max_sequences(mut self, max_sequences: usize) -> Self {
        self.config.engine.max_sequences = max_sequences;
        self
    }

    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.config.limits);
        self
    }

    /// Any key of the configuration but address and data folder, which are the test's own.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Any secret but the operator's key.
    #[must_use]
    pub fn secrets(mut self, change: impl FnOnce(&mut Secrets)) -> Self {
        change(&mut self.secrets);
        self
    }

    pub async fn start(mut self) -> TestHost {
        let folder = tempfile::tempdir().unwrap();
        self.config.server.listen = "127.0.0.1:0".into();
        self.config.server.data = folder.path().join("data");
        self.secrets.operator_key = Some(Secret::new(OPERATOR_KEY.to_owned()));
        TestHost::open(self.config, self.secrets, Arc::new(folder)).await
    }
}

impl TestHost {
    #[must_use]
    pub fn builder() -> Builder {
        let mut builder = Builder::default();
        builder.config.limits.request_ms = REQUEST_MS;
        builder
    }

    pub async fn start() -> Self {
        Self::builder().start().await
    }

    async fn open(config: Config, secrets: Secrets, folder: Arc<TempDir>) -> Self {
        own_components::put(&config.server.data);
        let server = Running::start(&config, secrets.clone(), Compiler::InProcess)
            .await
            .unwrap();
        Self {
            operator: Caller::new(&server.url(), OPERATOR_KEY),
            server: Some(server),
            config,
            secrets,
            folder,
        }
    }

    /// Ends the server gracefully; the future says how that went. What is asked meanwhile is answered by a server that ends.
    pub fn stop(&mut self) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        own_components::take(&self.config.server.data);
        self.server.take().unwrap().stop()
    }

    /// Ends the server gracefully and starts another one on the same data folder, at another address: see [`Self::caller`].
    pub async fn restart(mut self) -> Self {
        self.stop().await.unwrap();
        self.start_again().await
    }

    /// As [`Self::restart`], with another configuration.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.stop().await.unwrap();
        change(&mut self.config);
        self.start_again().await
    }

    /// After [`Self::stop`].
    pub async fn start_again(self) -> Self {
        Self::open(self.config.clone(), self.secrets.clone(), Arc::clone(&self.folder)).await
    }

    /// Somebody with this key.
    #[must_use]
    pub fn caller(&self, key: &str) -> Caller {
        Caller::new(self.operator.url(), key)
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.operator.url().to_owned()
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Makes a tenant with an empty room.
    pub async fn tenant(&self, id: &str) -> Tenant {
        self.tenant_with(id, json!({})).await
    }

    /// Makes a tenant under a policy: plan, weight, budget, limits.
    pub async fn tenant_with(&self, id: &str, policy: Value) -> Tenant {
        let mut body = policy;
        body["id"] = id.into();
        body["name"] = format!("Tenant {id}").into();
        let made = self.operator.post("/operator/v1/tenants", &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let key = made.text("/key");
        Tenant {
            id: id.to_owned(),
            caller: self.caller(&key),
            key_id: made.text("/key_id"),
            account: made.json()["account"].as_u64().unwrap(),
            key,
        }
    }

    /// Changes a tenant's policy; returns the tenant as it is then.
    pub async fn change(&self, tenant: &str, patch: Value) -> Value {
        let path = format!("/operator/v1/tenants/{tenant}");
        self.operator.patch(&path, &patch).await.ok()
    }

    /// All entries of the ledger for all tenants that ever had this id, oldest first.
    pub async fn entries(&self, tenant: &str) -> Vec<Value> {
        let path = format!("/operator/v1/ledger/entries?tenant={tenant}&limit=1000");
        let page = self.operator.get(&path).await.ok();
        assert_eq!(page["has_more"], false, "more entries than a test should make");
        page["data"].as_array().unwrap().clone()
    }

    /// The entries, when there are as many: what is cut off is settled a moment later.
    pub async fn entries_when(&self, tenant: &str, count: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let entries = self.entries(tenant).await;
            if entries.len() >= count {
                assert_eq!(entries.len(), count, "{entries:#?}");
                return entries;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {count} entries: {entries:#?}",
                entries.len()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Two tenants with documents about the same things, and different facts in them.
    pub async fn neighbors(&self) -> (Tenant, Tenant) {
        let (acme, globex) = (self.tenant("acme").await, self.tenant("globex").await);
        for (tenant, documents) in [(&acme, files::ACME), (&globex, files::GLOBEX)] {
            for (title, text) in documents {
                tenant.add_document(title, text).await;
            }
        }
        (acme, globex)
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        // A test that has failed says why by itself.
        if thread::panicking() {
            return;
        }
        if self.server.is_some() {
            let stopped = self.stop();
            block_in_place(|| Handle::current().block_on(stopped)).unwrap();
        }
    }
}

impl Deref for Tenant {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}
