//! A tenant's settings, which its plugins read. Not here: what a plugin makes of them.

use crate::{audit, shared::Shared};
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    grants::{Access, Scope},
};
use serde_json::{Map, Value};
use std::sync::Arc;

pub struct SettingsService(pub(crate) Arc<Shared>);

impl SettingsService {
    /// # Errors
    /// When the room cannot be read.
    pub async fn get(&self, pass: &TenantPass) -> Result<Map<String, Value>> {
        pass.require(Scope::Plugins, Access::Read)?;
        self.0.rooms.open(pass).await?.settings.get().await
    }

    /// Replaces the whole object.
    ///
    /// # Errors
    /// `TooLarge` over the limit, `Busy` after too many changes.
    pub async fn put(&self, pass: &TenantPass, settings: &Map<String, Value>) -> Result<()> {
        pass.require(Scope::Plugins, Access::Write)?;
        let bytes = serde_json::to_vec(settings).map_err(Error::internal)?.len() as u64;
        let most = self.0.limits.settings_bytes;
        if bytes > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the settings have {bytes} bytes as JSON, they may have {most}"),
            ));
        }
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, settings) = (Arc::clone(&self.0), pass.clone(), settings.clone());
        audit::run_to_completion(async move {
            room.settings.put(&settings).await?;
            audit::record(&shared, &pass, "settings.put", "settings").await
        })
        .await
    }
}
