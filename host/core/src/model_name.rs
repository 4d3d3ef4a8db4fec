//! A model as clients name it: `base`, or `base:alias` for the base model with an adapter of the tenant's.

use crate::{AdapterAlias, Error, ErrorKind, Result};
use std::fmt;

/// Between the base model's name and an adapter's alias. A base model's own name may have it too; an alias may not.
const SEPARATOR: char = ':';

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    base: String,
    adapter: Option<AdapterAlias>,
}

impl ModelName {
    #[must_use]
    pub fn new(base: &str, adapter: Option<AdapterAlias>) -> Self {
        Self {
            base: base.to_owned(),
            adapter,
        }
    }

    /// Reads the name that a client sent to a server whose base model is `base`.
    ///
    /// # Errors
    /// `ModelNotFound` if it is neither the base model nor the base model with a well-formed alias.
    pub fn parse(base: &str, name: &str) -> Result<Self> {
        let unknown = || Self::not_found(name);
        let adapter = match name.strip_prefix(base).ok_or_else(unknown)? {
            "" => None,
            rest => {
                let alias = rest.strip_prefix(SEPARATOR).ok_or_else(unknown)?;
                Some(alias.parse().map_err(|_| unknown())?)
            }
        };
        Ok(Self::new(base, adapter))
    }

    /// The error for a model that the caller does not have.
    #[must_use]
    pub fn not_found(name: &str) -> Error {
        Error::new(
            ErrorKind::ModelNotFound,
            format!("there is no model {name:?}; GET /v1/models lists yours"),
        )
        .with_param("model")
    }

    #[must_use]
    pub fn adapter(&self) -> Option<&AdapterAlias> {
        self.adapter.as_ref()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        match &self.adapter {
            Some(alias) => write!(f, "{SEPARATOR}{alias}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_base_or_the_base_with_an_alias() {
        for name in ["riad:tiny", "riad:tiny:legal"] {
            let parsed = ModelName::parse("riad:tiny", name).unwrap();
            assert_eq!(parsed.to_string(), name);
            assert_eq!(
                parsed.adapter().map(AdapterAlias::as_str),
                name.strip_prefix("riad:tiny:")
            );
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for bad in [
            "",
            "riad",
            "riad:tiny:",
            "riad:tinylegal",
            "riad:tiny:../x",
            "riad:tiny:a:b",
            "gpt-4o",
        ] {
            let error = ModelName::parse("riad:tiny", bad).unwrap_err();
            assert_eq!((error.kind(), error.param()), (ErrorKind::ModelNotFound, Some("model")));
            assert!(error.message().contains(&format!("{bad:?}")));
        }
    }
}
