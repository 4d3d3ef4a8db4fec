//! A tenant's settings, which its plugins read. Not here: what a plugin makes of them.

use crate::{audit, shared::Shared};
use riad_core::{
    Error, ErrorKind, Result, TenantPass,
    grants::{Access, Scope},
    manifest::SettingsSchema,
    plugin::StageChoice,
    ports::Room,
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
    /// `TooLarge` over the limit, `InvalidRequest` if a plugin that serves a stage has a schema that the settings do not follow, `Busy`
    /// after too many changes.
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
        self.check(pass, &room, settings).await?;
        let (shared, pass, settings) = (Arc::clone(&self.0), pass.clone(), settings.clone());
        audit::run_to_completion(async move {
            room.settings.put(&settings).await?;
            audit::record(&shared, &pass, "settings.put", "settings").await
        })
        .await
    }

    /// Plugins that serve nothing now have no say: their schemas may be of other settings.
    async fn check(&self, pass: &TenantPass, room: &Room, settings: &Map<String, Value>) -> Result<()> {
        let pipeline = room.plugins.pipeline().await?;
        let mut schemas = Vec::new();
        for version in room.plugins.list().await? {
            let choice = StageChoice::Plugin {
                name: version.name.clone(),
                version: version.version,
            };
            let schema = version.manifest.and_then(|manifest| manifest.configuration);
            // Those of the canary too.
            if let Some(schema) = schema
                && pipeline.choices().any(|(_, _, serving)| *serving == choice)
            {
                schemas.push((version.name, schema));
            }
        }
        let mut work = self.0.work(pass);
        for (plugin, schema) in schemas {
            let settings = settings.clone();
            let checked = move || {
                let checked = SettingsSchema::compile(&schema).and_then(|schema| schema.check(&settings));
                checked.map_err(|error| {
                    let of = format!(
                        "the plugin {plugin}, which serves this room, has a schema of its settings: {}",
                        error.message()
                    );
                    Error::invalid(of)
                })
            };
            work.run(checked).await?;
        }
        Ok(())
    }
}
