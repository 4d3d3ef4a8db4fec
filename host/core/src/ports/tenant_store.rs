//! The tenants of this server.

use super::HashedKey;
use crate::{
    Account, Result, TenantId,
    audit::AuditEntry,
    pass::OperatorPass,
    policy::Policy,
    tenant::{Tenant, TenantQuery},
};
use async_trait::async_trait;

/// Implemented by the control database; only the operator's use cases call it. A change and its line in the audit log are one
/// transaction.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Creates a tenant with a new account and its first key, and returns it; the account in `tenant` is ignored. `Conflict` if
    /// the id is taken, also by a tenant whose deletion is not finished. `audit` has the tenant's entry, then the key's; both get
    /// the new account.
    async fn create(
        &self,
        operator: &OperatorPass,
        tenant: &Tenant,
        first_key: &HashedKey,
        audit: [AuditEntry; 2],
    ) -> Result<Tenant>;

    /// `NotFound` if there is none.
    async fn get(&self, operator: &OperatorPass, tenant: &TenantId) -> Result<Tenant>;

    /// All of them, by id.
    async fn list(&self, operator: &OperatorPass) -> Result<Vec<Tenant>>;

    /// A page of them, by id: reads what the page has, and without a search nothing else.
    async fn page(&self, operator: &OperatorPass, query: TenantQuery) -> Result<Vec<Tenant>>;

    /// Replaces name and policy if the tenant still has the policy `from`: `Conflict` if somebody else was quicker.
    async fn change(
        &self,
        operator: &OperatorPass,
        tenant: &TenantId,
        from: &Policy,
        to: (&str, &Policy),
        audit: AuditEntry,
    ) -> Result<Tenant>;

    /// Revokes the tenant's keys and forgets the tenant; its account stays in the ledger. The room is removed by
    /// [`super::Rooms::remove`]; until that has succeeded this can be called again. `NotFound` if there is no such tenant.
    async fn delete(&self, operator: &OperatorPass, tenant: &TenantId, audit: AuditEntry) -> Result<Account>;
}
