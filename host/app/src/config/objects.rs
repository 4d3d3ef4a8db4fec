//! Where snapshots are kept, as the configuration and the environment say.

use super::{Objects, Secrets};
use riad_core::{Error, Result};
use riad_objects::{ObjectsConfig, Snapshots};
use std::ffi::OsString;

/// `None` without `objects.url`. No request is made yet; `environment` has the store's credentials.
///
/// # Errors
/// `InvalidRequest` names the key, variable or credential at fault.
pub fn objects(
    objects: &Objects,
    secrets: &Secrets,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Option<Snapshots>> {
    let Some(url) = &objects.url else { return Ok(None) };
    let Some(key) = &secrets.snapshot_key else {
        return Err(Error::invalid(
            "objects.url needs the environment variable RIAD_SNAPSHOT_KEY, with which snapshots are encrypted; make a key with `openssl rand -base64 32`, and keep it where the snapshots are not",
        )
        .with_param("objects.url"));
    };
    let config = ObjectsConfig {
        url: url.clone(),
        key: key.clone(),
        keep: objects.keep,
    };
    Snapshots::open(&config, environment).map(Some)
}

/// For commands that need it.
#[must_use]
pub fn no_objects() -> Error {
    Error::invalid(
        "objects.url is not set; name the configuration file of the server with --config, or set RIAD_OBJECTS__URL",
    )
    .with_param("objects.url")
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Secret;

    #[test]
    fn a_store_needs_a_key_and_without_one_there_is_none() {
        let open = |url: Option<&str>, key: Option<&str>| {
            let config = Objects {
                url: url.map(str::to_owned),
                ..Objects::default()
            };
            let secrets = Secrets {
                snapshot_key: key.map(|key| Secret::new(key.to_owned())),
                ..Secrets::default()
            };
            objects(&config, &secrets, [])
        };
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert!(open(None, Some(key)).unwrap().is_none());
        assert!(open(Some("gs://bucket"), Some(key)).unwrap().is_some());
        for (url, key, fault) in [
            ("gs://bucket", None, "RIAD_SNAPSHOT_KEY"),
            ("gs://bucket", Some("too short for a key"), "RIAD_SNAPSHOT_KEY"),
            ("http://example.com", Some(key), "objects.url"),
        ] {
            let error = open(Some(url), key).err().unwrap();
            assert!(error.message().contains(fault), "{error}");
        }
    }
}
