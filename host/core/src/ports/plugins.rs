//! The plugin versions of one room and its pipeline.

use crate::{
    Digest, PluginName, PluginVersion, Result,
    audit::AuditEntry,
    pipeline::{EndedCanary, Pipeline},
};
use async_trait::async_trait;
use bytes::Bytes;

/// The implementation is bound to one room.
#[async_trait]
pub trait PluginStore: Send + Sync {
    /// Stores a component that the sandbox has accepted. Storing the same name and version again is no error.
    async fn put(&self, version: &PluginVersion, component: Bytes) -> Result<()>;

    /// All versions, newest first.
    async fn list(&self) -> Result<Vec<PluginVersion>>;

    /// The component of a version. `NotFound` if this room has none.
    async fn load(&self, name: &PluginName, version: &Digest) -> Result<(PluginVersion, Bytes)>;

    /// Removes a version. `NotFound` if this room has none, `Conflict` if the active pipeline or its canary names it.
    async fn delete(&self, name: &PluginName, version: &Digest) -> Result<()>;

    /// The active pipeline; all standard if none was ever set.
    async fn pipeline(&self) -> Result<Pipeline>;

    /// Activates a pipeline for all later requests, and returns it with the `last_canary` of the one before: only [`Self::end_canary`]
    /// writes that. `NotFound` if it names a version that this room does not have, `Conflict` if it must not replace the one before
    /// ([`Pipeline::check_replaces`]).
    async fn set_pipeline(&self, pipeline: &Pipeline) -> Result<Pipeline>;

    /// Ends the canary of this trial ([`Pipeline::trial`]), and keeps the line about it in the room until it is in the audit log. `false` if
    /// the pipeline has been changed and has it no more; then nothing is written.
    async fn end_canary(&self, trial: &Digest, ended: &EndedCanary, line: &AuditEntry) -> Result<bool>;

    /// Moves the lines that [`Self::end_canary`] has kept to the audit log, each once. Opening the room does the same, so that a crash
    /// loses none.
    async fn move_audit_lines(&self) -> Result<()>;
}
