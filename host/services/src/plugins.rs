//! Plugin versions: uploading, listing and deleting them. Not here: who serves which stage (`pipeline`).

use crate::{audit, plugin_stats::CallStats, shared::Shared};
use bytes::Bytes;
use riad_core::{
    Digest, Error, ErrorKind, PluginName, PluginVersion, Result, TenantPass, Timestamp,
    grants::{Access, Scope},
    manifest::SettingsSchema,
    plugin::Stage,
    policy,
};
use std::sync::Arc;

/// The stages of a version that were called.
pub struct VersionStats {
    pub version: Digest,
    pub stages: Vec<(Stage, CallStats)>,
}

pub struct PluginService(pub(crate) Arc<Shared>);

impl PluginService {
    /// Checks, compiles and keeps a component. It serves nothing until a pipeline names it. Dropping the future stops the compiler.
    ///
    /// # Errors
    /// `Forbidden` without the scope and the role; `TooLarge` over the limit; `InvalidRequest` says why the sandbox refuses the component,
    /// `Forbidden` which capability the operator has not granted;
    /// `Busy` while too many of the tenant's components wait for the compiler, or after too many changes.
    pub async fn put(&self, pass: &TenantPass, name: &PluginName, component: Bytes) -> Result<PluginVersion> {
        pass.require(Scope::Plugins, Access::Write)?;
        let most = self.0.limits.plugin_bytes;
        if component.len() as u64 > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the component has {} bytes, a plugin may have {most}", component.len()),
            ));
        }
        if component.is_empty() {
            return Err(Error::invalid("the body is empty; send the component's bytes"));
        }
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let info = self.0.sandbox.compile(Some(pass.account()), component.clone()).await?;
        policy::check_granted(&pass.policy().plugins.granted(), &info.capabilities)?;
        if let Some(schema) = info
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.configuration.clone())
        {
            let compiled = move || SettingsSchema::compile(&schema).map(|_| ());
            self.0.work(pass).run(compiled).await?;
        }
        let version = PluginVersion {
            name: name.clone(),
            version: info.digest,
            stages: info.stages,
            manifest: info.manifest,
            bytes: component.len() as u64,
            created: Timestamp::now().as_seconds(),
        };
        let (shared, pass) = (Arc::clone(&self.0), pass.clone());
        audit::run_to_completion(async move {
            room.plugins.put(&version, component).await?;
            let object = format!("{}@{}", version.name, version.version);
            audit::record(&shared, &pass, "plugin.put", &object).await?;
            Ok(version)
        })
        .await
    }

    /// Deletes a version, so that the room stores less. A request in flight whose pipeline named it may fail.
    ///
    /// # Errors
    /// `Forbidden` without the scope and the role; `NotFound` if the tenant has no such version; `Conflict` while the pipeline names it;
    /// `Busy` after too many changes.
    pub async fn delete(&self, pass: &TenantPass, name: &PluginName, version: &Digest) -> Result<()> {
        pass.require(Scope::Plugins, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, name, version) = (Arc::clone(&self.0), pass.clone(), name.clone(), *version);
        audit::run_to_completion(async move {
            room.plugins.delete(&name, &version).await?;
            audit::record(&shared, &pass, "plugin.delete", &format!("{name}@{version}")).await
        })
        .await
    }

    /// What calls of this plugin's versions used since the server began, newest version first.
    ///
    /// # Errors
    /// `Forbidden` without the scope; `NotFound` if the tenant has no plugin of this name.
    pub async fn stats(&self, pass: &TenantPass, name: &PluginName) -> Result<Vec<VersionStats>> {
        pass.require(Scope::Plugins, Access::Read)?;
        let versions = self.0.rooms.open(pass).await?.plugins.list().await?;
        let versions: Vec<_> = versions.into_iter().filter(|version| version.name == *name).collect();
        if versions.is_empty() {
            return Err(Error::not_found(format!("this room has no plugin {name}")));
        }
        let stats = |version: PluginVersion| VersionStats {
            stages: self.0.plugin_stats.of(pass.account(), version.version),
            version: version.version,
        };
        Ok(versions.into_iter().map(stats).collect())
    }

    /// All versions, newest first.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<PluginVersion>> {
        pass.require(Scope::Plugins, Access::Read)?;
        self.0.rooms.open(pass).await?.plugins.list().await
    }
}
