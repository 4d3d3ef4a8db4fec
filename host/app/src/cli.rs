//! The command line as types.

mod money;

pub use money::{
    AuditArgs, Change, DoctorArgs, KeyCommand, LedgerCommand, PlanCommand, ReceiptCommand, ScaleArgs, TenantCommand,
    UsageArgs, UsageQuestion,
};

use crate::client::Client;
use clap::{Args, Parser, Subcommand};
use riad_core::{
    AdapterAlias, DocumentId, Error, ErrorKind, PluginName, Result, Secret,
    plugin::{Stage, StageChoice},
};
use serde_json::Value;
use std::{path::PathBuf, str::FromStr};

/// A multi-tenant LLM server: one base model, a private room for every tenant.
#[derive(Debug, Parser)]
#[command(name = "riad", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The command that a server runs as its own child; see [`Command::CompilePlugin`].
pub const COMPILE_PLUGIN: &str = "compile-plugin";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Start a server with two tenants, ask the same questions as both, and show the answers side by side
    Demo(DemoArgs),
    /// Create, change, list and delete tenants (operator)
    Tenant(OperatorCall<TenantCommand>),
    /// Create, rotate, list and revoke the keys of a tenant (operator)
    Key(OperatorCall<KeyCommand>),
    /// Set and list prices (operator)
    Plan(OperatorCall<PlanCommand>),
    /// Check and export the ledger, and show usage (operator)
    Ledger(OperatorCall<LedgerCommand>),
    /// Show who changed what, when and from where (operator)
    Audit(AuditArgs),
    /// Show the signals for an autoscaler (operator)
    Scale(ScaleArgs),
    /// Add, list, show and delete documents
    Document(TenantCall<DocumentCommand>),
    /// Deploy and list plugins
    Plugin(TenantCall<PluginCommand>),
    /// Show and change which component serves each stage of a request
    Pipeline(TenantCall<PipelineCommand>),
    /// Show and change the settings that plugins read
    Settings(TenantCall<SettingsCommand>),
    /// Upload, list and delete LoRA adapters
    Adapter(TenantCall<AdapterCommand>),
    /// Ask the model and print the answer while it is generated
    Chat(ChatArgs),
    /// Search the documents
    Search(SearchArgs),
    /// List the models and adapters that a key may use
    Models(ModelsArgs),
    /// Show usage and costs
    Usage(UsageArgs),
    /// List receipts, and check them offline
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Check configuration, models, disk, ports and certificates before starting a server
    Doctor(DoctorArgs),
    /// Compile one component, as the child of a server
    #[command(name = COMPILE_PLUGIN, hide = true)]
    CompilePlugin,
}

#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Folder for all data; created if it does not exist [config: server.data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to listen on [config: server.listen]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Configuration file (TOML); each key is also an environment variable RIAD_SECTION__KEY
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every configuration key with its default and meaning, then exit
    #[arg(long)]
    pub show_config: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub struct DemoArgs {
    /// Exit after the last question; the exit code says whether every check passed
    #[arg(long)]
    pub once: bool,
}

/// A command of the operator, and how to reach the server.
#[derive(Debug, Args)]
pub struct OperatorCall<T: Subcommand> {
    #[command(flatten)]
    pub at: OperatorAccess,
    #[command(subcommand)]
    pub command: T,
}

/// A command of a tenant, and how to reach the server.
#[derive(Debug, Args)]
pub struct TenantCall<T: Subcommand> {
    #[command(flatten)]
    pub at: TenantAccess,
    #[command(subcommand)]
    pub command: T,
}

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

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
        let key = self
            .key
            .clone()
            .ok_or_else(|| missing_key("the operator's key with --key or RIAD_OPERATOR_KEY"))?;
        Client::new(&self.url, key)
    }
}

#[derive(Debug, Subcommand)]
pub enum DocumentCommand {
    /// Add text or Markdown files; a file is searchable as soon as it has been added
    Add {
        /// UTF-8 text
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Title, for a single file; if not given, the first heading or the file name
        #[arg(long)]
        title: Option<String>,
        /// Metadata to filter searches by
        #[arg(long = "meta", value_name = "KEY=JSON")]
        metadata: Vec<Member>,
    },
    /// List the documents
    List,
    /// Show one document with its text
    Show {
        /// Its id, as `document list` shows it
        id: DocumentId,
    },
    /// Delete documents
    Delete {
        /// Their ids, as `document list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<DocumentId>,
    },
}

