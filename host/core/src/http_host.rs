//! A host that plugins may send HTTP requests to, as an operator writes it. Not here: addresses (`outbound`), which are checked after the
//! name is resolved.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const BYTES_MAX: usize = 253;

/// `api.acme.com`, or `*.acme.com` for all names below it; with a port `api.acme.com:8443`; `http://` before it allows requests without
/// TLS, to that port or 80, and none with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpHost {
    is_tls: bool,
    /// In lower case, without `*.`.
    name: String,
    /// Whether names below it are meant, and not itself.
    below: bool,
    port: u16,
}

impl HttpHost {
    /// Whether a request may go there. `host` in lower case.
    #[must_use]
    pub fn allows(&self, is_tls: bool, host: &str, port: u16) -> bool {
        let is_meant = match self.below {
            true => host
                .strip_suffix(&self.name)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            false => host == self.name,
        };
        is_meant && self.is_tls == is_tls && self.port == port
    }

    fn default_port(is_tls: bool) -> u16 {
        if is_tls { 443 } else { 80 }
    }
}

impl FromStr for HttpHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "{text:?} is no host for plugins; write api.acme.com, *.acme.com, api.acme.com:8443 or http://api.acme.com"
            ))
        };
        let lower = text.to_ascii_lowercase();
        let (is_tls, rest) = match lower.split_once("://") {
            None => (true, lower.as_str()),
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(wrong()),
        };
        let (name, port) = match rest.split_once(':') {
            None => (rest, Self::default_port(is_tls)),
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?),
        };
        let (name, below) = match name.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(allowed)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let labels = name.split('.').count();
        // `*.com` would be half of the internet; a bare `*`, all of it.
        if name.len() > BYTES_MAX || !name.split('.').all(is_label) || (below && labels < 2) {
            return Err(wrong());
        }
        Ok(Self {
            is_tls,
            name: name.to_owned(),
            below,
            port,
        })
    }
}

impl TryFrom<String> for HttpHost {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<HttpHost> for String {
    fn from(host: HttpHost) -> Self {
        host.to_string()
    }
}

impl fmt::Display for HttpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "" } else { "http://" };
        let below = if self.below { "*." } else { "" };
        write!(f, "{scheme}{below}{}", self.name)?;
        match self.port == Self::default_port(self.is_tls) {
            true => Ok(()),
            false => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HttpHost {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_allows_itself_only() {
        for (granted, tls, name, port, allowed) in [
            ("api.acme.com", true, "api.acme.com", 443, true),
            ("API.acme.com", true, "api.acme.com", 443, true),
            ("api.acme.com", false, "api.acme.com", 80, false),
            ("api.acme.com", true, "api.acme.com", 8443, false),
            ("api.acme.com", true, "x.api.acme.com", 443, false),
            ("api.acme.com", true, "evilapi.acme.com", 443, false),
            ("*.acme.com", true, "api.acme.com", 443, true),
            ("*.acme.com", true, "a.b.acme.com", 443, true),
            ("*.acme.com", true, "acme.com", 443, false),
            ("*.acme.com", true, ".acme.com", 443, false),
            ("*.acme.com", true, "evilacme.com", 443, false),
            ("api.acme.com:8443", true, "api.acme.com", 8443, true),
            ("api.acme.com:8443", true, "api.acme.com", 443, false),
            ("http://api.acme.com", false, "api.acme.com", 80, true),
            ("http://api.acme.com", true, "api.acme.com", 443, false),
        ] {
            assert_eq!(
                host(granted).allows(tls, name, port),
                allowed,
                "{granted} {name}:{port}"
            );
        }
    }

    #[test]
    fn a_host_is_written_as_it_was_read() {
        for text in [
            "api.acme.com",
            "*.acme.com",
            "api.acme.com:8443",
            "http://api.acme.com",
            "http://a.b:81",
        ] {
            assert_eq!(host(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.com",
            "ftp://a.com",
            "a.com/path",
            "a..com",
            "-a.com",
            "a.com:0",
            "a.com:x",
            "a b.com",
            "user@a.com",
            "[::1]",
            "a*.com",
        ] {
            assert!(text.parse::<HttpHost>().is_err(), "{text}");
        }
    }
}
