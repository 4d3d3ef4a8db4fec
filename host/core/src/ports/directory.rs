//! The tenants of this server.

use crate::{Result, TenantId, pass::OperatorPass, tenant::Tenant};
use async_trait::async_trait;

/// Implemented by the control database; only the operator's use cases call it.
#[async_trait]
pub trait Directory: Send + Sync {
    /// `Conflict` if the id is taken, also by a tenant whose deletion is not finished.
    async fn create(&self, operator: &OperatorPass, tenant: &Tenant) -> Result<()>;

    /// `NotFound` if there is none.
    async fn get(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<Tenant>;

    /// All of them, by id.
    async fn list(&self, operator: &OperatorPass) -> Result<Vec<Tenant>>;

    /// Revokes the tenant's keys and forgets the tenant. The room is removed by [`super::Rooms::remove`];
    /// until that has succeeded this can be called again. `NotFound` if there is no such tenant.
    async fn delete(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<()>;
}
