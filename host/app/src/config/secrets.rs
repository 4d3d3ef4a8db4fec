//! Secrets, which come from the environment only: files get copied, and everybody on the machine can read a command line.

use riad_core::{Error, Result, Secret};
use std::ffi::OsString;

/// A shorter secret could be guessed.
const LENGTH_MIN: usize = 16;

/// Read once, at start.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// `RIAD_OPERATOR_KEY`. Without it, the first start creates a key.
    pub operator_key: Option<Secret<String>>,
    /// `RIAD_METRICS_KEY`: gives access to `/metrics` only.
    pub metrics_key: Option<Secret<String>>,
    /// `RIAD_WEBHOOK_SECRET`: signs requests to webhooks.
    pub webhook_secret: Option<Secret<String>>,
    /// `RIAD_EMBEDDINGS_KEY`: the key for the server of `embeddings.url`.
    pub embeddings_key: Option<Secret<String>>,
    /// `RIAD_ENGINE_KEY`: the key for the servers of `engine.endpoints`.
    pub engine_key: Option<Secret<String>>,
    /// `RIAD_SNAPSHOT_KEY`: encrypts the tenants' keys of snapshots.
    pub snapshot_key: Option<Secret<String>>,
}

impl Secrets {
    /// Their names, for messages and the reference.
    pub const VARIABLES: [(&'static str, &'static str); 6] = [
        (
            "RIAD_OPERATOR_KEY",
            "The operator's key. Unset: the first start creates one and shows it once.",
        ),
        ("RIAD_METRICS_KEY", "A key for /metrics only."),
        ("RIAD_WEBHOOK_SECRET", "Signs requests to webhooks."),
        ("RIAD_EMBEDDINGS_KEY", "The key for the server of embeddings.url."),
        ("RIAD_ENGINE_KEY", "The key for the servers of engine.endpoints."),
        (
            "RIAD_SNAPSHOT_KEY",
            "32 bytes in base64 that encrypt snapshots (objects.url). Without them, no snapshot can be read.",
        ),
    ];

    /// Variables that are empty count as not set.
    ///
    /// # Errors
    /// `InvalidRequest` names the variable, never its value.
    pub fn read(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        let mut secrets = Self::default();
        for (name, value) in environment {
            let place = match name.to_str() {
                Some("RIAD_OPERATOR_KEY") => &mut secrets.operator_key,
                Some("RIAD_METRICS_KEY") => &mut secrets.metrics_key,
                Some("RIAD_WEBHOOK_SECRET") => &mut secrets.webhook_secret,
                Some("RIAD_EMBEDDINGS_KEY") => &mut secrets.embeddings_key,
                Some("RIAD_ENGINE_KEY") => &mut secrets.engine_key,
                Some("RIAD_SNAPSHOT_KEY") => &mut secrets.snapshot_key,
                _ => continue,
            };
            let name = name.to_string_lossy();
            let value = value
                .into_string()
                .map_err(|_| Error::invalid(format!("{name} is not UTF-8; choose a key of letters and digits")))?;
            if (1..LENGTH_MIN).contains(&value.len()) {
                return Err(Error::invalid(format!(
                    "{name} is too short to be a secret; choose one of at least {LENGTH_MIN} characters"
                )));
            }
            *place = (!value.is_empty()).then(|| Secret::new(value));
        }
        Ok(secrets)
    }

    /// The variables that are set.
    #[must_use]
    pub fn set(&self) -> Vec<&'static str> {
        let values = [
            &self.operator_key,
            &self.metrics_key,
            &self.webhook_secret,
            &self.embeddings_key,
            &self.engine_key,
            &self.snapshot_key,
        ];
        Self::VARIABLES
            .iter()
            .zip(values)
            .filter_map(|((name, _), value)| value.as_ref().map(|_| *name))
            .collect()
    }
}
