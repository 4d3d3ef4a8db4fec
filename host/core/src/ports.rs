//! The traits through which the crates meet. One trait a file, small, each method documented: when it is called, whether it
//! may block, what cancels it, how it fails. Not here: any implementation.

mod adapters;
mod capabilities;
mod directory;
mod documents;
mod embedder;
mod engine;
mod keyring;
mod meter;
mod plugins;
mod rooms;
mod sandbox;
mod scheduler;
mod settings;
mod sql;

pub use adapters::AdapterShelf;
pub use capabilities::{Capabilities, DocumentReader, LogLevel, TenantLog, TextEmbedder, TokenCounter};
pub use directory::Directory;
pub use documents::Documents;
pub use embedder::{Embedder, EmbeddingSpace};
pub use engine::{AdapterCounts, ChatEngine, Generation, GenerationEnd, GenerationEvent, GenerationStream};
pub use keyring::{FoundKey, Keyring};
pub use meter::{Meter, Reservation, Used};
pub use plugins::PluginShelf;
pub use rooms::{Room, Rooms};
pub use sandbox::{ComponentInfo, ComponentSource, FilterId, PipelinePlan, PipelineRun, PlannedComponent, Sandbox};
pub use scheduler::{LaneTicket, QueueAsk, Scheduler};
pub use settings::SettingsStore;
pub use sql::{SqlRows, SqlStore, SqlValue};
