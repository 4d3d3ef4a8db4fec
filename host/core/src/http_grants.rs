//! Which hosts a tenant's plugins may send requests to: a list of patterns, granted by the operator. Not here: addresses, which are checked
//! whatever is granted (`outbound`).

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Bytes of a host's name, as in DNS.
const NAME_BYTES: usize = 253;

/// `api.acme.com`, `*.acme.com` for every name below it, either with `:port`, and `http://` before it where plain HTTP may be used too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    /// Lower case, without the `*.`.
    name: String,
    below: bool,
    /// `None` for the scheme's own.
    port: Option<u16>,
    plain: bool,
}

impl HostPattern {
    /// Whether a URL with these parts is granted. `name` is a host's name or address as a URL has it, `port` the one that is used.
    #[must_use]
    pub fn permits(&self, is_plain: bool, name: &str, port: u16) -> bool {
        let own = if is_plain { 80 } else { 443 };
        if port != self.port.unwrap_or(own) || (is_plain && !self.plain) {
            return false;
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        match self.below {
            false => name == self.name,
            true => name
                .strip_suffix(&self.name)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl FromStr for HostPattern {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "{text:?} grants no host: {why}; write `api.acme.com`, `*.acme.com`, either with `:port`, and `http://` before it for plain HTTP"
            ))
        };
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(text)),
        };
        let (name, port) = match rest.rsplit_once(':') {
            None => (rest, None),
            Some((name, port)) => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (
                    name,
                    Some(port.ok_or_else(|| wrong("its port is no number from 1 to 65535"))?),
                )
            }
        };
        let (below, name) = match name.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let is_label = |label: &str| {
            let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(inner)
        };
        if name.len() > NAME_BYTES || !name.split('.').all(is_label) {
            return Err(wrong("its name is not one of a host"));
        }
        if below && !name.contains('.') {
            return Err(wrong("it would grant every host of a top-level domain"));
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            below,
            port,
            plain,
        })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, below) = (
            if self.plain { "http://" } else { "" },
            if self.below { "*." } else { "" },
        );
        write!(f, "{scheme}{below}{}", self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(pattern: &str, is_plain: bool, name: &str, port: u16) -> bool {
        let pattern: HostPattern = pattern.parse().unwrap();
        assert_eq!(pattern.to_string().parse::<HostPattern>().unwrap(), pattern);
        pattern.permits(is_plain, name, port)
    }

    #[test]
    fn a_name_grants_itself_at_its_port() {
        assert!(permits("api.acme.com", false, "api.acme.com", 443));
        assert!(permits("API.acme.com", false, "api.ACME.com.", 443));
        assert!(!permits("api.acme.com", false, "api.acme.com", 8443));
        assert!(permits("api.acme.com:8443", false, "api.acme.com", 8443));
        assert!(!permits("api.acme.com:8443", false, "api.acme.com", 443));
        for name in [
            "acme.com",
            "x.api.acme.com",
            "api.acme.com.evil.example",
            "evilapi.acme.com",
        ] {
            assert!(!permits("api.acme.com", false, name, 443), "{name}");
        }
    }

    #[test]
    fn a_star_grants_what_is_below_and_nothing_else() {
        for name in ["api.acme.com", "a.b.acme.com"] {
            assert!(permits("*.acme.com", false, name, 443), "{name}");
        }
        for name in ["acme.com", ".acme.com", "evilacme.com", "acme.com.evil.example"] {
            assert!(!permits("*.acme.com", false, name, 443), "{name}");
        }
    }

    #[test]
    fn plain_http_is_granted_only_by_name() {
        assert!(!permits("api.acme.com", true, "api.acme.com", 80));
        assert!(permits("http://api.acme.com", true, "api.acme.com", 80));
        assert!(permits("http://api.acme.com", false, "api.acme.com", 443));
        assert!(permits("http://localhost:9000", true, "localhost", 9000));
    }

    #[test]
    fn what_grants_too_much_or_nothing_is_refused() {
        for pattern in [
            "",
            "*",
            "*.",
            "*.com",
            "a.*.com",
            "api.*",
            "acme.com/path",
            "acme.com:0",
            "acme.com:x",
            "ftp://acme.com",
            "a b",
            "[::1]",
            "user@acme.com",
        ] {
            assert!(pattern.parse::<HostPattern>().is_err(), "{pattern}");
        }
    }
}
