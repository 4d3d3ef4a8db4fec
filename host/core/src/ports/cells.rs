//! Cells: servers that have the tenants of some slots each.

use crate::{CellName, Result, slot::Slot};

/// What this server knows of the cells. Without it, a server serves every tenant.
pub trait Cells: Send + Sync {
    /// Called for each request before anything is looked up, and before a tenant is made; must not block. `Misdirected` names the cell that
    /// serves the slot, if it is another one than this server.
    fn check(&self, slot: Slot) -> Result<()>;

    /// Replaces the slots that this server serves whatever the map says, because their tenants move: the old cell until the move has ended, the
    /// new one as soon as it has them.
    fn keep(&self, slots: Vec<Slot>);

    /// What the map says of a slot.
    fn owner(&self, slot: Slot) -> CellName;

    /// This server's own name.
    fn name(&self) -> &CellName;
}
