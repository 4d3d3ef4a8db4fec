//! The configuration: one TOML file, each key also an environment variable `RIAD_SECTION__KEY`, which wins over the file.
//!
//! Every key is in one table ([`keys`]), from which the environment is read and the reference is printed; a key that is
//! not known is an error that names it. Secrets are in the environment only ([`Secrets`]).
//! Not here: the sections of money, identity and telemetry (`sections`), what the values do (`wire`).

mod check;
mod keys;
mod models;
mod secrets;
mod sections;
mod sources;

pub use models::{hub_snapshot, model_folder, profile, shipped_folder, shipped_model};
pub use secrets::Secrets;
pub use sections::{Auth, Metering, Scheduler, SchedulerPolicy, Telemetry};
pub use sources::Sources;

use riad_core::{Error, Limits, Result};
pub use riad_engine::{Device, Dtype};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use toml::Table;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub auth: Auth,
    pub scheduler: Scheduler,
    pub metering: Metering,
    pub telemetry: Telemetry,
    pub engine: Engine,
    pub embeddings: Embeddings,
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    pub listen: String,
    pub data: PathBuf,
    /// PEM files, both or none; with them the server speaks TLS only.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            data: "riad-data".into(),
            tls_certificate: None,
            tls_key: None,
        }
    }
}

impl Server {
    /// Certificate and key, if TLS is on.
    #[must_use]
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate.as_deref().zip(self.tls_key.as_deref())
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// A folder or a hub id; the shipped model if it is not given.
    pub model: Option<String>,
    pub dtype: Dtype,
    pub device: Device,
    /// 0: as many as there are cores.
    pub lanes: usize,
    /// The model's name in the API; else the last part of `model`.
    pub id: Option<String>,
    pub profile: Profile,
}

/// Keys of the model's profile that differ from what is known of the model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    pub context_tokens: Option<u32>,
    pub prompt_tokens: Option<u32>,
    pub passages: Option<u32>,
    pub sentences: Option<u32>,
    pub completion_tokens: Option<u32>,
    pub temperature: Option<f32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Embeddings {
    /// A Model2Vec folder; the shipped one if it is not given.
    pub model: Option<PathBuf>,
}

impl Config {
    /// Reads the file, if there is one, and the variables, which win.
    ///
    /// # Errors
    /// `InvalidRequest` names the key at fault and the file or variable that it comes from.
    pub fn load(file: Option<&Path>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        Ok(Self::load_with_sources(file, environment)?.0)
    }

    /// As [`Config::load`], and says where the values come from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with_sources(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Sources)> {
        let (table, sources) = sources::read(file, environment)?;
        let config = parse(table, "the configuration")?;
        check::check(&config).map_err(|error| sources.blame(error))?;
        Ok((config, sources))
    }

    /// Every key with its default and meaning, as a TOML file.
    #[must_use]
    pub fn reference() -> String {
        keys::reference()
    }
}

fn parse(table: Table, from: &str) -> Result<Config> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| Error::invalid(format!("{from}: {}", one_line(&error.to_string()))))
}

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
