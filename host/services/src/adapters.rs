//! A tenant's LoRA adapters. Not here: tensors (`engine`), and which generation a request uses (`models`).

mod residency;

pub(crate) use residency::{forget, tell_once};

use crate::{audit, shared::Shared};
use riad_admission::Kept;
use riad_core::{
    AdapterAlias, Digest, Error, ErrorKind, Result, TenantPass,
    adapter::{Adapter, AdapterChange, AdapterFiles, KeptGeneration},
    grants::{Access, Scope},
};
use std::sync::Arc;

/// Bytes of an `adapter_config.json`; real ones have about a thousand.
const CONFIG_BYTES: usize = 64 << 10;

pub struct AdapterService(pub(crate) Arc<Shared>);

impl AdapterService {
    /// Checks the files against the base model and points the alias to them. On failure the alias keeps its generation. `upload` is kept
    /// until the check has ended, also when the caller has gone.
    ///
    /// # Errors
    /// `Forbidden` without the scope and the role; `TooLarge` over the limit; `Busy` after too many changes; `InvalidRequest` names the
    /// tensor or the field at fault.
    pub async fn put(
        &self,
        pass: &TenantPass,
        alias: &AdapterAlias,
        files: &AdapterFiles,
        upload: Kept,
    ) -> Result<Adapter> {
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
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (engine, inspected) = (Arc::clone(&self.0.engine), files.clone());
        let mut work = self.0.work(pass).keep(upload);
        let info = work.run(move || engine.inspect_adapter(&inspected)).await?;
        let most = self.0.limits.adapter_rank;
        if info.rank > most {
            return Err(Error::invalid(format!(
                "the adapter has rank {}, this server takes up to {most}; train it with a lower r",
                info.rank
            ))
            .with_param("adapter_config.json"));
        }
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
            residency::update(&shared, &pass, &room, Some(&alias)).await;
            Ok(adapter)
        })
        .await
    }

    /// The generations of an alias that it can be rolled back to, the last upload first.
    ///
    /// # Errors
    /// `NotFound` if the room has no such alias.
    pub async fn generations(&self, pass: &TenantPass, alias: &AdapterAlias) -> Result<Vec<KeptGeneration>> {
        pass.require(Scope::Adapters, Access::Read)?;
        self.0.rooms.open(pass).await?.adapters.generations(alias).await
    }

    /// Points the alias to a generation that is kept: the named one, else the one before the current one. Requests in flight
    /// finish on the generation that they began with.
    ///
    /// # Errors
    /// `NotFound` if the room has no such alias or it keeps no such generation; `Conflict` if there is none before the current one.
    pub async fn roll_back(
        &self,
        pass: &TenantPass,
        alias: &AdapterAlias,
        generation: Option<Digest>,
    ) -> Result<Adapter> {
        pass.require(Scope::Adapters, Access::Write)?;
        self.change(pass, alias, AdapterChange::RollBack(generation)).await
    }

    /// Whether the adapter stays in the engine's memory when others are evicted.
    ///
    /// # Errors
    /// `NotFound` if the room has no such alias; `Forbidden` beyond the bytes that the operator allows.
    pub async fn set_pinned(&self, pass: &TenantPass, alias: &AdapterAlias, pinned: bool) -> Result<Adapter> {
        pass.require(Scope::Adapters, Access::Write)?;
        if pinned {
            let adapters = self.0.rooms.open(pass).await?.adapters.list().await?;
            residency::check_allowance(&self.0, pass, &adapters, alias)?;
        }
        self.change(pass, alias, AdapterChange::Pin(pinned)).await
    }

    async fn change(&self, pass: &TenantPass, alias: &AdapterAlias, change: AdapterChange) -> Result<Adapter> {
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, alias) = (Arc::clone(&self.0), pass.clone(), alias.clone());
        audit::run_to_completion(async move {
            let adapter = room.adapters.change(&alias, change).await?;
            let action = match change {
                AdapterChange::RollBack(_) => "adapter.rollback",
                AdapterChange::Pin(true) => "adapter.pin",
                AdapterChange::Pin(false) => "adapter.unpin",
            };
            audit::record(&shared, &pass, action, &format!("{alias}@{}", adapter.generation)).await?;
            // What may leave the memory need not be read into it.
            let read = !matches!(change, AdapterChange::Pin(false));
            residency::update(&shared, &pass, &room, read.then_some(&alias)).await;
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
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let (shared, pass, alias) = (Arc::clone(&self.0), pass.clone(), alias.clone());
        audit::run_to_completion(async move {
            room.adapters.delete(&alias).await?;
            audit::record(&shared, &pass, "adapter.delete", alias.as_str()).await?;
            residency::update(&shared, &pass, &room, None).await;
            Ok(())
        })
        .await
    }
}
