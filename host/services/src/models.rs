//! The models that a tenant can name: the base, and the base with each of its adapters.
//! Not here: loading them.

use crate::shared::Shared;
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, TenantPass,
    adapter::AdapterSource,
    grants::{Access, Scope},
    ports::Room,
};
use std::sync::Arc;

/// Stands between the base model's name and an adapter's alias.
pub(crate) const SEPARATOR: char = ':';

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    pub id: String,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Whether the tenant's adapter is part of it.
    pub adapter: bool,
}

pub struct ModelService(pub(crate) Arc<Shared>);

impl ModelService {
    /// The base model first, then the embedding model, then the caller's adapters by alias.
    ///
    /// # Errors
    /// When the room cannot be read.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<ModelEntry>> {
        let base = &self.0.engine.profile().id;
        // Their names are for who may use or list them.
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
        }];
        models.push(ModelEntry {
            id: self.0.embedder.name().to_owned(),
            created: self.0.started,
            adapter: false,
        });
        models.extend(adapters.into_iter().map(|adapter| ModelEntry {
            id: format!("{base}{SEPARATOR}{}", adapter.alias),
            created: adapter.created,
            adapter: true,
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
            .ok_or_else(|| unknown(id))
    }
}

/// What a model's name asks for on top of the base model.
pub(crate) fn parse(base: &str, model: &str) -> Result<Option<AdapterAlias>> {
    match model.strip_prefix(base) {
        Some("") => Ok(None),
        Some(rest) => {
            let alias = rest.strip_prefix(SEPARATOR).ok_or_else(|| unknown(model))?;
            alias.parse().map(Some).map_err(|_| unknown(model))
        }
        None => Err(unknown(model)),
    }
}

/// Pins the generation that an alias points to now. An alias that is missing is an error, never the base model.
pub(crate) async fn pin(room: &Room, model: &str, alias: Option<&AdapterAlias>) -> Result<Option<AdapterSource>> {
    let Some(alias) = alias else {
        return Ok(None);
    };
    match room.adapters.resolve(alias).await {
        Ok(source) => Ok(Some(source)),
        Err(error) if matches!(error.kind(), ErrorKind::ModelNotFound | ErrorKind::NotFound) => Err(unknown(model)),
        Err(error) => Err(error),
    }
}

fn unknown(model: &str) -> Error {
    Error::new(
        ErrorKind::ModelNotFound,
        format!("there is no model {model:?}; GET /v1/models lists yours"),
    )
    .with_param("model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_the_base_or_the_base_with_an_alias() {
        assert_eq!(parse("riad:tiny", "riad:tiny").unwrap(), None);
        let alias = parse("riad:tiny", "riad:tiny:legal").unwrap().unwrap();
        assert_eq!(alias.as_str(), "legal");
        for bad in [
            "",
            "riad",
            "riad:tiny:",
            "riad:tinylegal",
            "riad:tiny:../x",
            "riad:tiny:a:b",
            "gpt-4o",
        ] {
            let error = parse("riad:tiny", bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ModelNotFound);
            assert!(error.message().contains(&format!("{bad:?}")));
        }
    }
}
