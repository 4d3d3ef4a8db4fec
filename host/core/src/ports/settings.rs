//! A tenant's settings: a JSON object that its plugins read.

use crate::Result;
use async_trait::async_trait;
use serde_json::{Map, Value};

#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// Empty if nothing was ever set.
    async fn get(&self) -> Result<Map<String, Value>>;

    /// Replaces the whole object, durably.
    async fn put(&self, settings: &Map<String, Value>) -> Result<()>;
}
