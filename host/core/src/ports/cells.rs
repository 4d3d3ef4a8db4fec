//! Cells: servers that have the tenants of some slots each.

use crate::{Result, slot::Slot};

/// What this server knows of the cells. Without it, a server serves every tenant.
pub trait Cells: Send + Sync {
    /// Called for each request before anything is looked up, and before a tenant is made; must not block. `Misdirected` names the cell that
    /// serves the slot, if it is another one than this server.
    fn check(&self, slot: Slot) -> Result<()>;
}
