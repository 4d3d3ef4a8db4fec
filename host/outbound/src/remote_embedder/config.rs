//! Where the server is, and what its vectors are called.

use reqwest::Url;
use riad_core::{Error, Result, Secret, ports::EmbeddingSpace};
use sha2::{Digest, Sha256};

/// Of a vector.
const DIMENSIONS_MAX: usize = 16_384;
const PREFIX_MAX: usize = 1000;

/// The settings of `[embeddings]` for another server, as they were written.
#[derive(Clone, Default)]
pub struct RemoteEmbedderConfig {
    /// The API's base, as in `https://api.openai.com/v1`.
    pub url: String,
    /// What the server calls the model.
    pub model: Option<String>,
    /// Numbers in one of its vectors.
    pub dimensions: Option<usize>,
    pub query_prefix: String,
    pub passage_prefix: String,
    pub key: Option<Secret<String>>,
}

/// Settings that can be used.
#[derive(Debug)]
pub(super) struct Address {
    pub url: Url,
    pub model: String,
    pub dimensions: usize,
    pub query_prefix: String,
    pub passage_prefix: String,
}

impl RemoteEmbedderConfig {
    /// For people: the model and the server's host.
    ///
    /// # Errors
    /// `InvalidRequest` names the configuration key at fault.
    pub fn describe(&self) -> Result<String> {
        let address = self.address()?;
        Ok(format!("{} of {}", address.model, address.host()))
    }

    pub(super) fn address(&self) -> Result<Address> {
        let wrong = |key: &str, what: &str| {
            Error::invalid(format!("embeddings.{key} {what}")).with_param(format!("embeddings.{key}"))
        };
        let base = "must be the base of an OpenAI-compatible API, as in https://api.openai.com/v1, without key, query and fragment";
        let mut url: Url = self.url.parse().map_err(|_| wrong("url", base))?;
        let is_plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_plain {
            return Err(wrong("url", base));
        }
        url.path_segments_mut()
            .map_err(|()| wrong("url", base))?
            .pop_if_empty()
            .push("embeddings");
        let model = self.model.clone().filter(|model| !model.trim().is_empty());
        let model = model.ok_or_else(|| {
            wrong(
                "remote_model",
                "must name the model of embeddings.url, as in text-embedding-3-small",
            )
        })?;
        let dimensions = self
            .dimensions
            .filter(|dimensions| (1..=DIMENSIONS_MAX).contains(dimensions));
        let dimensions = dimensions.ok_or_else(|| {
            wrong(
                "dimensions",
                &format!("must be 1 to {DIMENSIONS_MAX}, the length of the vectors that the model gives"),
            )
        })?;
        for (key, prefix) in [
            ("query_prefix", &self.query_prefix),
            ("passage_prefix", &self.passage_prefix),
        ] {
            if prefix.len() > PREFIX_MAX {
                return Err(wrong(key, &format!("must have at most {PREFIX_MAX} bytes")));
            }
        }
        Ok(Address {
            url,
            model,
            dimensions,
            query_prefix: self.query_prefix.clone(),
            passage_prefix: self.passage_prefix.clone(),
        })
    }
}

impl Address {
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether nobody between the servers can read along.
    pub fn is_confidential(&self) -> bool {
        self.url.scheme() == "https" || matches!(self.host(), "localhost" | "127.0.0.1" | "[::1]")
    }

    /// The model's name with a digest of what else makes its vectors. The address is not part of it: a server may move.
    pub fn space(&self) -> EmbeddingSpace {
        let mut digest = Sha256::new();
        for part in [&self.model, &self.query_prefix, &self.passage_prefix] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update((self.dimensions as u64).to_le_bytes());
        let mut digest = hex::encode(digest.finalize());
        digest.truncate(8);
        let model = self.model.rsplit('/').next().unwrap_or(&self.model);
        EmbeddingSpace {
            model: format!("{model}-{digest}"),
            dimensions: self.dimensions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut RemoteEmbedderConfig);

    fn config() -> RemoteEmbedderConfig {
        RemoteEmbedderConfig {
            url: "https://models.example/v1/".into(),
            model: Some("BAAI/bge-m3".into()),
            dimensions: Some(1024),
            ..RemoteEmbedderConfig::default()
        }
    }

    #[test]
    fn the_address_of_embeddings_is_below_the_base() {
        for base in ["https://models.example/v1", "https://models.example/v1/"] {
            let config = RemoteEmbedderConfig {
                url: base.into(),
                ..config()
            };
            assert_eq!(
                config.address().unwrap().url.as_str(),
                "https://models.example/v1/embeddings"
            );
        }
        assert_eq!(config().describe().unwrap(), "BAAI/bge-m3 of models.example");
    }

    #[test]
    fn a_setting_that_cannot_be_used_is_named() {
        let cases: [(&str, Change); 8] = [
            ("url", |config| config.url = "models.example/v1".into()),
            ("url", |config| config.url = "ftp://models.example/v1".into()),
            ("url", |config| config.url = "https://key@models.example/v1".into()),
            ("url", |config| config.url = "https://models.example/v1?key=1".into()),
            ("remote_model", |config| config.model = None),
            ("dimensions", |config| config.dimensions = None),
            ("dimensions", |config| config.dimensions = Some(0)),
            ("passage_prefix", |config| {
                config.passage_prefix = "x".repeat(PREFIX_MAX + 1)
            }),
        ];
        for (key, change) in cases {
            let mut config = config();
            change(&mut config);
            let error = config.address().unwrap_err();
            assert_eq!(error.param(), Some(format!("embeddings.{key}").as_str()), "{error}");
        }
    }

    #[test]
    fn vectors_of_another_kind_have_another_name() {
        let name = |change: Change| {
            let mut config = config();
            change(&mut config);
            config.address().unwrap().space().model
        };
        let first = name(|_| ());
        assert!(first.starts_with("bge-m3-"), "{first}");
        assert_eq!(first, name(|config| config.url = "https://other.example/".into()));
        assert_ne!(first, name(|config| config.dimensions = Some(512)));
        assert_ne!(first, name(|config| config.query_prefix = "query: ".into()));
        assert_ne!(first, name(|config| config.passage_prefix = "query: ".into()));
    }
}
