//! `/operator/v1/cell`, `/operator/v1/tenants/{id}/move` and `/operator/v1/tenants/{id}/snapshot`: what `riad cell move` asks of two cells.

use riad_core::{
    CellName,
    moving::{self, ClosedAccount, Direction, MovedRoom, MovedTenant},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// A server among the cells.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Cell {
    #[schema(example = "cell")]
    pub object: Cow<'static, str>,
    /// As in `cell.name`.
    pub name: String,
    /// Slots that its map gives it: first and last of each range.
    #[schema(example = json!([[0, 8191]]))]
    pub slots: Vec<(u16, u16)>,
    /// Tenants that go to another cell, or come from one.
    pub moves: Vec<Move>,
}

/// A move that has not ended.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Move {
    pub tenant: String,
    /// `out`: the tenant leaves this server; `in`: it comes.
    #[schema(value_type = String, example = "out")]
    pub direction: Direction,
    /// The other cell.
    pub cell: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMove {
    /// The cell that the tenant goes to.
    #[schema(value_type = String, example = "b")]
    pub to: CellName,
}

/// A room that will come.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComingRoom {
    /// The cell that the tenant comes from.
    #[schema(value_type = String, example = "a")]
    pub from: CellName,
    /// As the old cell has saved it.
    #[schema(value_type = Object)]
    pub saved: MovedRoom,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PrefetchedRoom {
    #[schema(example = "room.prefetched")]
    pub object: Cow<'static, str>,
    pub tenant: String,
    /// Bytes; 0 if the room is too large to be fetched before its tenant comes.
    pub bytes: u64,
}

/// A tenant as the new cell takes it.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct LeavingTenant {
    #[schema(example = "tenant.leaving")]
    pub object: Cow<'static, str>,
    /// Name, policy, hashes of keys, sums of what was spent, and where its room is saved.
    #[schema(value_type = Object)]
    pub tenant: MovedTenant,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivingTenant {
    /// The cell that the tenant comes from.
    #[schema(value_type = String, example = "a")]
    pub from: CellName,
    /// As the old cell gave it.
    #[schema(value_type = Object)]
    pub tenant: MovedTenant,
}

/// The end of a move: without a member in the old cell, with what that answered in the new one.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveEnd {
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedAccount>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct EndedMove {
    #[schema(example = "tenant.moved")]
    pub object: Cow<'static, str>,
    pub id: String,
    /// How the account ended in the old cell.
    #[schema(value_type = Object)]
    pub closed: ClosedAccount,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct AbortedMove {
    #[schema(example = "tenant.move.aborted")]
    pub object: Cow<'static, str>,
    pub id: String,
}

/// A room that was saved.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct SavedRoom {
    #[schema(example = "room.snapshot")]
    pub object: Cow<'static, str>,
    pub tenant: String,
    /// Null if the tenant has stored nothing yet.
    #[schema(value_type = Option<Object>)]
    pub saved: Option<MovedRoom>,
}

impl From<moving::Move> for Move {
    fn from(found: moving::Move) -> Self {
        Self {
            tenant: found.tenant.into(),
            direction: found.direction,
            cell: found.cell.into(),
        }
    }
}
