//! The configuration: one TOML file, then environment variables `RIAD_SECTION__KEY`, then the command line; the later wins.
//!
//! [`tree`] declares every key. A key that does not exist is an error that names it, its place and the nearest key.
//! Secrets come from the environment only ([`Secrets`]).

mod check;
mod layers;
mod models;
mod objects;
mod secrets;
mod setting;
mod tree;

pub use layers::{Overrides, Sources};
pub use models::{
    EmbeddingSource, ModelSource, embedding_source, kv_cache_tokens, model_source, path_text, profile, remote_engine,
    shipped_folder, shipped_model,
};
pub use objects::{no_objects, objects};
pub use riad_engine::{Device, Dtype, Quantization};
pub use secrets::Secrets;
pub use tree::{
    Auth, Cell, Config, Embeddings, Engine, Metering, Objects, Plugins, Profile, Scheduler, SchedulerPolicy, Server,
    Telemetry,
};

use riad_core::Result;
use setting::Setting;
use std::{ffi::OsString, path::Path};
use toml::{Table, Value};

impl Config {
    /// Reads the file, if there is one, the environment and the command line.
    ///
    /// # Errors
    /// `InvalidRequest` names the key at fault and the file, variable or option that sets it.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<Self> {
        Ok(Self::load_with_sources(file, environment, overrides)?.0)
    }

    /// As [`Config::load`], and says where the values come from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with_sources(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &Overrides,
    ) -> Result<(Self, Sources)> {
        let (config, sources) = layers::read(file, environment, overrides)?;
        check::check(&config).map_err(|error| sources.locate(error))?;
        Ok((config, sources))
    }

    /// Every key with its default and meaning, as a TOML file.
    #[must_use]
    pub fn reference() -> String {
        let mut text = String::from(
            "# Configuration of riad. Each key is also an environment variable, which wins over the file: server.listen is\n\
             # RIAD_SERVER__LISTEN, engine.profile.passages is RIAD_ENGINE__PROFILE__PASSAGES. In a variable, commas separate the\n\
             # items of a list. The values in this file are the defaults. Secrets are environment variables only:\n",
        );
        for (name, meaning) in Secrets::VARIABLES {
            text += &format!("#   {name}: {meaning}\n");
        }
        // A key without a default is absent.
        let defaults = Table::try_from(Self::default()).map(Value::Table).ok();
        let mut keys = Vec::new();
        Self::describe("", "", &mut keys);
        let mut last_section = "";
        for key in &keys {
            let (section, name) = key.split();
            if section != last_section {
                last_section = section;
                text += &format!("\n[{section}]\n");
            }
            let default = key
                .path
                .split('.')
                .fold(defaults.as_ref(), |below, part| below?.get(part));
            text += &match default {
                Some(default) => format!("# {}\n{name} = {default}\n", key.doc),
                None => format!("# {}\n#{name} =\n", key.doc),
            };
        }
        text
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
