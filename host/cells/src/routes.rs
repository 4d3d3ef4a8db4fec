//! What proxies in front of the cells are configured with.
//!
//! Each sends a request to the cell of the slot that its key says, and to the default cell if there is none. What arrives at the wrong cell is
//! answered with 421, so that a proxy with an old map is an error and never another room.

mod envoy;
mod gateway;
mod haproxy;
mod nginx;
mod pattern;

use crate::CellMap;
use riad_core::{Error, Result};
use std::{net::SocketAddr, str::FromStr};

/// What stands in front of the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    Haproxy,
    Nginx,
    Envoy,
    /// The Gateway API of Kubernetes.
    Gateway,
}

impl Proxy {
    /// As they are written.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("haproxy", Self::Haproxy),
        ("nginx", Self::Nginx),
        ("envoy", Self::Envoy),
        ("gateway", Self::Gateway),
    ];
}

impl FromStr for Proxy {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::NAMES.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, proxy)| proxy).ok_or_else(|| {
            Error::invalid(format!(
                "`{text}` is none of {}",
                Self::NAMES.map(|(name, _)| name).join(", ")
            ))
        })
    }
}

/// What is not in the map.
#[derive(Debug, Clone)]
pub struct RouteOptions {
    /// Where the proxy listens. A gateway has listeners of its own.
    pub listen: SocketAddr,
    /// The claim of a token that names the tenant (`auth.tenant_claim`).
    pub tenant_claim: String,
    /// What clients call a gateway.
    pub hostname: String,
}

/// The proxy's configuration, whole.
///
/// # Errors
/// `InvalidRequest` for what the proxy cannot express.
pub fn routes(map: &CellMap, proxy: Proxy, options: &RouteOptions) -> Result<String> {
    match proxy {
        Proxy::Haproxy => haproxy::routes(map, options),
        Proxy::Nginx => Ok(nginx::routes(map, options)),
        Proxy::Envoy => Ok(envoy::routes(map, options)),
        Proxy::Gateway => gateway::routes(map, options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(urls: &[(&str, &str)]) -> CellMap {
        let cell = |(name, url): &(&str, &str)| (name.parse().unwrap(), url.parse().unwrap());
        CellMap::even(urls.iter().map(cell).collect()).unwrap()
    }

    fn options() -> RouteOptions {
        RouteOptions {
            listen: "127.0.0.1:8000".parse().unwrap(),
            tenant_claim: "tenant".to_owned(),
            hostname: "riad.example".to_owned(),
        }
    }

    fn of(map: &CellMap, proxy: Proxy) -> String {
        routes(map, proxy, &options()).unwrap()
    }

    #[test]
    fn routes_are_as_the_snapshots_say() {
        let mut map = map(&[
            ("a", "http://riad-0.riad.svc:8080"),
            ("b", "http://riad-1.riad.svc:8080"),
            ("c-2", "https://riad-2.riad.svc"),
        ]);
        map.assign(&["7".parse().unwrap()], &"b".parse().unwrap()).unwrap();
        for (name, proxy) in Proxy::NAMES {
            insta::assert_snapshot!(name, of(&map, proxy));
        }
    }

    #[test]
    fn addresses_need_no_resolver_and_no_certificates() {
        let map = map(&[("a", "http://10.0.0.1:8080"), ("b", "http://[fd00::1]:8080")]);
        insta::assert_snapshot!("haproxy_addresses", of(&map, Proxy::Haproxy));
        let nginx = of(&map, Proxy::Nginx);
        assert!(
            nginx.contains("server [fd00::1]:8080;") && !nginx.contains("proxy_ssl"),
            "{nginx}"
        );
        let envoy = of(&map, Proxy::Envoy);
        assert!(
            envoy.contains("address: \"fd00::1\"") && !envoy.contains("tls"),
            "{envoy}"
        );
    }

    #[test]
    fn a_claim_that_haproxy_cannot_read_is_refused() {
        let map = map(&[("a", "http://10.0.0.1:8080")]);
        for claim in ["https://x.example/tenant", "a.b", "", "a'b", "a b"] {
            let options = RouteOptions {
                tenant_claim: claim.to_owned(),
                ..options()
            };
            assert!(routes(&map, Proxy::Haproxy, &options).is_err(), "{claim}");
            assert!(routes(&map, Proxy::Nginx, &options).is_ok(), "{claim}");
        }
    }

    #[test]
    fn a_gateway_needs_services() {
        let map = map(&[("a", "http://10.0.0.1:8080")]);
        let error = routes(&map, Proxy::Gateway, &options()).unwrap_err();
        assert!(error.message().contains("Service"), "{error}");
    }

    #[test]
    fn a_cell_without_slots_gets_no_requests() {
        let mut map = map(&[("a", "http://a.svc:8080"), ("b", "http://b.svc:8080")]);
        map.assign(&["0-16383".parse().unwrap()], &"a".parse().unwrap())
            .unwrap();
        for (name, proxy) in Proxy::NAMES {
            let text = of(&map, proxy);
            assert!(!text.contains("()") && !text.contains("(?:)"), "{name}: {text}");
        }
    }

    #[test]
    fn only_four_proxies_are_known() {
        assert_eq!("nginx".parse::<Proxy>().unwrap(), Proxy::Nginx);
        assert!("caddy".parse::<Proxy>().unwrap_err().message().contains("gateway"));
    }
}
