//! The ledger: holds, entries, and queries over them.

use crate::{
    Account, KeyId, Result,
    ledger::{ChainHead, EngineTokens, Entry, EntryCheck, Record, Spent, Verification},
    usage::{EntryQuery, Rollup, UsageBucket, UsageQuery},
};
use async_trait::async_trait;
use futures::future::BoxFuture;

/// Implemented by the control database: one writer, whose commits many callers share. Entries cannot be changed or deleted,
/// which the database itself enforces.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Queues a record without blocking; records are written in the order of the calls. For an entry, the future
    /// resolves when it is synced to the disk; for a hold, when it survives a killed process (the next entry syncs it too).
    /// Dropping the future changes nothing. If a write fails, its records' futures do, and so do those of later records until writing
    /// works again; entries are kept meanwhile and written first, in their order, while holds are forgotten.
    fn append(&self, record: Record) -> BoxFuture<'static, Result<()>>;

    /// Holds that a dead process left behind, as they were found when the ledger was opened. Each is to be ended by an entry with
    /// [`crate::ledger::Outcome::Abandoned`] before anything else is appended.
    async fn abandoned(&self) -> Result<Vec<crate::ledger::Hold>>;

    async fn head(&self, account: Account) -> Result<ChainHead>;

    /// What an account, or one of its keys and those that it was rotated to, has spent: in total, in the month and on the day of `now` (seconds, UTC).
    async fn spent(&self, account: Account, key: Option<&KeyId>, now: u64) -> Result<Spent>;

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageBucket>>;

    /// Days from `start` to `end` (exclusive), seconds UTC.
    async fn rollups(&self, scope: crate::usage::LedgerScope, start: u64, end: u64) -> Result<Vec<Rollup>>;

    /// With their positions, oldest first.
    async fn entries(&self, query: EntryQuery) -> Result<Vec<(u64, Entry)>>;

    /// Recounts everything that the database can check by itself: numbers without a gap, receipts chained by their hashes,
    /// costs by the prices of their versions, rollups equal to a recount, no hold without an account. `check` looks at each receipt's
    /// signature and says what is wrong with it.
    async fn verify(&self, check: Box<EntryCheck>) -> Result<Verification>;

    /// Records the engine's token counts of this run. Called at shutdown, after the last request has been settled.
    async fn end_run(&self, engine: EngineTokens) -> Result<()>;

    /// The key that receipts are signed with. The first call stores `make`; later ones return what is stored.
    async fn signing_key(&self, make: Vec<u8>) -> Result<crate::Secret<Vec<u8>>>;
}
