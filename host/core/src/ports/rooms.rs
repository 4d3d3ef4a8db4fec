//! Opening and removing tenants' rooms.

use super::{
    AdapterStore, DocumentJobs, Documents, FileStore, IdempotencyStore, KvStore, PluginStore, ResponseStore,
    SettingsStore, SqlStore, UploadStore, VectorStores,
};
use crate::{Account, Error, ErrorKind, OperatorPass, Result, TenantId, TenantPass};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// An open room. Cloning is cheap; the room stays open while a clone lives.
#[derive(Clone)]
pub struct Room {
    pub documents: Arc<dyn Documents>,
    pub document_jobs: Arc<dyn DocumentJobs>,
    pub files: Arc<dyn FileStore>,
    pub uploads: Arc<dyn UploadStore>,
    pub vector_stores: Arc<dyn VectorStores>,
    pub sql: Arc<dyn SqlStore>,
    pub kv: Arc<dyn KvStore>,
    pub settings: Arc<dyn SettingsStore>,
    pub plugins: Arc<dyn PluginStore>,
    pub adapters: Arc<dyn AdapterStore>,
    pub idempotency: Arc<dyn IdempotencyStore>,
    pub responses: Arc<dyn ResponseStore>,
    /// As it was when the room was opened for this caller. What is stored is checked against it again.
    pub storage: Storage,
}

/// What a room stores: files, documents, index, SQL store, adapters, plugins, kept answers and responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// Bytes.
    pub stored: u64,
    /// Bytes that it may store.
    pub most: u64,
}

impl Storage {
    /// # Errors
    /// `StorageFull` if `more` bytes do not fit.
    pub fn check(&self, more: u64) -> Result<()> {
        if self.stored.saturating_add(more) <= self.most {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::StorageFull,
            format!(
                "this tenant stores {} bytes and may store {}, so that {more} more do not fit; delete files, documents, adapters or versions of plugins, or ask \
                 the operator for more (stored_bytes)",
                self.stored, self.most
            ),
        ))
    }
}

/// Bytes of a tenant's room on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBytes {
    pub account: Account,
    pub tenant: TenantId,
    pub bytes: u64,
}

#[async_trait]
pub trait Rooms: Send + Sync {
    /// Opens the pass's room for one request, or returns it if it is open: the time of plugins' SQL and values is that of the request. May read files and rebuild an index; a caller
    /// that goes away does not stop that. Fails when the disk does.
    async fn open(&self, pass: &TenantPass) -> Result<Room>;

    /// Refuses a change before any work is done for it: `Unavailable` while the tenant moves to another cell. What changes the room checks again.
    fn check_change(&self, pass: &TenantPass) -> Result<()>;

    /// Closes a room and deletes its folder, after the tenant store has deleted the tenant. Nothing is left of it when this
    /// returns. A room that never existed is no error.
    async fn remove(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<()>;

    /// Every room on the disk and its size, open or not. Reads folders, opens nothing.
    async fn stored(&self) -> Result<Vec<StoredBytes>>;

    /// Closes the rooms that nobody has used for so long, and those beyond the server's limits, but none that is in use.
    async fn close_idle(&self, idle: Duration) -> Result<()>;

    /// Rooms that are open now.
    fn open_rooms(&self) -> u64;

    /// Bytes of memory that they take for vectors and SQLite.
    fn open_room_bytes(&self) -> u64;
}
