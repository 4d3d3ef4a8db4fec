//! Envoy: keys by their slot. It computes no slot of a claim.

use super::{RouteOptions, pattern};
use crate::{Cell, CellMap};
use std::fmt::Write as _;

const HTTP: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

pub fn routes(map: &CellMap, options: &RouteOptions) -> String {
    let default = &map.default_cell().name;
    let mut text = format!(
        "# Routes to Riad's cells for Envoy, by `riad cell routes --for envoy`. Write them again when the map has changed, then start Envoy anew. For\n\
         # TLS, give the filter chain a transport_socket.\n\
         #\n\
         # A key says its slot: riad_sk_<slot>_…, as `Authorization: Bearer` or `x-api-key`. Envoy cannot compute the slot of an identity provider's\n\
         # token: they go to the default cell, `{default}`, like all that have no slot. A cell that does not serve a tenant answers 421 and names the\n\
         # one that does in `riad-cell`.\n\
         static_resources:\n\
         \x20 listeners:\n\
         \x20   - name: riad\n\
         \x20     address:\n\
         \x20       socket_address:\n\
         \x20         address: \"{}\"\n\
         \x20         port_value: {}\n\
         \x20     filter_chains:\n\
         \x20       - filters:\n\
         \x20           - name: envoy.filters.network.http_connection_manager\n\
         \x20             typed_config:\n\
         \x20               \"@type\": type.googleapis.com/{HTTP}\n\
         \x20               stat_prefix: riad\n\
         \x20               # Not here: a request ends after limits.request_ms.\n\
         \x20               stream_idle_timeout: 0s\n\
         \x20               http_filters:\n\
         \x20                 - name: envoy.filters.http.router\n\
         \x20                   typed_config:\n\
         \x20                     \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router\n\
         \x20               route_config:\n\
         \x20                 name: riad\n\
         \x20                 virtual_hosts:\n\
         \x20                   - name: riad\n\
         \x20                     domains: [\"*\"]\n\
         \x20                     # Not the operator's API and not /metrics: those are reached at the cells themselves.\n\
         \x20                     routes:\n",
        options.listen.ip(),
        options.listen.port(),
    );
    for (header, before) in [("authorization", "(?i:bearer) +"), ("x-api-key", "")] {
        for cell in map.cells() {
            for keys in pattern::keys(&map.slots(&cell.name)) {
                text += &route(cell, "prefix: /v1/", Some((header, &format!("{before}{keys}"))));
            }
        }
    }
    for path in ["prefix: /v1/", "path: /openapi.json"] {
        text += &route(map.default_cell(), path, None);
    }
    text += "  clusters:\n";
    for cell in map.cells() {
        text += &cluster(cell);
    }
    text
}

fn route(cell: &Cell, path: &str, header: Option<(&str, &str)>) -> String {
    let mut text = format!("                        - match:\n                            {path}\n");
    if let Some((name, expression)) = header {
        // A text takes whatever is written to it.
        let _ = write!(
            text,
            "                            headers:\n\
             \x20                             - name: {name}\n\
             \x20                               string_match:\n\
             \x20                                 safe_regex:\n\
             \x20                                   regex: '{expression}'\n"
        );
    }
    let _ = write!(
        text,
        "                          route:\n\
         \x20                           cluster: cell_{}\n\
         \x20                           timeout: 0s\n",
        cell.name
    );
    text
}

fn cluster(cell: &Cell) -> String {
    let (name, url) = (&cell.name, &cell.url);
    let mut text = format!(
        "    - name: cell_{name}\n\
         \x20     type: STRICT_DNS\n\
         \x20     connect_timeout: 5s\n\
         \x20     load_assignment:\n\
         \x20       cluster_name: cell_{name}\n\
         \x20       endpoints:\n\
         \x20         - lb_endpoints:\n\
         \x20             - endpoint:\n\
         \x20                 address:\n\
         \x20                   socket_address:\n\
         \x20                     address: \"{}\"\n\
         \x20                     port_value: {}\n",
        url.host().trim_matches(['[', ']']),
        url.port(),
    );
    if url.is_tls() {
        let host = url.host();
        let host = host.trim_matches(['[', ']']);
        let _ = write!(
            text,
            "      transport_socket:\n\
             \x20       name: envoy.transport_sockets.tls\n\
             \x20       typed_config:\n\
             \x20         \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n\
             \x20         sni: \"{host}\"\n\
             \x20         common_tls_context:\n\
             \x20           validation_context:\n\
             \x20             trusted_ca:\n\
             \x20               filename: /etc/ssl/certs/ca-certificates.crt\n\
             \x20             match_typed_subject_alt_names:\n\
             \x20               - san_type: {}\n\
             \x20                 matcher:\n\
             \x20                   exact: \"{host}\"\n",
            match url.name() {
                Some(_) => "DNS",
                None => "IP_ADDRESS",
            },
        );
    }
    text
}
