//! Rooms on disk: SQLite is the truth, usearch a cache of it.
//!
//! `<data>/lock` keeps other processes out, `<data>/control.db` has the tenants, their keys, the audit log and the ledger, and
//! each tenant has `<data>/rooms/<tenant>/` with `room.db`, `plugin.db`, `index.usearch`, `adapters/` and `plugins/`.
//! Not here: chunking, embedding and who may call what (`services`), HTTP, wasmtime, the engine.

mod adapters;
mod attributes;
mod audit;
mod audit_lines;
mod changes;
mod control;
mod data_lock;
mod document_jobs;
mod document_text;
mod documents;
mod embedding_space;
mod erasure;
mod error;
mod expired;
mod file_rows;
mod files;
mod fusion;
mod generations;
mod idempotency;
mod identity;
mod incoming_room;
mod index;
mod indexes;
mod key_cache;
mod key_store;
mod key_uses;
mod known_embeddings;
mod kv;
mod ledger;
mod metadata;
mod move_records;
mod moves;
mod names;
mod offline;
mod offline_room;
mod offline_rooms;
mod open_files;
mod plans;
mod plugins;
mod position;
mod query_reader;
mod quota;
mod reembedding;
mod reserve;
mod responses;
mod room;
mod room_archive;
mod room_check;
mod room_copy;
mod room_documents;
mod room_repair;
mod room_rows;
mod room_schema;
mod room_vector_stores;
mod rooms;
mod scratch;
mod search;
mod settings;
mod snapshot_records;
mod sql;
mod sql_store;
mod sqlite;
mod sqlite_memory;
mod staged;
mod state;
mod stored_files;
mod stored_uploads;
mod tenant_store;
mod unfinished;
mod vector_store_files;
mod vector_stores;
mod vectors;
mod words;

pub use offline::OfflineLedger;
pub use offline_room::{OfflineRoom, RoomRestore};
pub use offline_rooms::{RoomPipeline, read_pipelines, snapshot_owner, tenants_with_rooms};
pub use room_check::{Remedy, RoomFault, RoomReport};
pub use scratch::ScratchSql;
#[doc(hidden)]
pub use sql::fuzzing;

use audit::ControlAudit;
use control::Control;
use data_lock::DataLock;
use error::{StoreResult, run_blocking};
use key_store::ControlKeyStore;
use ledger::ControlLedger;
use moves::ControlMoves;
use parking_lot::Mutex;
use plans::ControlPlans;
use reserve::Reserve;
use riad_core::{
    Limits, Result,
    ports::{AuditLog, EmbeddingSpace, KeyStore, Ledger, Moves, Plans, RoomCopies, Rooms, TenantStore},
};
use rooms::{Registry, TenantRoomCopies, TenantRooms};
use std::{path::Path, sync::Arc};
use tenant_store::ControlTenantStore;

const CONTROL: &str = "control.db";
/// The schema version of `control.db` that this program writes. It updates older ones and reads no newer one.
pub const CONTROL_SCHEMA_VERSION: u32 = control::SCHEMA.version();

/// Everything that one data folder holds. One process at a time.
pub struct Store {
    control: Arc<Control>,
    ledger: Arc<ControlLedger>,
    registry: Arc<Registry>,
    lock: Arc<Mutex<Option<DataLock>>>,
}

impl Store {
    /// Opens the data folder, makes it if it is not there, and finishes deletions of tenants that were interrupted.
    /// Blocks on the disk; no room is opened.
    ///
    /// # Errors
    /// `Conflict` if another process has the folder; `Unavailable` if a newer version wrote it; `Internal` if the disk fails.
    pub fn open(data_dir: &Path, space: EmbeddingSpace, limits: &Limits) -> Result<Self> {
        Ok(Self::open_folder(data_dir, space, limits)?)
    }

    #[must_use]
    pub fn tenant_store(&self) -> Arc<dyn TenantStore> {
        Arc::new(ControlTenantStore::new(self.control.clone(), self.registry.clone()))
    }

    #[must_use]
    pub fn key_store(&self) -> Arc<dyn KeyStore> {
        Arc::new(ControlKeyStore::new(self.control.clone()))
    }

    #[must_use]
    pub fn rooms(&self) -> Arc<dyn Rooms> {
        Arc::new(TenantRooms::new(self.registry.clone()))
    }

    /// For snapshots.
    #[must_use]
    pub fn room_copies(&self) -> Arc<dyn RoomCopies> {
        Arc::new(TenantRoomCopies::new(self.registry.clone()))
    }

    /// Tenants that go to another cell, or come from one.
    #[must_use]
    pub fn moves(&self) -> Arc<dyn Moves> {
        Arc::new(ControlMoves::new(self.control.clone(), self.registry.clone()))
    }

    #[must_use]
    pub fn audit(&self) -> Arc<dyn AuditLog> {
        Arc::new(ControlAudit::new(self.control.clone()))
    }

    #[must_use]
    pub fn plans(&self) -> Arc<dyn Plans> {
        Arc::new(ControlPlans::new(self.control.clone()))
    }

    #[must_use]
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    /// Saves the indexes, closes the rooms, the ledger and the control database, and unlocks the data folder. Calls that
    /// come later fail with `Unavailable`. Needed for a quick next start only: without it, nothing acknowledged is lost.
    ///
    /// # Errors
    /// The first index that could not be saved; everything is closed all the same.
    pub async fn close(&self) -> Result<()> {
        let (control, ledger, registry) = (self.control.clone(), self.ledger.clone(), self.registry.clone());
        let lock = self.lock.clone();
        run_blocking(move || {
            let saved = registry.close();
            ledger.close();
            control.close();
            drop(lock.lock().take());
            saved
        })
        .await
    }

    fn open_folder(data_dir: &Path, space: EmbeddingSpace, limits: &Limits) -> StoreResult<Self> {
        files::create_folder(data_dir)?;
        // Absolute, so that a relative path stays right and can never be read as a SQLite URI.
        let data_dir = data_dir.canonicalize()?;
        // Keys' hashes, the key that signs receipts and the tenants' documents are in it.
        files::make_private(&data_dir)?;
        let lock = DataLock::take(&data_dir)?;
        let rooms = data_dir.join("rooms");
        files::create_folder(&rooms)?;
        // Of imports that were killed.
        files::remove_unfinished(&rooms)?;
        let reserve = Reserve::open(&data_dir, limits.reserve_bytes)?;
        let path = data_dir.join(CONTROL);
        let control = Arc::new(reserve.spend(|| Control::open(&path, limits, &reserve))?);
        let ledger = reserve.spend(|| {
            let lock = control.database.writer_lock().clone();
            ControlLedger::open(&path, lock, control.queries.clone(), &reserve)
        })?;
        files::sync_folder(&data_dir)?;
        let registry = Arc::new(Registry::new(rooms, space, limits.clone(), control.clone(), reserve));
        registry.finish_deletions()?;
        registry.continue_moves()?;
        Ok(Self {
            control,
            ledger,
            registry,
            lock: Arc::new(Mutex::new(Some(lock))),
        })
    }
}
