//! The command line as types.

mod access;
mod cell;
mod operations;
mod plugins;
mod room;
mod values;

pub use access::{OperatorAccess, OperatorKey, TenantAccess};
pub use cell::{CellCommand, MapPlace, MoveOptions, PlannedCell};
pub use operations::{
    AuditArgs, DoctorArgs, KeyCommand, LedgerCommand, ModelCheckArgs, ModelCommand, PlanCommand, ReceiptCommand,
    ScaleArgs, TenantCommand, UsageArgs, UsageQuestion,
};
pub use plugins::{PluginCommand, ProjectFolder};
pub use room::{RoomCommand, RoomPlace, SnapshotPlace};
pub use values::{Change, Member, StageSetting, WantedChoice};

use clap::{Args, Parser, Subcommand};
use riad_core::{AdapterAlias, Digest, DocumentId, VectorStoreId};
use std::path::PathBuf;

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
    /// Check, repair, export, import, save and restore rooms without a server (operator)
    #[command(subcommand)]
    Room(RoomCommand),
    /// Say which cell serves which tenants, and configure proxies in front of several cells (operator)
    #[command(subcommand)]
    Cell(CellCommand),
    /// Show who changed what, when and from where (operator)
    Audit(AuditArgs),
    /// Show the signals for an autoscaler (operator)
    Scale(ScaleArgs),
    /// Add, list, show and delete documents
    Document(TenantCall<DocumentCommand>),
    /// Write, test, deploy and roll back plugins
    Plugin(TenantCall<PluginCommand>),
    /// Show and change which component serves each stage of a request
    Pipeline(TenantCall<PipelineCommand>),
    /// Show and change the settings that plugins read
    Settings(TenantCall<SettingsCommand>),
    /// Upload, list, roll back, pin and delete LoRA adapters
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
    /// Check a model before starting a server
    #[command(subcommand)]
    Model(ModelCommand),
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

#[derive(Debug, Subcommand)]
pub enum DocumentCommand {
    /// Add files, but those that are there already; a file is searchable as soon as it has been added
    Add {
        /// PDF, office documents, EPUB, HTML, CSV, JSON, Markdown, mail, code or text
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Title, for a single file; if not given, the one that is in the file, or its name
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
pub enum PipelineCommand {
    /// Show which component serves each stage
    Show,
    /// Change stages, as in `prompting=price-desk` (its newest version) or `prompting=standard`
    Set {
        /// A stage, and `standard`, a plugin's name, or name@sha256:…
        #[arg(required = true, value_name = "STAGE=CHOICE")]
        stages: Vec<StageSetting>,
    },
    /// Choose the vector stores that chats are answered from; without one, it is the room's documents
    Stores {
        /// Ids as in `vs_…`, at most 8
        #[arg(value_name = "VECTOR_STORE")]
        stores: Vec<VectorStoreId>,
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
    /// List the generations of an alias that it can be rolled back to
    Generations {
        /// The alias
        alias: AdapterAlias,
    },
    /// Point an alias to the generation before its current one, or to the one that is given
    Rollback {
        /// The alias
        alias: AdapterAlias,
        /// sha256:…, as `adapter generations --json` shows it
        generation: Option<Digest>,
    },
    /// Keep an adapter in the engine's memory, within what the operator allows
    Pin {
        /// The alias
        alias: AdapterAlias,
    },
    /// Let an adapter leave the engine's memory when others need the room
    Unpin {
        /// The alias
        alias: AdapterAlias,
    },
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
    /// Chunks before and after each one that is found, up to 4
    #[arg(long, default_value_t = 0)]
    pub neighbors: u32,
    /// Say why each passage was found
    #[arg(long)]
    pub explain: bool,
    /// What to search for
    #[arg(required = true)]
    pub query: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(flatten)]
    pub at: TenantAccess,
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
