//! Small values of a tenant's plugins, each with a time to live.

use crate::Result;
use async_trait::async_trait;

/// Bytes of a key (`wit/riad-kv`).
pub const KV_KEY_BYTES: usize = 256;
/// Bytes of a value.
pub const KV_VALUE_BYTES: usize = 64 << 10;
/// Seconds for which a value may live: a year.
pub const KV_SECONDS: u32 = 31_536_000;

/// The implementation is bound to one room, and to one request for the time that its calls may take together. All methods give
/// `InvalidRequest` for a key, a value or a time over the bounds above, and `PluginLimit` when the request has had its time.
#[async_trait]
pub trait KvStore: Send + Sync {
    /// `None` if the value was never set, or its time is over.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Durable when it returns. `PluginLimit` if the room has as many values as it may have, `StorageFull` if it stores as many bytes.
    async fn set(&self, key: &str, value: Vec<u8>, seconds: u32) -> Result<()>;

    /// Whether there was a value.
    async fn delete(&self, key: &str) -> Result<bool>;

    /// Adds to a number of 8 bytes, little-endian, in one step beside all other requests; a missing value is 0 and lives for `seconds` from
    /// now. `InvalidRequest` if the value is none, or the sum has more than 64 bits. Fails like `set`.
    async fn increment(&self, key: &str, by: i64, seconds: u32) -> Result<i64>;
}
