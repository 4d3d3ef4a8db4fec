//! The adapters of one room.

use crate::{
    AdapterAlias, Result,
    adapter::{Adapter, AdapterChange, AdapterFiles, AdapterInfo, AdapterSource, KeptGeneration},
};
use async_trait::async_trait;

/// The implementation is bound to one room.
#[async_trait]
pub trait AdapterStore: Send + Sync {
    /// Stores a generation that the engine has accepted and points the alias to it, in one step: on failure the alias
    /// keeps the generation it had. Generations that the alias pointed to before are kept up to `limits.adapter_generations`.
    async fn put(&self, alias: &AdapterAlias, files: &AdapterFiles, info: &AdapterInfo) -> Result<Adapter>;

    /// By alias.
    async fn list(&self) -> Result<Vec<Adapter>>;

    /// The generation that the alias points to now; its files stay while the source lives. `ModelNotFound` if this room
    /// has no such alias.
    async fn resolve(&self, alias: &AdapterAlias) -> Result<AdapterSource>;

    /// The generations of an alias that are kept, the last upload first. `NotFound` if this room has no such alias.
    async fn generations(&self, alias: &AdapterAlias) -> Result<Vec<KeptGeneration>>;

    /// `NotFound` if this room has no such alias or it keeps no such generation, `Conflict` if there is none before the current one.
    async fn change(&self, alias: &AdapterAlias, change: AdapterChange) -> Result<Adapter>;

    /// Forgets the alias; files go when no request holds them. `NotFound` if this room has no such alias.
    async fn delete(&self, alias: &AdapterAlias) -> Result<()>;
}
