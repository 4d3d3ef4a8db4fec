//! The turn of an upload that is held in memory as a whole: a bounded number at the same time, one for each tenant, so that
//! neither many nor a slow one keep the others out. Who waits holds nothing but a connection.
//! Not here: how large an upload may be (`router`).

use crate::{auth::Tenant, error::ApiError, state::AppState};
use axum::{extract::FromRequestParts, http::request::Parts};
use parking_lot::Mutex;
use riad_core::{Account, Error, TenantPass};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Clone)]
pub(crate) struct Uploads {
    places: Arc<Semaphore>,
    /// One place for each tenant that uploads now.
    tenants: Arc<Mutex<HashMap<Account, Weak<Semaphore>>>>,
}

/// A tenant whose turn it is to upload. As an argument of a handler it comes before the body, which is read then.
pub(crate) struct Uploader {
    pub pass: TenantPass,
    _turn: Turn,
}

/// Given back when it is dropped.
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Uploads {
    pub fn new(most: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most as usize)),
            tenants: Arc::default(),
        }
    }

    /// Waits for the tenant's own turn first: a tenant waits for a place with one upload only.
    pub async fn enter(&self, account: Account) -> Result<Turn, Error> {
        let own = self.own(account).acquire_owned().await.map_err(Error::internal)?;
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        Ok(Turn {
            _own: own,
            _place: place,
        })
    }

    fn own(&self, account: Account) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock();
        if let Some(own) = tenants.get(&account).and_then(Weak::upgrade) {
            return own;
        }
        tenants.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(1));
        tenants.insert(account, Arc::downgrade(&own));
        own
    }
}

impl FromRequestParts<AppState> for Uploader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Tenant(pass) = Tenant::from_request_parts(parts, state).await?;
        let turn = state.uploads.enter(pass.account()).await?;
        Ok(Self { pass, _turn: turn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_tenant_has_one_turn_at_a_time_and_keeps_nobody_else_out() {
        let uploads = Uploads::new(2);
        let first = uploads.enter(Account::new(1)).await.unwrap();
        let mut second = Box::pin(uploads.enter(Account::new(1)));
        assert!((&mut second).now_or_never().is_none(), "its own upload is running");
        let other = uploads.enter(Account::new(2)).now_or_never().unwrap();
        assert!(other.is_ok(), "the other tenant has a turn of its own");
        let mut third = Box::pin(uploads.enter(Account::new(3)));
        assert!((&mut third).now_or_never().is_none(), "all places are taken");
        drop(first);
        drop(other);
        assert!(second.now_or_never().is_some());
        assert!(third.now_or_never().is_some());
        assert!(uploads.enter(Account::new(4)).now_or_never().is_some());
        assert_eq!(uploads.tenants.lock().len(), 1, "tenants that are done are forgotten");
    }
}
