//! Real HAProxy and nginx, configured by `routes`, in front of cells that are fakes: which cell answers what.
//! Where a proxy is not installed, its tests say so on the standard error and pass.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod cell;
mod http;
mod proxy;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cell::Cells;
use http::{Answer, ask};
use proxy::Running;
use riad_cells::Proxy;
use riad_core::{TenantId, slot::Slot};
use std::net::SocketAddr;

const PROXIES: [Proxy; 2] = [Proxy::Haproxy, Proxy::Nginx];

/// A key of the first tenant `t0`, `t1`, … in the cell, by the map that the cells began with.
fn tenant_of(cells: &Cells, cell: &str) -> TenantId {
    let tenants = (0..1000).map(|number| format!("t{number}").parse::<TenantId>().unwrap());
    let mut found = tenants.filter(|tenant| cells.owner(Slot::of(tenant)) == cell);
    found.next().unwrap()
}

fn key_of(cells: &Cells, cell: &str) -> String {
    format!("{}{}", Slot::of(&tenant_of(cells, cell)).key_prefix(), "k".repeat(43))
}

/// Not signed: proxies do not verify.
fn token(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        part(r#"{"alg":"RS256","typ":"JWT"}"#),
        part(claims),
        part("signature")
    )
}

fn chat(at: SocketAddr, header: &str, body: &str) -> Answer {
    ask(at, "POST", "/v1/chat/completions", &[header], body)
}

/// Both proxies, each before three cells of its own.
fn before_each_proxy(test: impl Fn(Proxy, &Cells, SocketAddr)) {
    for proxy in PROXIES {
        let cells = Cells::start(&["a", "b", "c"]);
        if let Some(running) = Running::start(proxy, &cells.map()) {
            test(proxy, &cells, running.address);
        }
    }
}

#[test]
fn a_key_goes_to_the_cell_of_its_slot() {
    before_each_proxy(|proxy, cells, at| {
        for cell in ["a", "b", "c"] {
            let key = key_of(cells, cell);
            for header in [
                format!("authorization: Bearer {key}"),
                format!("Authorization: bearer {key}"),
                format!("x-api-key: {key}"),
            ] {
                let answer = chat(at, &header, "{}");
                assert_eq!((answer.status, answer.cell()), (200, cell), "{proxy:?} {header}");
            }
            // A gateway's own header beside the key.
            let both = ["authorization: Basic eDp5", &format!("x-api-key: {key}")];
            assert_eq!(ask(at, "GET", "/v1/models", &both, "").cell(), cell, "{proxy:?}");
            let two = [&*format!("authorization: Bearer {key}"), "x-api-key: of-something-else"];
            assert_eq!(ask(at, "GET", "/v1/models", &two, "").cell(), cell, "{proxy:?}");
        }
    });
}

#[test]
fn what_has_no_slot_goes_to_the_default_cell() {
    before_each_proxy(|proxy, cells, at| {
        let no_slot = key_of(cells, "c").replace("_sk_", "_sk_x");
        for header in [
            format!("authorization: Bearer {no_slot}"),
            "authorization: Bearer riad_sk_99999_x".to_owned(),
            format!("authorization: Bearer riad_sk_{}", "1".repeat(43)),
            "x-api-key: riad_sk_old".to_owned(),
            "x-nothing: x".to_owned(),
        ] {
            let answer = chat(at, &header, "{}");
            assert_eq!((answer.status, answer.cell()), (200, "a"), "{proxy:?} {header}");
        }
        assert_eq!(ask(at, "GET", "/openapi.json", &[], "").cell(), "a", "{proxy:?}");
    });
}

#[test]
fn what_is_the_operators_is_not_reached() {
    before_each_proxy(|proxy, cells, at| {
        let header = format!("authorization: Bearer {}", key_of(cells, "b"));
        for path in ["/operator/v1/tenants", "/metrics", "/", "/v1", "/openapi.json.x"] {
            let answer = ask(at, "GET", path, &[&header], "");
            assert_eq!((answer.status, answer.cell()), (404, ""), "{proxy:?} {path}");
        }
    });
}

