//! A server with the shipped models on a folder of its own, and a tenant. Each test uses a part of it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and none uses all of it"
)]

use riad_app::{
    config::{Config, Secrets},
    serve::{Compiler, Running},
};
use riad_core::Secret;
use riad_fakes::own_components;
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::process::Command;

pub const OPERATOR_KEY: &str = "riad_op_of_the_tests_of_the_program";
pub const TENANT: &str = "acme";

pub struct TestServer {
    server: Running,
    /// The tenant's.
    pub key: String,
    folder: TempDir,
}

impl TestServer {
    pub async fn start() -> Self {
        let mut server = Self::start_with(|_, _| {}).await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(format!("{}/operator/v1/tenants", server.url()))
            .bearer_auth(OPERATOR_KEY)
            .json(&json!({"id": TENANT, "name": "Acme"}));
        let made: Value = request.send().await.unwrap().json().await.unwrap();
        server.key = made["key"].as_str().unwrap().to_owned();
        server
    }

    /// Without a tenant.
    pub async fn start_with(change: impl FnOnce(&mut Config, &mut Secrets)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = run(&folder, change).await;
        Self {
            server,
            key: String::new(),
            folder,
        }
    }

    /// As after a restart, in the folder of one that was stopped.
    pub async fn start_again(folder: TempDir, key: String) -> Self {
        let server = run(&folder, |_, _| {}).await;
        Self { server, key, folder }
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a file that commands find by its name.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    /// `riad`, as the tenant and as the operator, beside the files that were written.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("RIAD_URL", self.url())
            .env("RIAD_KEY", &self.key)
            .env("RIAD_OPERATOR_KEY", OPERATOR_KEY);
        command
    }

    /// Ends the server; its folder is gone with what is returned.
    pub async fn stop(self) -> TempDir {
        own_components::take(&self.data());
        self.server.stop().await.unwrap();
        self.folder
    }
}

async fn run(folder: &TempDir, change: impl FnOnce(&mut Config, &mut Secrets)) -> Running {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".into();
    config.server.data = folder.path().join("data");
    own_components::put(&config.server.data);
    let mut secrets = Secrets {
        operator_key: Some(Secret::new(OPERATOR_KEY.to_owned())),
        ..Secrets::default()
    };
    change(&mut config, &mut secrets);
    Running::start(&config, secrets, Compiler::InProcess).await.unwrap()
}
