//! Which object store a URL means. Credentials are environment variables of the store's own tools: `AWS_…`, `GOOGLE_…`, `AZURE_…`.

use object_store::{
    BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, path::Path,
};
use riad_core::{Error, Result};
use std::{ffi::OsString, str::FromStr, sync::Arc, time::Duration};
use url::Url;

/// The name of the setting, for errors.
const SETTING: &str = "objects.url";
/// Longer, a caller would rather be told; what runs in the background begins again by itself.
const RETRIES_TIME: Duration = Duration::from_secs(20);

/// An object store and a place in it.
#[derive(Clone)]
pub struct Location {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) root: Path,
    /// For messages.
    pub(crate) url: Arc<str>,
}

impl Location {
    /// No request is made yet.
    ///
    /// # Errors
    /// `InvalidRequest` for a URL of no store that is known, a folder that is not there, or an environment that the store's client refuses.
    pub fn open(url: &str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        let parsed = Url::parse(url).map_err(|error| wrong(url, &error.to_string()))?;
        let has_secret = !parsed.username().is_empty() && parsed.password().is_some();
        if has_secret || parsed.query().is_some() {
            return Err(Error::invalid(format!(
                "{SETTING} has a password or a query; give credentials by the environment"
            ))
            .with_param(SETTING));
        }
        let environment = environment
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let (scheme, root) = ObjectStoreScheme::parse(&parsed).map_err(|error| wrong(url, &error.to_string()))?;
        let built: object_store::Result<Arc<dyn ObjectStore>> = match scheme {
            ObjectStoreScheme::Local => return Self::open_folder(url, &parsed),
            ObjectStoreScheme::AmazonS3 => {
                let builder = AmazonS3Builder::new().with_url(url).with_retry(retries());
                settings(environment, "AWS_")
                    .fold(builder, |builder, (key, value)| builder.with_config(key, value))
                    .build()
                    .map(|store| Arc::new(store) as _)
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::new().with_url(url).with_retry(retries());
                settings(environment, "GOOGLE_")
                    .fold(builder, |builder, (key, value)| builder.with_config(key, value))
                    .build()
                    .map(|store| Arc::new(store) as _)
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::new().with_url(url).with_retry(retries());
                settings(environment, "AZURE_")
                    .fold(builder, |builder, (key, value)| builder.with_config(key, value))
                    .build()
                    .map(|store| Arc::new(store) as _)
            }
            ObjectStoreScheme::Memory | ObjectStoreScheme::Http => return Err(unknown(url)),
            _ => return Err(unknown(url)),
        };
        let store = built.map_err(|error| wrong(url, &error.to_string()))?;
        Ok(Self {
            store,
            root,
            url: url.into(),
        })
    }

    /// A folder is not made here: the disk that it should be on may not be mounted.
    fn open_folder(url: &str, parsed: &Url) -> Result<Self> {
        let folder = parsed
            .to_file_path()
            .map_err(|()| wrong(url, "it is no path of this machine"))?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|_| wrong(url, "there is no such folder, or it cannot be read; make it first"))?;
        Ok(Self {
            store: Arc::new(store.with_fsync(true)),
            root: Path::default(),
            url: url.into(),
        })
    }
}

/// The variables that a store's client knows.
fn settings<K: FromStr>(
    environment: impl Iterator<Item = (String, String)>,
    prefix: &str,
) -> impl Iterator<Item = (K, String)> {
    environment.filter_map(move |(name, value)| {
        let is_set = name.starts_with(prefix) && !value.is_empty();
        let key = is_set.then(|| name.to_ascii_lowercase().parse().ok())?;
        Some((key?, value))
    })
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 6,
        retry_timeout: RETRIES_TIME,
    }
}

fn unknown(url: &str) -> Error {
    wrong(url, "no object store is known by this scheme")
}

fn wrong(url: &str, why: &str) -> Error {
    Error::invalid(format!(
        "{SETTING} is `{url}`, which cannot be used: {why}. Write file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    ))
    .with_param(SETTING)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str, environment: &[(&str, &str)]) -> Result<Location> {
        Location::open(url, environment.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_url_that_is_of_no_store_is_refused_by_name() {
        for url in [
            "",
            "folder",
            "http://example.com/x",
            "memory:///",
            "ftp://example.com",
            "file:///no/such/folder",
            "s3://key:secret@bucket",
            "s3://bucket?token=x",
        ] {
            let error = open(url, &[]).err().unwrap();
            assert_eq!(error.param(), Some(SETTING), "{url}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn stores_are_known_by_their_urls() {
        let aws = [
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let location = open("s3://bucket/a/prefix", &aws).unwrap();
        assert_eq!(location.root.as_ref(), "a/prefix");
        assert!(location.store.to_string().contains("bucket"), "{}", location.store);
        let azure = [
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5"),
        ];
        assert!(open("az://container", &azure).is_ok());
        assert!(open("gs://bucket/prefix", &[]).is_ok());
        let folder = tempfile::tempdir().unwrap();
        let url = Url::from_file_path(folder.path()).unwrap();
        assert!(open(url.as_str(), &[]).is_ok());
    }
}
