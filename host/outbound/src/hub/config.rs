//! Where the hub and its cache are: the environment variables that all tools of Hugging Face read.

use reqwest::Url;
use riad_core::{Error, Result, Secret};
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

const ENDPOINT: &str = "https://huggingface.co";

/// The hub, the folder of the cache, and the token.
#[derive(Debug, Clone)]
pub struct HubConfig {
    pub(super) endpoint: Url,
    pub(super) cache: PathBuf,
    pub(super) token: Option<Secret<String>>,
    /// Nothing is requested.
    pub(super) offline: bool,
}

impl HubConfig {
    /// Reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`, `HF_HUB_CACHE`, `HF_HOME` and `XDG_CACHE_HOME`, with the
    /// defaults and older names of the Python package `huggingface_hub`. Variables that are empty count as not set.
    ///
    /// # Errors
    /// `InvalidRequest` names the variable.
    pub fn read(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self> {
        let variables = Variables::of(environment);
        let home = match variables.path("HF_HOME") {
            Some(home) => home,
            None => user_cache(&variables)?.join("huggingface"),
        };
        let token_file = variables.path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let cache = variables.path("HF_HUB_CACHE");
        let cache = cache.or_else(|| variables.path("HUGGINGFACE_HUB_CACHE"));
        let offline = variables.text("HF_HUB_OFFLINE")?.is_some_and(|value| is_true(&value));
        let token = match variables.text("HF_TOKEN")? {
            Some(token) => Some(token),
            None => match variables.text("HUGGING_FACE_HUB_TOKEN")? {
                Some(token) => Some(token),
                None => std::fs::read_to_string(&token_file).ok(),
            },
        };
        Ok(Self {
            endpoint: endpoint(variables.text("HF_ENDPOINT")?.as_deref().unwrap_or(ENDPOINT))?,
            cache: cache.unwrap_or_else(|| home.join("hub")),
            token: token.as_deref().map(read_token).transpose()?.flatten(),
            offline,
        })
    }
}

struct Variables(BTreeMap<OsString, OsString>);

impl Variables {
    fn of(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(environment.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(std::ffi::OsStr::new(name)).map(PathBuf::from)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.0.get(std::ffi::OsStr::new(name)) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Error::invalid(format!("{name} is not UTF-8"))),
        }
    }
}

/// The folder for caches of this machine's user.
fn user_cache(variables: &Variables) -> Result<PathBuf> {
    if let Some(folder) = variables.path("XDG_CACHE_HOME") {
        return Ok(folder);
    }
    let home = variables.path("HOME").or_else(std::env::home_dir);
    home.map(|home| home.join(".cache")).ok_or_else(|| {
        Error::invalid("this user has no home folder for the Hugging Face cache; set HF_HOME to a folder")
    })
}

fn endpoint(text: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    // Not the value, which may have a password in it.
    url.ok_or_else(|| Error::invalid(format!("HF_ENDPOINT is not a URL; it must be one like {ENDPOINT}")))
}

fn read_token(text: &str) -> Result<Option<Secret<String>>> {
    let token = text.trim();
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        _ if token.is_empty() => Ok(None),
        true => Ok(Some(Secret::new(token.to_owned()))),
        false => Err(Error::invalid(
            "the token of HF_TOKEN, or of the token file, has characters that no token has; copy it again",
        )),
    }
}

fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(variables: &[(&str, &str)]) -> Result<HubConfig> {
        HubConfig::read(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn token(config: &HubConfig) -> Option<&str> {
        config.token.as_ref().map(|token| token.reveal().as_str())
    }

    #[test]
    fn the_cache_is_where_other_tools_have_it() {
        for (variables, folder) in [
            (&[("HOME", "/u")][..], "/u/.cache/huggingface/hub"),
            (&[("HOME", "/u"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HF_HUB_CACHE", "/c"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/c"),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "")], "/h/hub"),
        ] {
            assert_eq!(read(variables).unwrap().cache, Path::new(folder), "{variables:?}");
        }
    }

    #[test]
    fn the_variable_wins_over_the_tokens_file() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().to_str().unwrap();
        assert_eq!(token(&read(&[("HF_HOME", folder)]).unwrap()), None);
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(token(&read(&[("HF_HOME", folder)]).unwrap()), Some("hf_file"));
        let config = read(&[("HF_HOME", folder), ("HF_TOKEN", " hf_variable ")]).unwrap();
        assert_eq!(token(&config), Some("hf_variable"));
        assert!(!format!("{config:?}").contains("hf_variable"));
        let other = home.path().join("other");
        std::fs::write(&other, "hf_other").unwrap();
        let config = read(&[("HF_HOME", folder), ("HF_TOKEN_PATH", other.to_str().unwrap())]).unwrap();
        assert_eq!(token(&config), Some("hf_other"));
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for endpoint in ["hub", "ftp://hub", "https://user:secret@", "https://hub/?a=b"] {
            let error = read(&[("HF_HOME", "/h"), ("HF_ENDPOINT", endpoint)]).unwrap_err();
            assert!(error.message().starts_with("HF_ENDPOINT"), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
        let error = read(&[("HF_HOME", "/h"), ("HF_TOKEN", "hf_se cret")]).unwrap_err();
        assert!(error.message().contains("HF_TOKEN") && !error.message().contains("cret"));
    }

    #[test]
    fn offline_is_a_word_for_yes() {
        for (value, offline) in [("1", true), ("True", true), ("0", false), ("", false), ("no", false)] {
            let config = read(&[("HF_HOME", "/h"), ("HF_HUB_OFFLINE", value)]).unwrap();
            assert_eq!(config.offline, offline, "{value}");
        }
    }
}
