//! Checks a request as a guest wrote it, before anything is looked up.

use super::private;
use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use riad_core::{
    http_grants::HostPattern,
    ports::{HttpFailure, HttpMethod, HttpRequest},
};
use std::net::IpAddr;

const URL_BYTES: usize = 8 << 10;
const HEADERS: usize = 64;
/// Of all names and values together.
const HEADER_BYTES: usize = 16 << 10;
/// Headers of the connection and of the message's framing, which are the host's, and those that speak for a proxy.
const RESERVED: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];
const RESERVED_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

pub(super) struct CheckedRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    /// For the log.
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// `permits`: the addresses that may be connected to, if the URL names one instead of a host.
pub(super) fn check(
    request: HttpRequest,
    granted: &[HostPattern],
    permits: fn(IpAddr) -> bool,
) -> Result<CheckedRequest, HttpFailure> {
    let url = check_url(&request.url)?;
    let host = check_grant(&url, granted)?;
    if let Ok(address) = host.trim_matches(['[', ']']).parse()
        && !permits(address)
    {
        return Err(private());
    }
    Ok(CheckedRequest {
        method: match request.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
            HttpMethod::Delete => Method::DELETE,
            HttpMethod::Head => Method::HEAD,
        },
        url,
        host,
        headers: check_headers(&request.headers)?,
        body: request.body,
    })
}

fn invalid(text: impl Into<String>) -> HttpFailure {
    HttpFailure::InvalidArgument(text.into())
}

fn check_url(text: &str) -> Result<Url, HttpFailure> {
    if text.len() > URL_BYTES {
        return Err(invalid(format!(
            "the URL has {} bytes, at most {URL_BYTES} are sent",
            text.len()
        )));
    }
    let url = Url::parse(text).map_err(|error| invalid(format!("the URL cannot be read: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid(format!(
            "the URL begins with `{}:`, not with https://",
            url.scheme()
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "the URL has a user in it; send a header `authorization` instead",
        ));
    }
    Ok(url)
}

/// The host's name, as the parsed URL has it: in lower case, and an address of IPv4 in its usual form, however it was written.
fn check_grant(url: &Url, granted: &[HostPattern]) -> Result<String, HttpFailure> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(invalid("the URL has no host"));
    };
    let is_plain = url.scheme() == "http";
    if granted.iter().any(|pattern| pattern.permits(is_plain, host, port)) {
        return Ok(host.to_owned());
    }
    let scheme = if is_plain { "http://" } else { "" };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Err(HttpFailure::NotGranted(format!(
        "`{scheme}{host}{port}` is not among the hosts that this server's operator has granted to this tenant's plugins"
    )))
}

fn check_headers(headers: &[(String, String)]) -> Result<HeaderMap, HttpFailure> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > HEADERS || bytes > HEADER_BYTES {
        return Err(invalid(format!(
            "a request has at most {HEADERS} headers of {HEADER_BYTES} bytes together"
        )));
    }
    let mut checked = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| invalid(format!("{name:?} is no name of a header")))?;
        let is_reserved = RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        if is_reserved {
            return Err(invalid(format!("the header `{name}` is set by the host alone")));
        }
        let value = HeaderValue::from_str(value).map_err(|_| {
            invalid(format!(
                "the value of the header `{name}` has characters that no header may have"
            ))
        })?;
        checked.append(name, value);
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_http::is_public;

    fn checked(url: &str, granted: &[&str], headers: &[(&str, &str)]) -> Result<CheckedRequest, HttpFailure> {
        let granted: Vec<HostPattern> = granted.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let request = HttpRequest {
            method: HttpMethod::Get,
            url: url.into(),
            headers: headers.collect(),
            body: Bytes::new(),
        };
        check(request, &granted, is_public)
    }

    fn refused(url: &str, granted: &[&str], headers: &[(&str, &str)]) -> HttpFailure {
        checked(url, granted, headers).err().unwrap()
    }

    #[test]
    fn what_is_granted_passes() {
        let request = checked(
            "https://API.acme.example/orders?id=1#top",
            &["api.acme.example"],
            &[("Accept", "text/plain"), ("accept", "text/html")],
        )
        .unwrap();
        assert_eq!(request.host, "api.acme.example");
        assert_eq!(request.headers.get_all("accept").iter().count(), 2);
    }

    #[test]
    fn what_is_not_granted_is_named() {
        for (url, granted, named) in [
            ("https://api.acme.example/", &[][..], "`api.acme.example`"),
            ("https://evil.example/", &["*.acme.example"], "`evil.example`"),
            (
                "https://api.acme.example:8443/",
                &["api.acme.example"],
                "`api.acme.example:8443`",
            ),
            (
                "http://api.acme.example/",
                &["api.acme.example"],
                "`http://api.acme.example`",
            ),
            // The host is what stands behind the last `@`, and before a backslash.
            (
                "https://evil.example\\@api.acme.example/",
                &["api.acme.example"],
                "`evil.example`",
            ),
        ] {
            let refused = refused(url, granted, &[]);
            assert!(
                matches!(&refused, HttpFailure::NotGranted(text) if text.contains(named)),
                "{url}: {refused:?}"
            );
        }
    }

    #[test]
    fn an_address_is_checked_however_it_is_written() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
        ] {
            let refused = refused(url, &["http://127.0.0.1"], &[]);
            assert!(
                matches!(&refused, HttpFailure::Failed(text) if text.contains("public")),
                "{url}: {refused:?}"
            );
        }
        for url in ["http://[::1]/", "http://[::ffff:169.254.169.254]/"] {
            assert!(
                matches!(refused(url, &["*.acme.example"], &[]), HttpFailure::NotGranted(_)),
                "{url}"
            );
        }
    }

    #[test]
    fn a_url_that_cannot_be_sent_is_refused() {
        for (url, words) in [
            ("", "cannot be read"),
            ("/orders", "cannot be read"),
            ("file:///etc/passwd", "not with https://"),
            ("gopher://api.acme.example/", "not with https://"),
            ("https://user:word@api.acme.example/", "a user in it"),
            (
                &format!("https://api.acme.example/{}", "x".repeat(URL_BYTES)),
                "bytes, at most",
            ),
        ] {
            let refused = refused(url, &["api.acme.example"], &[]);
            assert!(
                matches!(&refused, HttpFailure::InvalidArgument(text) if text.contains(words)),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn headers_of_the_host_cannot_be_set() {
        let url = "https://api.acme.example/";
        for header in [
            "Host",
            "connection",
            "Content-Length",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "X-Forwarded-For",
            "TE",
        ] {
            let refused = refused(url, &["api.acme.example"], &[(header, "1")]);
            assert!(
                matches!(&refused, HttpFailure::InvalidArgument(text) if text.contains("host alone")),
                "{refused:?}"
            );
        }
        for (name, value) in [
            ("a b", "1"),
            ("", "1"),
            ("a", "1\r\nhost: evil.example"),
            ("a", "\u{0}"),
        ] {
            assert!(matches!(
                refused(url, &["api.acme.example"], &[(name, value)]),
                HttpFailure::InvalidArgument(_)
            ));
        }
        let many = vec![("a", "1"); HEADERS + 1];
        assert!(matches!(
            refused(url, &["api.acme.example"], &many),
            HttpFailure::InvalidArgument(_)
        ));
    }
}
