//! Kubernetes' Gateway API: a route for each cell, and one for what has no slot. The longest match wins, whatever their order.

use super::{RouteOptions, pattern};
use crate::{Cell, CellMap};
use riad_core::{Error, Result};

/// Rules that an `HTTPRoute` may have.
const RULES_MAX: usize = 16;

pub fn routes(map: &CellMap, options: &RouteOptions) -> Result<String> {
    let default = map.default_cell();
    let mut text = format!(
        "# Routes to Riad's cells for gateways of Kubernetes that match headers by regular expressions, by `riad cell routes --for gateway`. Write and\n\
         # apply them again when the map has changed. The Gateway is your own: name it in parentRefs. A cell with https needs a BackendTLSPolicy.\n\
         #\n\
         # A key says its slot: riad_sk_<slot>_…, as `Authorization: Bearer` or `x-api-key`. A gateway cannot compute the slot of an identity\n\
         # provider's token: they go to the default cell, `{}`, like all that have no slot. A cell that does not serve a tenant answers 421 and\n\
         # names the one that does in `riad-cell`.\n",
        default.name
    );
    for cell in map.cells() {
        let rules: Vec<Vec<String>> = pattern::keys(&map.slots(&cell.name))
            .iter()
            .map(|keys| {
                vec![
                    by_header("authorization", &format!("[Bb]earer +{keys}")),
                    by_header("x-api-key", keys),
                ]
            })
            .collect();
        match rules.len() {
            0 => {}
            1..=RULES_MAX => text += &route(&format!("riad-cell-{}", kubernetes_name(cell)), cell, &rules, options)?,
            _ => {
                return Err(Error::invalid(format!(
                    "the cell `{}` has so many ranges of slots that no HTTPRoute holds them; give it ranges that follow each other (riad cell assign)",
                    cell.name
                )));
            }
        }
    }
    let rest = vec![by_path("PathPrefix", "/v1"), by_path("Exact", "/openapi.json")];
    text += &route("riad-default", default, &[rest], options)?;
    Ok(text)
}

/// Names in Kubernetes have no underscore and end with a letter or digit.
fn kubernetes_name(cell: &Cell) -> String {
    let name = cell.name.as_str().replace('_', "-");
    name.trim_end_matches('-').to_owned()
}

fn route(name: &str, cell: &Cell, rules: &[Vec<String>], options: &RouteOptions) -> Result<String> {
    let (service, namespace) = service(cell)?;
    let namespace = namespace.map_or_else(String::new, |namespace| format!("          namespace: {namespace}\n"));
    let port = cell.url.port();
    let mut text = format!(
        "---\n\
         apiVersion: gateway.networking.k8s.io/v1\n\
         kind: HTTPRoute\n\
         metadata:\n\
         \x20 name: {name}\n\
         \x20 labels:\n\
         \x20   app.kubernetes.io/name: riad\n\
         spec:\n\
         \x20 parentRefs:\n\
         \x20   - name: gateway\n\
         \x20     namespace: gateway\n\
         \x20 hostnames: [\"{}\"]\n\
         \x20 rules:\n",
        options.hostname
    );
    for matches in rules {
        text += &format!(
            "    - matches:\n\
             {}\
             \x20     backendRefs:\n\
             \x20       - name: {service}\n\
             {namespace}\
             \x20         port: {port}\n\
             \x20     # No limit of the gateway's: a request ends after limits.request_ms.\n\
             \x20     timeouts:\n\
             \x20       request: 0s\n",
            matches.concat()
        );
    }
    Ok(text)
}

fn by_path(kind: &str, path: &str) -> String {
    format!("        - path:\n            type: {kind}\n            value: {path}\n")
}

fn by_header(name: &str, expression: &str) -> String {
    let path = by_path("PathPrefix", "/v1");
    format!(
        "{path}\
         \x20         headers:\n\
         \x20           - type: RegularExpression\n\
         \x20             name: {name}\n\
         \x20             value: '^{expression}$'\n"
    )
}

/// Name and namespace of the Service that the cell's URL names, as in `http://riad-0.riad.svc:8080`.
fn service(cell: &Cell) -> Result<(&str, Option<&str>)> {
    let wrong = || {
        Error::invalid(format!(
            "{} of the cell `{}` names no Service, to which a gateway routes; give the cell a URL as in http://riad-0.riad.svc:8080",
            cell.url, cell.name
        ))
    };
    let mut labels = cell.url.name().ok_or_else(wrong)?.split('.');
    let service = labels.next().ok_or_else(wrong)?;
    match (labels.next(), labels.next()) {
        (None, _) => Ok((service, None)),
        (Some(namespace), None | Some("svc")) => Ok((service, Some(namespace))),
        (Some(_), Some(_)) => Err(wrong()),
    }
}
