//! Where money is written down.

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
    /// Queues a record without blocking; records are written in the order of the calls. The future is ready when an entry is
    /// on the disk, and when a hold is where a killed process leaves it: a hold alone does not wait for the disk, it is on it with the
    /// next entry. Dropping the future changes nothing. Fails when the disk does, and then for all that follows.
    fn append(&self, record: Record) -> BoxFuture<'static, Result<()>>;

    /// Holds that a dead process left behind, as they were found when the ledger was opened. Each is to be ended by an entry with
    /// [`crate::ledger::Outcome::Abandoned`] before anything else is appended.
    async fn abandoned(&self) -> Result<Vec<crate::ledger::Hold>>;

    async fn head(&self, account: Account) -> Result<ChainHead>;

    /// Spent by an account, or by one of its keys, in all, in the month and on the day of `now` (seconds, UTC).
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

    /// Writes down what the engine has counted in this run. Called when the last request has been settled, at the end.
    async fn end_run(&self, engine: EngineTokens) -> Result<()>;

    /// A secret that is kept with the ledger: the receipts' signing key. Stores `make`'s at the first call.
    async fn signing_key(&self, make: Vec<u8>) -> Result<crate::Secret<Vec<u8>>>;
}
