//! The traits through which the crates meet, one file per subject. A comment on a method says what its signature does not: when it
//! is called, whether it may block, what cancels it, how it fails. Not here: any implementation.

mod adapters;
mod audit;
mod batch;
mod capabilities;
mod cells;
mod document_jobs;
mod documents;
mod embedder;
mod engine;
mod files;
mod generator;
mod guest_calls;
mod http;
mod idempotency;
mod key_store;
mod kv;
mod ledger;
mod moves;
mod plans;
mod plugins;
mod reranker;
mod responses;
mod rooms;
mod sandbox;
mod scheduler;
mod settings;
mod snapshots;
mod sql;
mod telemetry;
mod tenant_store;
mod tokens;
mod uploads;
mod vector_stores;
mod webhooks;

pub use adapters::AdapterStore;
pub use audit::AuditLog;
pub use batch::{BatchState, Buckets, Histogram};
pub use capabilities::{
    Capabilities, DOCUMENTS_LISTED, DocumentReader, LogLevel, TenantLog, TextEmbedder, TokenCounter,
};
pub use cells::Cells;
pub use document_jobs::DocumentJobs;
pub use documents::Documents;
pub use embedder::{Embedder, EmbeddingSpace, TextRole};
pub use engine::{
    AdapterCounts, ChatEngine, EncodedPrompt, Generation, GenerationEnd, GenerationEvent, GenerationStream, Piece,
    ResidentAdapter, UsageReporter,
};
pub use files::{FileReader, FileStore, FileWriter};
pub use generator::{GENERATION_STOPS, Generated, Generator, GuestPrompt};
pub use guest_calls::{CallObserver, GuestCall, GuestCallEnd};
pub use http::{HttpClient, HttpFailure, HttpMethod, HttpRequest, HttpResponse, OutboundHttp};
pub use idempotency::{IdempotencyStore, KeptRequest, RequestMark, StoredObject, StoredResponse};
pub use key_store::{HashedKey, KeyRecord, KeyRotation, KeyStore, PlanRotation};
pub use kv::{KV_KEY_BYTES, KV_SECONDS, KV_VALUE_BYTES, KvStore};
pub use ledger::Ledger;
pub use moves::Moves;
pub use plans::Plans;
pub use plugins::PluginStore;
pub use reranker::Reranker;
pub use responses::{ConversationSize, Exchange, KeptResponse, NewResponse, ResponseStore, Retention};
pub use rooms::{Room, Rooms, Storage, StoredBytes};
pub use sandbox::{
    ComponentInfo, ComponentSource, FilterId, GuestUse, IngestionRun, PipelinePlan, PipelineRun, PlannedComponent,
    Sandbox,
};
pub use scheduler::{EnginePermit, Progress, QueueRequest, QueueState, Scheduler};
pub use settings::SettingsStore;
pub use snapshots::{
    CopiedFile, EarlierFile, RoomCopies, RoomCopy, RoomRestore, SaveOutcome, SnapshotStore, StoredSnapshot, UnsavedRoom,
};
pub use sql::{SqlRows, SqlStore, SqlValue};
pub use telemetry::{Gauges, OPENMETRICS_CONTENT_TYPE, RequestRecord, Telemetry};
pub use tenant_store::TenantStore;
pub use tokens::{Claims, Tokens};
pub use uploads::{PartWriter, UploadStore};
pub use vector_stores::VectorStores;
pub use webhooks::{BudgetNotice, Webhooks};
