//! A tenant's LoRA adapters. Not here: tensors (`engine`), and pinning one for a request (`chat`).

use crate::{audit, shared::Shared};
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, TenantPass,
    adapter::{Adapter, AdapterFiles},
    grants::{Access, Scope},
};
use std::sync::Arc;

/// Bytes of an `adapter_config.json`; real ones have about a thousand.
const CONFIG_BYTES: usize = 64 << 10;

pub struct AdapterService(pub(crate) Arc<Shared>);

impl AdapterService {
    /// Checks the files against the base model and points the alias to them. On failure the alias keeps its generation.
    ///
    /// # Errors
    /// `Forbidden` without the scope and the role; `TooLarge` over the limit; `InvalidRequest` names the tensor or the field at fault.
    pub async fn put(&self, pass: &TenantPass, alias: &AdapterAlias, files: &AdapterFiles) -> Result<Adapter> {
        pass.require(Scope::Adapters, Access::Write)?;
        let most = self.0.limits.adapter_bytes;
        if files.weights.len() as u64 > most {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the weights have {} bytes, an adapter may have {most}",
                    files.weights.len()
                ),
            )
            .with_param("adapter_model.safetensors"));
        }
        if files.config.len() > CONFIG_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the configuration may have {CONFIG_BYTES} bytes"),
            )
            .with_param("adapter_config.json"));
        }
        let room = self.0.rooms.open(pass).await?;
        let info = self.0.engine.inspect_adapter(files).await?;
        let (shared, pass, alias, files) = (Arc::clone(&self.0), pass.clone(), alias.clone(), files.clone());
        audit::run_to_completion(async move {
            let adapter = room.adapters.put(&alias, &files, &info).await?;
            audit::record(
                &shared,
                &pass,
                "adapter.put",
                &format!("{alias}@{}", adapter.generation),
            )
            .await?;
            Ok(adapter)
        })
        .await
    }

    /// By alias.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<Adapter>> {
        pass.require(Scope::Adapters, Access::Read)?;
        self.0.rooms.open(pass).await?.adapters.list().await
    }

    /// Requests in flight finish on the generation that they pinned.
    ///
    /// # Errors
    /// `NotFound` if the room has no such alias.
    pub async fn delete(&self, pass: &TenantPass, alias: &AdapterAlias) -> Result<()> {
        pass.require(Scope::Adapters, Access::Write)?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, alias) = (Arc::clone(&self.0), pass.clone(), alias.clone());
        audit::run_to_completion(async move {
            room.adapters.delete(&alias).await?;
            audit::record(&shared, &pass, "adapter.delete", alias.as_str()).await
        })
        .await
    }
}
