//! Tenants on their way between two cells, as the control database remembers them across restarts.

use crate::{
    CellName, OperatorPass, Result, TenantId,
    audit::AuditEntry,
    moving::{ClosedAccount, DaySpent, Move, MovedTenant},
    tenant::Tenant,
};
use async_trait::async_trait;

/// Every call can be repeated: whoever moves a tenant begins again after a crash, and goes on where it ended.
#[async_trait]
pub trait Moves: Send + Sync {
    /// Those that have not ended. Called at start, and when one begins or ends.
    async fn all(&self) -> Result<Vec<Move>>;

    /// That of one tenant, if it has not ended.
    async fn find(&self, tenant: &TenantId) -> Result<Option<Move>>;

    /// Refuses with `Unavailable` whatever changes the tenant's room from when this returns, also after a restart; reads go on. Returns the
    /// tenant. `NotFound` if there is none; `Conflict` if it moves elsewhere.
    async fn begin(
        &self,
        operator: &OperatorPass,
        tenant: &TenantId,
        to: &CellName,
        audit: AuditEntry,
    ) -> Result<Tenant>;

    /// The tenant as it is to go, without its room.
    async fn export(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<MovedTenant>;

    /// Gives up a move out, after which the room can be changed again, or one in, of which nothing is kept here. `NotFound` if there is none.
    async fn abort(&self, operator: &OperatorPass, tenant: &TenantId, audit: AuditEntry) -> Result<()>;

    /// Remembers that a tenant comes, so that what is written of it is known as unfinished, and removes what an earlier attempt has left.
    /// `Conflict` if the server has the tenant.
    async fn expect(&self, operator: &OperatorPass, tenant: &TenantId, from: &CellName) -> Result<()>;

    /// Makes the tenant with its keys and what they have spent. Its room is in its place.
    async fn receive(&self, operator: &OperatorPass, moved: &MovedTenant, audit: AuditEntry) -> Result<Tenant>;

    /// Remembers how the tenant's ledger ended here, for a caller that asks again when the tenant is gone.
    async fn close(&self, operator: &OperatorPass, tenant: &TenantId, closed: &ClosedAccount) -> Result<()>;

    /// What [`Self::close`] has kept of the tenant's last move, if it has left this server.
    async fn closed(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<Option<ClosedAccount>>;

    /// What was spent in this server, as [`MovedTenant::spent`] has it.
    async fn spent(&self, operator: &OperatorPass, tenant: &Tenant) -> Result<Vec<DaySpent>>;

    /// Ends a move in: from now on this is a tenant like any other. Returns what was spent elsewhere beyond what [`Self::receive`] knew, or
    /// `None` if the move has ended already.
    async fn finish(
        &self,
        operator: &OperatorPass,
        tenant: &Tenant,
        spent: &[DaySpent],
        audit: AuditEntry,
    ) -> Result<Option<Vec<DaySpent>>>;
}
