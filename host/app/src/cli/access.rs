//! How a command reaches the server: its URL, a key, and how the answer is shown.

use crate::client::Client;
use clap::Args;
use riad_core::{Error, ErrorKind, Result, Secret};

pub const DEFAULT_URL: &str = "http://127.0.0.1:8080";

#[derive(Clone, Args)]
pub struct TenantAccess {
    /// The server
    #[arg(long, global = true, env = "RIAD_URL", default_value = DEFAULT_URL)]
    pub url: String,
    /// A key of the tenant
    #[arg(long, global = true, env = "RIAD_KEY", hide_env_values = true, value_parser = secret)]
    pub key: Option<Secret<String>>,
    /// Print the server's JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Args)]
pub struct OperatorAccess {
    /// The server
    #[arg(long, global = true, env = "RIAD_URL", default_value = DEFAULT_URL)]
    pub url: String,
    /// The operator's key
    #[arg(long, global = true, env = "RIAD_OPERATOR_KEY", hide_env_values = true, value_parser = secret)]
    pub key: Option<Secret<String>>,
    /// Print the server's JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The operator's key of several servers, whose URLs a map has.
#[derive(Clone, Args)]
pub struct OperatorKey {
    /// The operator's key, the same in all cells
    #[arg(long, env = "RIAD_OPERATOR_KEY", hide_env_values = true, value_parser = secret)]
    key: Option<Secret<String>>,
}

impl std::fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the operator's key")
    }
}

impl OperatorKey {
    /// # Errors
    /// `Unauthenticated` without a key.
    pub fn get(&self) -> Result<Secret<String>> {
        let key = self.key.clone();
        key.ok_or_else(|| missing_key("the operator's key with --key or RIAD_OPERATOR_KEY"))
    }
}

impl std::fmt::Debug for TenantAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tenant access to {}", self.url)
    }
}

impl std::fmt::Debug for OperatorAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "operator access to {}", self.url)
    }
}

impl TenantAccess {
    /// # Errors
    /// `Unauthenticated` without a key, `InvalidRequest` for an invalid URL.
    pub fn client(&self) -> Result<Client> {
        let key = self.key.clone().ok_or_else(|| missing_key("--key or RIAD_KEY"))?;
        Client::new(&self.url, key)
    }
}

impl OperatorAccess {
    /// # Errors
    /// `Unauthenticated` without a key, `InvalidRequest` for an invalid URL.
    pub fn client(&self) -> Result<Client> {
        let key = OperatorKey { key: self.key.clone() };
        Client::new(&self.url, key.get()?)
    }
}

fn secret(text: &str) -> Result<Secret<String>> {
    Ok(Secret::new(text.to_owned()))
}

fn missing_key(what: &str) -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        format!("this command needs a key: set {what}"),
    )
}
