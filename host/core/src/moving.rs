//! A tenant that goes from one cell to another: what its old cell tells the new one. Its room goes as a snapshot.
//! Not here: in which order it goes (`services`), what is kept of it (`ports::Moves`).

use crate::{
    CellName, Digest, KeyId, RoomId, SnapshotId, TenantId,
    grants::{KeyRole, Scope},
    policy::{Budget, Policy},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A tenant as it leaves its cell. Whoever has it can serve the tenant's keys, but cannot learn them: they are hashes of 256 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedTenant {
    pub id: TenantId,
    pub name: String,
    /// Seconds since 1970-01-01 UTC: tokens of an identity provider that are older stay refused.
    pub created: u64,
    pub policy: Policy,
    /// Live keys, oldest first.
    pub keys: Vec<MovedKey>,
    pub spent: Vec<DaySpent>,
    /// `None` if the tenant has stored nothing yet.
    pub room: Option<MovedRoom>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedKey {
    pub id: KeyId,
    pub name: String,
    pub prefix: String,
    /// SHA-256 of the key.
    pub hash: Digest,
    pub role: KeyRole,
    pub scopes: BTreeSet<Scope>,
    pub budget: Budget,
    pub created: u64,
    pub expires: Option<u64>,
    /// The key that it came from by rotations: budgets count the spending of all of them.
    pub root: Option<KeyId>,
}

/// The snapshot that has the tenant's room, in the object store that both cells share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovedRoom {
    /// The id that the room has in the old cell; in the new one it gets another.
    pub room: RoomId,
    pub snapshot: SnapshotId,
}

/// What was spent on one day with one key and those that came from it by rotations, for the budgets in the new cell. It is billed in the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaySpent {
    /// The beginning of the day in seconds since 1970-01-01 UTC; 0 stands for all days that are in no budget's month any more.
    pub day: u64,
    /// Absent for what time costs.
    pub key: Option<KeyId>,
    pub tokens: u64,
    /// Nano-units (10⁻⁹ of the currency).
    pub nanos: u64,
}

/// The end of a tenant's ledger in its old cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedAccount {
    /// The number of the account's last entry, of the kind `moved`.
    pub number: u64,
    /// SHA-256 of that entry's receipt.
    pub receipt: Digest,
    /// With what was spent while the tenant moved.
    pub spent: Vec<DaySpent>,
}

/// Which of its two cells a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The tenant leaves this server.
    Out,
    /// The tenant comes to this server.
    In,
}

/// A move that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    pub tenant: TenantId,
    pub direction: Direction,
    /// The other cell.
    pub cell: CellName,
}
