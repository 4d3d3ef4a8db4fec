//! Where a cell is reached: a scheme, a host and a port, because proxies take no more.

use riad_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use url::{Host, Url};

/// As in `http://10.0.0.1:8080`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CellUrl {
    tls: bool,
    host: Host,
    port: u16,
}

impl CellUrl {
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// A name, or an address, which has brackets if it is IPv6's.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// `None` for an address.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Domain(name) => Some(name),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            true => "https",
            false => "http",
        }
    }
}

impl FromStr for CellUrl {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!(
                "`{text}` is no base URL of a cell, which has a scheme, a host and perhaps a port, as in http://10.0.0.1:8080"
            ))
        };
        let url: Url = text.parse().map_err(|_| wrong())?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let (Some(host), Some(port), true) = (url.host(), url.port_or_known_default(), is_plain) else {
            return Err(wrong());
        };
        match url.scheme() {
            scheme @ ("http" | "https") => Ok(Self {
                tls: scheme == "https",
                host: host.to_owned(),
                port,
            }),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for CellUrl {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<CellUrl> for String {
    fn from(url: CellUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for CellUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme(), self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_has_scheme_host_and_port_only() {
        for (text, expected) in [
            ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("https://a.example/", "https://a.example:443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<CellUrl>().unwrap().to_string(), expected);
        }
        for text in [
            "10.0.0.1:8080",
            "ftp://a.example",
            "http://a.example/v1",
            "http://a.example?x",
            "http://user@a.example",
            "http://a b.example",
            "http://",
        ] {
            assert!(text.parse::<CellUrl>().is_err(), "{text}");
        }
    }
}
