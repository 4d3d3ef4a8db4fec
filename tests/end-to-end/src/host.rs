//! A server that is started for a test and ended with it. Not here: what is asked of it (`caller`).

use crate::{Caller, files};
use reqwest::StatusCode;
use riad_app::{
    config::Config,
    serve::{Compiler, Running},
};
use riad_core::{Limits, Secret};
use serde_json::json;
use std::{ops::Deref, thread};
use tempfile::TempDir;
use tokio::{runtime::Handle, task::block_in_place};

/// Long enough for any machine; only a server that hangs makes a test wait for it.
const REQUEST_MS: u64 = 120_000;
const OPERATOR_KEY: &str = "riad_op_end_to_end_tests";

/// A real server. Dropping it ends it gracefully: a request that never ends, or a room that cannot be closed, fails the test.
/// Needs a runtime with several threads.
pub struct TestHost {
    pub operator: Caller,
    server: Option<Running>,
    // Gone after the server.
    _folder: TempDir,
}

#[derive(Default)]
pub struct Builder {
    config: Config,
}

/// A tenant, and a caller with its key.
pub struct Tenant {
    pub id: String,
    pub key: String,
    caller: Caller,
}

impl Builder {
    /// Generations at the same time; as many as there are cores if it is not said.
    #[must_use]
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.config.engine.lanes = lanes;
        self
    }

    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.config.limits);
        self
    }

    pub async fn start(mut self) -> TestHost {
        let folder = tempfile::tempdir().unwrap();
        self.config.server.listen = "127.0.0.1:0".into();
        self.config.server.data = folder.path().join("data");
        let key = Secret::new(OPERATOR_KEY.to_owned());
        let server = Running::start(&self.config, Some(key), Compiler::InProcess)
            .await
            .unwrap();
        TestHost {
            operator: Caller::new(&server.url(), OPERATOR_KEY),
            server: Some(server),
            _folder: folder,
        }
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

    #[must_use]
    pub fn url(&self) -> String {
        self.operator.url().to_owned()
    }

    /// Makes a tenant with an empty room.
    pub async fn tenant(&self, id: &str) -> Tenant {
        let body = json!({"id": id, "name": format!("Tenant {id}")});
        let made = self.operator.post("/operator/v1/tenants", &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let key = made.text("/key");
        Tenant {
            id: id.to_owned(),
            caller: Caller::new(self.operator.url(), &key),
            key,
        }
    }

    /// Two tenants with documents about the same things, and different facts in them.
    pub async fn neighbours(&self) -> (Tenant, Tenant) {
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
        if let Some(server) = self.server.take() {
            block_in_place(|| Handle::current().block_on(server.stop())).unwrap();
        }
    }
}

impl Deref for Tenant {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}
