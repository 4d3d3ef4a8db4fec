//! The traits through which the crates meet. One trait a file, small, each method documented: when it is called, whether it
//! may block, what cancels it, how it fails. Not here: any implementation.

mod adapters;
mod audit;
mod capabilities;
mod directory;
mod documents;
mod embedder;
mod engine;
mod keyring;
mod ledger;
mod plans;
mod plugins;
mod replies;
mod rooms;
mod sandbox;
mod scheduler;
mod settings;
mod sql;
mod telemetry;
mod tokens;
mod webhooks;

pub use adapters::AdapterShelf;
pub use audit::AuditLog;
pub use capabilities::{Capabilities, DocumentReader, LogLevel, TenantLog, TextEmbedder, TokenCounter};
pub use directory::Directory;
pub use documents::Documents;
pub use embedder::{Embedder, EmbeddingSpace};
pub use engine::{AdapterCounts, ChatEngine, Generation, GenerationEnd, GenerationEvent, GenerationStream, Tally};
pub use keyring::{FoundKey, Keyring};
pub use ledger::Ledger;
pub use plans::Plans;
pub use plugins::PluginShelf;
pub use replies::{Replies, Reply};
pub use rooms::{Room, Rooms, StoredBytes};
pub use sandbox::{ComponentInfo, ComponentSource, FilterId, PipelinePlan, PipelineRun, PlannedComponent, Sandbox};
pub use scheduler::{LaneTicket, Progress, QueueAsk, QueueState, Scheduler};
pub use settings::SettingsStore;
pub use sql::{SqlRows, SqlStore, SqlValue};
pub use telemetry::{Gauges, RequestSeen, Telemetry};
pub use tokens::{Claims, Tokens};
pub use webhooks::{BudgetNotice, Webhooks};
