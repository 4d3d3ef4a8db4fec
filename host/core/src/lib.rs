//! The words of the domain, the ports between crates, the limits and the one closed error kind.
//!
//! Not here: any IO, SQL, HTTP, wasmtime or candle. Everything in this crate can be read without knowing how a room is
//! stored, how a token is made or how a guest is run.

pub mod account;
pub mod adapter;
pub mod audit;
mod authorize;
pub mod chat;
pub mod clock;
pub mod document;
pub mod document_job;
pub mod error;
pub mod file;
pub mod grants;
mod http_host;
pub mod ids;
pub mod ingestion;
pub mod json;
mod key_hash;
pub mod ledger;
pub mod limits;
pub mod manifest;
mod model_name;
pub mod moving;
pub mod pass;
pub mod pipeline;
pub mod plugin;
mod plugin_version;
pub mod policy;
pub mod ports;
pub mod price;
pub mod profile;
pub mod ranking;
pub mod receipt;
pub mod resources;
pub mod search_scope;
pub mod secret;
pub mod slot;
pub mod snapshot;
pub mod tenant;
pub mod upload;
pub mod usage;
pub mod vector_store;

pub use account::Account;
pub use clock::{Clock, SystemClock, Timestamp};
pub use error::{Error, ErrorKind, Result};
pub use http_host::HttpHost;
pub use ids::{
    AdapterAlias, CellName, Digest, DocumentId, DocumentJobId, FileBatchId, FileId, KeyId, PartId, PartsDigest,
    PlanName, PluginName, ResponseId, RoomId, SnapshotId, TenantId, UploadId, VectorStoreId,
};
pub use limits::Limits;
pub use model_name::ModelName;
pub use pass::{OperatorPass, TenantPass};
pub use plugin_version::PluginVersion;
pub use secret::Secret;
