//! The models that a tenant can name: the base model, the embedding model, and the base with each of its adapters.

use crate::shared::Shared;
use riad_core::{
    ErrorKind, ModelName, Result, TenantPass,
    adapter::AdapterSource,
    grants::{Access, Scope},
    ports::Room,
};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    pub id: String,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Whether the tenant's adapter is part of it.
    pub adapter: bool,
    /// Tokens that prompt and answer may have together. `None` for the embedding model, which reads a text of any length.
    pub context_tokens: Option<u32>,
}

pub struct ModelService(pub(crate) Arc<Shared>);

impl ModelService {
    /// The base model first, then the embedding model, then the caller's adapters by alias.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<ModelEntry>> {
        let base = &self.0.engine.profile().id;
        let context_tokens = Some(self.0.context_tokens(pass));
        // Adapter names are visible only to those who may use or list them.
        let may_see = [Scope::Chat, Scope::Adapters]
            .iter()
            .any(|scope| pass.grants().allow(*scope, Access::Read));
        let adapters = match may_see {
            true => self.0.rooms.open(pass).await?.adapters.list().await?,
            false => Vec::new(),
        };
        let mut models = vec![ModelEntry {
            id: base.clone(),
            created: self.0.started,
            adapter: false,
            context_tokens,
        }];
        models.push(ModelEntry {
            id: self.0.embedder.name().to_owned(),
            created: self.0.started,
            adapter: false,
            context_tokens: None,
        });
        models.extend(adapters.into_iter().map(|adapter| ModelEntry {
            created: adapter.created,
            id: ModelName::new(base, Some(adapter.alias)).to_string(),
            adapter: true,
            context_tokens,
        }));
        Ok(models)
    }

    /// # Errors
    /// `ModelNotFound` for a model that the caller does not have.
    pub async fn get(&self, pass: &TenantPass, id: &str) -> Result<ModelEntry> {
        let models = self.list(pass).await?;
        models
            .into_iter()
            .find(|model| model.id == id)
            .ok_or_else(|| ModelName::not_found(id))
    }
}

/// Pins the generation that an alias points to now. An alias that is missing is an error, never the base model.
pub(crate) async fn pin(room: &Room, model: &ModelName) -> Result<Option<AdapterSource>> {
    let Some(alias) = model.adapter() else {
        return Ok(None);
    };
    match room.adapters.resolve(alias).await {
        Ok(source) => Ok(Some(source)),
        Err(error) if matches!(error.kind(), ErrorKind::ModelNotFound | ErrorKind::NotFound) => {
            Err(ModelName::not_found(&model.to_string()))
        }
        Err(error) => Err(error),
    }
}