#[test]
fn a_token_goes_to_the_cell_of_its_tenant() {
    before_each_proxy(|proxy, cells, at| {
        let body = "x".repeat(100_000);
        for cell in ["a", "b", "c"] {
            let tenant = tenant_of(cells, cell);
            let token = token(&format!(r#"{{"iss":"i","tenant":"{tenant}","exp":1}}"#));
            let answer = chat(at, &format!("authorization: Bearer {token}"), &body);
            assert_eq!(
                (answer.status, answer.cell(), answer.bytes()),
                (200, cell, 100_000),
                "{proxy:?}"
            );
        }
        // nginx asks the default cell first, and follows its 421; HAProxy computes the slot.
        let expected = match proxy {
            Proxy::Nginx => 3,
            Proxy::Haproxy | Proxy::Envoy | Proxy::Gateway => 1,
        };
        assert_eq!(cells.asked("a"), expected, "{proxy:?}");
    });
}

#[test]
fn a_token_without_the_claim_goes_to_the_default_cell() {
    before_each_proxy(|proxy, _, at| {
        for claims in [r#"{"iss":"i"}"#, r#"{"tenant":["t1"]}"#, "{", ""] {
            let answer = chat(at, &format!("authorization: Bearer {}", token(claims)), "{}");
            assert!(
                answer.cell() == "a" || answer.status == 421,
                "{proxy:?} {claims} {}",
                answer.status
            );
        }
    });
}

#[test]
fn a_proxy_with_an_old_map_reaches_no_wrong_room() {
    before_each_proxy(|proxy, cells, at| {
        let key = key_of(cells, "b");
        cells.assign("0-16383", "c");
        let answer = chat(at, &format!("x-api-key: {key}"), "body");
        match proxy {
            Proxy::Nginx => assert_eq!((answer.status, answer.cell(), answer.bytes()), (200, "c", 4)),
            Proxy::Haproxy | Proxy::Envoy | Proxy::Gateway => {
                assert_eq!((answer.status, answer.header("riad-cell")), (421, Some("c")));
            }
        }
        assert_eq!(cells.asked("b"), 1);
    });
}

#[test]
fn a_421_of_a_cell_that_nobody_knows_is_passed_on() {
    before_each_proxy(|proxy, cells, at| {
        cells.rename_all("elsewhere");
        let answer = chat(at, &format!("x-api-key: {}", key_of(cells, "b")), "{}");
        assert_eq!(
            (answer.status, answer.header("riad-cell")),
            (421, Some("elsewhere")),
            "{proxy:?}"
        );
        assert!(answer.body.contains("misdirected"), "{proxy:?}: {}", answer.body);
    });
}

#[test]
fn a_dead_cell_takes_no_other_with_it() {
    before_each_proxy(|proxy, cells, at| {
        cells.end("b");
        let status = |cell| chat(at, &format!("x-api-key: {}", key_of(cells, cell)), "{}").status;
        assert!([502, 503].contains(&status("b")), "{proxy:?}");
        assert_eq!((status("a"), status("c")), (200, 200), "{proxy:?}");
    });
}

#[test]
fn names_and_certificates_are_understood() {
    proxy::check(
        Proxy::Haproxy,
        &[
            ("a", "https://a.riad.invalid"),
            ("b", "http://b.riad.invalid:8080"),
            ("c", "http://[::1]:8080"),
        ],
    );
    // nginx looks names up when it starts.
    proxy::check(
        Proxy::Nginx,
        &[("a", "https://127.0.0.1"), (&"b".repeat(32), "http://[::1]:8080")],
    );
}

#[test]
fn a_map_in_many_pieces_is_understood() {
    for proxy in PROXIES {
        let cells = Cells::start(&["a", "b"]);
        for slot in (0..16_384).step_by(64) {
            cells.assign(&slot.to_string(), "b");
        }
        let Some(running) = Running::start(proxy, &cells.map()) else {
            continue;
        };
        for cell in ["a", "b"] {
            let answer = chat(running.address, &format!("x-api-key: {}", key_of(&cells, cell)), "{}");
            assert_eq!((answer.status, answer.cell()), (200, cell), "{proxy:?}");
        }
    }
}
