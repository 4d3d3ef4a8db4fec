//! Tenants, for the operator. Not here: what a tenant does in its room.

use crate::{
    clock,
    keys::{self, KeyService, NewKey},
    shared::Shared,
};
use riad_core::{Error, OperatorPass, Result, TenantId, tenant::Tenant};
use std::sync::Arc;

/// The name of the key that a tenant begins with.
const FIRST_KEY: &str = "first";

pub struct TenantService(pub(crate) Arc<Shared>);

impl TenantService {
    /// Makes a tenant with its first key.
    ///
    /// # Errors
    /// `Conflict` if the id is taken, `InvalidRequest` for a bad name.
    pub async fn create(&self, operator: &OperatorPass, id: TenantId, name: &str) -> Result<(Tenant, NewKey)> {
        let tenant = Tenant {
            id,
            name: keys::check_name(name)?,
            created: clock::now(),
        };
        self.0.directory.create(operator, &tenant).await?;
        let key = KeyService(Arc::clone(&self.0))
            .create(operator, &tenant.id, FIRST_KEY)
            .await?;
        Ok((tenant, key))
    }

    /// # Errors
    /// `NotFound` if there is none.
    pub async fn get(&self, operator: &OperatorPass, id: &TenantId) -> Result<Tenant> {
        self.0.directory.get(operator, id).await
    }

    /// # Errors
    /// When the directory cannot be read.
    pub async fn list(&self, operator: &OperatorPass) -> Result<Vec<Tenant>> {
        self.0.directory.list(operator).await
    }

    /// Revokes the tenant's keys, forgets the tenant and removes its room. Goes on to the end when the caller goes away:
    /// half a deletion would leave a room that nobody can name.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn delete(&self, operator: &OperatorPass, id: &TenantId) -> Result<()> {
        let (shared, operator, id) = (Arc::clone(&self.0), operator.clone(), id.clone());
        tokio::spawn(async move {
            shared.directory.delete(&operator, &id).await?;
            let removed = shared.rooms.remove(&operator, &id).await;
            shared.logs.forget(&id);
            removed
        })
        .await
        .map_err(Error::internal)?
    }
}