#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Upload a component; with --stage, also activate it for these stages
    Deploy {
        /// 1 to 64 of a-z, 0-9, '-' and '_'
        name: PluginName,
        /// A WebAssembly component
        file: PathBuf,
        /// Stage to activate: retrieval, prompting or postprocessing
        #[arg(long = "stage", value_name = "STAGE", value_delimiter = ',', value_parser = stage)]
        stages: Vec<Stage>,
    },
    /// List the plugin versions
    List,
}

#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// Show which component serves each stage
    Show,
    /// Change stages, as in `prompting=price-desk` (its newest version) or `prompting=standard`
    Set {
        /// A stage, and `standard`, a plugin's name, or name@sha256:…
        #[arg(required = true, value_name = "STAGE=CHOICE")]
        stages: Vec<StageSetting>,
    },
}

#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show the settings
    Show,
    /// Change some keys, as in `prices='{"drill": "129 euros"}'`; null removes a key
    Set {
        /// A key, and its value as JSON
        #[arg(required = true, value_name = "KEY=JSON")]
        members: Vec<Member>,
    },
    /// Replace all settings by a JSON object in a file
    Put {
        /// A JSON object
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdapterCommand {
    /// Upload a PEFT folder and point the alias to it
    Put {
        /// 1 to 64 of a-z, 0-9, '-' and '_'; the model is then named `model:alias`
        alias: AdapterAlias,
        /// The folder, with adapter_config.json and adapter_model.safetensors
        folder: PathBuf,
    },
    /// List the adapters
    List,
    /// Delete an alias
    Delete {
        /// The alias
        alias: AdapterAlias,
    },
}

#[derive(Debug, Args)]
pub struct ChatArgs {
    #[command(flatten)]
    pub at: TenantAccess,
    /// Model, or model:adapter; the base model if it is not given
    #[arg(long, short)]
    pub model: Option<String>,
    /// Wait for the whole answer (by default it is streamed)
    #[arg(long)]
    pub no_stream: bool,
    /// Most tokens of the answer
    #[arg(long)]
    pub max_tokens: Option<u32>,
    /// 0 always takes the likeliest token
    #[arg(long)]
    pub temperature: Option<f32>,
    /// What to ask
    #[arg(required = true)]
    pub text: Vec<String>,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    #[command(flatten)]
    pub at: TenantAccess,
    /// Most passages
    #[arg(long, default_value_t = 5)]
    pub limit: u32,
    /// Only documents whose metadata has this value
    #[arg(long = "filter", value_name = "KEY=JSON")]
    pub filter: Vec<Member>,
    /// What to search for
    #[arg(required = true)]
    pub query: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(flatten)]
    pub at: TenantAccess,
}

/// A member of a JSON object, written `KEY=JSON`.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub key: String,
    pub value: Value,
}

impl FromStr for Member {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::invalid("write KEY=JSON, for example limit=5 or name='\"Kestrel\"'"))?;
        let value = serde_json::from_str(value).map_err(|error| {
            Error::invalid(format!(
                "the value of `{key}` is not JSON ({error}); put a text into double quotes: {key}='\"text\"'"
            ))
        })?;
        Ok(Self {
            key: key.to_owned(),
            value,
        })
    }
}

/// Which component serves a stage, written `STAGE=CHOICE`.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSetting {
    pub stage: Stage,
    pub choice: WantedChoice,
}

#[derive(Debug, Clone, PartialEq)]
pub enum WantedChoice {
    Exact(StageChoice),
    /// The newest version with this name; the client looks it up.
    Newest(PluginName),
}

impl FromStr for StageSetting {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (name, choice) = text
            .split_once('=')
            .ok_or_else(|| Error::invalid("write STAGE=CHOICE, for example prompting=price-desk"))?;
        let choice = if choice == "standard" || choice.contains('@') {
            WantedChoice::Exact(choice.parse()?)
        } else {
            WantedChoice::Newest(choice.parse()?)
        };
        Ok(Self {
            stage: stage(name)?,
            choice,
        })
    }
}

fn stage(text: &str) -> Result<Stage> {
    Stage::ALL
        .into_iter()
        .find(|stage| stage.as_str() == text)
        .ok_or_else(|| Error::invalid("a stage is one of retrieval, prompting, postprocessing"))
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

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
