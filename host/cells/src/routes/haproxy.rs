//! HAProxy, from 2.5 on: keys by their slot, tokens by the slot of a claim, which HAProxy computes.

use super::RouteOptions;
use crate::{Cell, CellMap, SlotRange};
use riad_core::{Error, Result, slot::SLOTS};
use std::fmt::Write as _;

/// Ranges in a line: HAProxy reads 64 words of one.
const RANGES_PER_LINE: usize = 40;

pub fn routes(map: &CellMap, options: &RouteOptions) -> Result<String> {
    let claim = &options.tenant_claim;
    check_claim(claim)?;
    let default = &map.default_cell().name;
    let mut text = format!(
        "# Routes to Riad's cells for HAProxy 2.5 and later, by `riad cell routes --for haproxy`. Write them again when the map has changed, then\n\
         # reload HAProxy. They work alone, or behind a file of yours: haproxy -f haproxy.cfg -f riad.cfg. For TLS, give `bind` a certificate.\n\
         #\n\
         # A key says its slot: riad_sk_<slot>_…, as `Authorization: Bearer` or `x-api-key`. That of an identity provider's token follows from its\n\
         # claim `{claim}`; the cell verifies it. All others go to the default cell, `{default}`. A cell that does not serve a tenant answers 421.\n\
         \n\
         defaults riad\n\
         \x20   mode http\n\
         \x20   timeout connect 5s\n\
         \x20   # Longer than a request may take (limits.request_ms).\n\
         \x20   timeout client 11m\n\
         \x20   timeout server 11m\n\
         \n\
         frontend riad from riad\n\
         \x20   bind {}\n\
         \x20   # Not the operator's API and not /metrics: those are reached at the cells themselves.\n\
         \x20   http-request deny deny_status 404 unless {{ path_beg /v1/ }} or {{ path /openapi.json }}\n\
         \x20   http-request set-var(txn.riad_key) http_auth_bearer\n\
         \x20   http-request set-var(txn.riad_key) req.hdr(x-api-key) unless {{ var(txn.riad_key) -m found }}\n\
         \x20   acl riad_key_with_slot var(txn.riad_key) -m reg ^riad_sk_[0-9]{{5}}_[A-Za-z0-9_-]{{43}}$\n\
         \x20   http-request set-var(txn.riad_slot) var(txn.riad_key),field(3,_),add(0) if riad_key_with_slot\n\
         \x20   http-request set-var(txn.riad_slot) var(txn.riad_key),jwt_payload_query('$.{claim}'),crc32,mod({SLOTS}) unless {{ var(txn.riad_slot) -m found }}\n",
        options.listen,
    );
    for cell in map.cells() {
        let ranges = map.slots(&cell.name);
        for ranges in ranges.chunks(RANGES_PER_LINE) {
            let ranges: Vec<String> = ranges.iter().map(|range| integers(*range)).collect();
            line(
                &mut text,
                &format!(
                    "    use_backend cell_{} if {{ var(txn.riad_slot) -m int {} }}",
                    cell.name,
                    ranges.join(" ")
                ),
            );
        }
    }
    line(&mut text, &format!("    default_backend cell_{default}"));
    if map.cells().any(|cell| cell.url.name().is_some()) {
        text += "\n# Names are looked up while HAProxy runs, as the system does it.\nresolvers riad\n    parse-resolv-conf\n";
    }
    for cell in map.cells() {
        line(
            &mut text,
            &format!("\nbackend cell_{} from riad\n    {}", cell.name, server(cell)),
        );
    }
    Ok(text)
}

fn server(cell: &Cell) -> String {
    let mut text = format!("server {} {}", cell.name, cell.url.authority());
    if cell.url.is_tls() {
        text += " ssl verify required ca-file @system-ca";
    }
    if let Some(name) = cell.url.name() {
        if cell.url.is_tls() {
            text += &format!(" sni str({name}) verifyhost {name}");
        }
        text += " resolvers riad init-addr libc,none";
    }
    text
}

fn integers(range: SlotRange) -> String {
    match range.first() == range.last() {
        true => range.first().to_string(),
        false => format!("{}:{}", range.first(), range.last()),
    }
}

/// A claim stands in a path, in which other characters would mean something.
fn check_claim(claim: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match !claim.is_empty() && claim.bytes().all(is_plain) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "HAProxy cannot read the claim `{claim}`: a name that it can read has letters, digits, `_` and `-`; give tokens such a claim and name it in auth.tenant_claim"
        ))),
    }
}

fn line(text: &mut String, line: &str) {
    // A text takes whatever is written to it.
    let _ = writeln!(text, "{line}");
}
