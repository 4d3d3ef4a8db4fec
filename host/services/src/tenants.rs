//! Tenants and their policies, for the operator. Not here: what a tenant does in its room.

use crate::{
    adapters, audit, control_admission,
    keys::{self, KeyOwner, KeyRequest, NewKey},
    shared::Shared,
};
use riad_core::{
    Account, Error, ErrorKind, OperatorPass, Result, TenantId, Timestamp,
    policy::Policy,
    slot::Slot,
    tenant::{Tenant, TenantQuery},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// How long a deletion waits for the object store. What is not done then is done later.
const SNAPSHOTS_TIME: Duration = Duration::from_secs(10);
/// Tenants of one page.
const PAGE_MAX: u32 = 1000;
/// The name of the key that a tenant begins with.
const FIRST_KEY: &str = "first";

pub struct TenantService(pub(crate) Arc<Shared>);

impl TenantService {
    /// Makes a tenant with its first key, an admin's.
    ///
    /// # Errors
    /// `Misdirected` if another cell serves the id's slot, `Conflict` if the id is taken, `InvalidRequest` for a bad name, or for what a policy may not say.
    pub async fn create(
        &self,
        operator: &OperatorPass,
        id: TenantId,
        name: &str,
        policy: &Value,
    ) -> Result<(Tenant, NewKey)> {
        if let Some(cells) = &self.0.cells {
            cells.check(Slot::of(&id))?;
        }
        let tenant = Tenant {
            id,
            account: Account::new(0),
            name: keys::check_name(name)?,
            created: Timestamp::now().as_seconds(),
            policy: self.patched(&Policy::default(), policy).await?,
            succeeds: false,
        };
        let detail = serde_json::to_value(&tenant.policy).map_err(Error::internal)?;
        let entry = audit::by_operator(
            operator,
            Some(&tenant.id),
            "tenant.create",
            tenant.id.as_str(),
            Some(&detail),
        );
        let request = KeyRequest {
            name: FIRST_KEY.to_owned(),
            ..KeyRequest::default()
        };
        let owner = KeyOwner::Named(operator.clone(), tenant.id.clone());
        let (first_key, secret, key_entry) = keys::generate_key(&owner, request)?;
        let tenant_store = &self.0.tenant_store;
        let tenant = tenant_store
            .create(operator, &tenant, &first_key, [entry, key_entry])
            .await?;
        let key = NewKey {
            key: first_key.key,
            secret,
        };
        Ok((tenant, key))
    }

    /// # Errors
    /// `NotFound` if there is none.
    pub async fn get(&self, operator: &OperatorPass, id: &TenantId) -> Result<Tenant> {
        self.0.tenant_store.get(operator, id).await
    }

    /// # Errors
    /// When the tenant store cannot be read.
    pub async fn list(&self, operator: &OperatorPass) -> Result<Vec<Tenant>> {
        let tenants = self.0.tenant_store.list(operator);
        self.0.control.ask(control_admission::operator(), tenants).await
    }

    /// A page of tenants, by id.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad limit; when the tenant store cannot be read.
    pub async fn page(&self, operator: &OperatorPass, query: TenantQuery) -> Result<Vec<Tenant>> {
        if !(1..=PAGE_MAX).contains(&query.limit) {
            return Err(Error::invalid(format!("limit must be 1 to {PAGE_MAX}")).with_param("limit"));
        }
        let tenants = self.0.tenant_store.page(operator, query);
        self.0.control.ask(control_admission::operator(), tenants).await
    }

    /// Changes name and policy: `patch` is a JSON merge patch of the policy. Requests that come after the return are under it.
    ///
    /// # Errors
    /// `NotFound` if there is none, `InvalidRequest` names the member at fault, `Conflict` if somebody else was quicker.
    pub async fn change(
        &self,
        operator: &OperatorPass,
        id: &TenantId,
        name: Option<&str>,
        patch: &Value,
    ) -> Result<Tenant> {
        let tenant = self.get(operator, id).await?;
        let name = match name {
            Some(name) => keys::check_name(name)?,
            None => tenant.name,
        };
        let policy = self.patched(&tenant.policy, patch).await?;
        let entry = audit::by_operator(operator, Some(id), "tenant.change", id.as_str(), Some(patch));
        let changed = self
            .0
            .tenant_store
            .change(operator, id, &tenant.policy, (&name, &policy), entry)
            .await?;
        if tenant.policy.prefix_cache && !changed.policy.prefix_cache {
            self.0.engine.forget_account(changed.account);
        }
        if tenant.policy.limits.pinned_adapter_bytes != changed.policy.limits.pinned_adapter_bytes {
            adapters::forget(&self.0, changed.account);
        }
        Ok(changed)
    }

    /// Revokes the tenant's keys, forgets the tenant and removes its room; its account stays in the ledger. Goes on to the end
    /// when the caller goes away: half a deletion would leave a room that nobody can name.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn delete(&self, operator: &OperatorPass, id: &TenantId) -> Result<()> {
        remove(&self.0, operator, id, "tenant.delete").await
    }

    async fn patched(&self, policy: &Policy, patch: &Value) -> Result<Policy> {
        let policy = policy.patched(patch)?;
        match self.0.plans.current(&policy.plan).await {
            Ok(_) => Ok(policy),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::invalid(format!(
                "there is no plan \"{}\"; make it with PUT /operator/v1/plans/{}",
                policy.plan, policy.plan
            ))
            .with_param("plan")),
            Err(error) => Err(error),
        }
    }
}

/// Forgets a tenant and all of it. Goes on to the end when the caller goes away.
pub(crate) async fn remove(
    shared: &Arc<Shared>,
    operator: &OperatorPass,
    id: &TenantId,
    action: &'static str,
) -> Result<()> {
    let (shared, operator, id) = (Arc::clone(shared), operator.clone(), id.clone());
    tokio::spawn(async move {
        let entry = audit::by_operator(&operator, Some(&id), action, id.as_str(), None);
        let account = shared.tenant_store.delete(&operator, &id, entry).await?;
        let removed = shared.rooms.remove(&operator, &id).await;
        shared.logs.forget(account);
        shared.plugin_stats.forget(account);
        shared.metering.forget_recent(account);
        shared.canary_windows.forget(account);
        shared.engine.forget_account(account);
        adapters::forget(&shared, account);
        delete_snapshots(&shared).await;
        removed
    })
    .await
    .map_err(Error::internal)?
}

/// `control.db` says which are to go, so that none is forgotten.
async fn delete_snapshots(shared: &Shared) {
    let Some(snapshots) = &shared.snapshots else { return };
    match tokio::time::timeout(SNAPSHOTS_TIME, snapshots.delete_due()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "the snapshots of a deleted tenant are still in the object store; the server tries again");
        }
        Err(_) => tracing::warn!("the snapshots of a deleted tenant are being deleted"),
    }
}
