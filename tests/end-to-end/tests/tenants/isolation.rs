//! The isolation suite against a server of our own: it sees no canary, and it is not blind. Not here: what it tries
//! (`tests/isolation`).

use riad_end_to_end::{Tenant, TestHost, files};
use riad_isolation::{Options, Report};
use serde_json::json;

async fn hunt(host: &TestHost, a: &Tenant, b: &Tenant, plant_leak: bool) -> Report {
    let options = Options {
        base_url: host.url(),
        key_a: a.key.clone(),
        key_b: b.key.clone(),
        spy: None,
        adapter: None,
        has_console: true,
        plant_leak,
    };
    riad_isolation::run(options).await.unwrap()
}

/// Two tenants whose plugins may use everything: the spy does.
async fn neighbors(host: &TestHost) -> (Tenant, Tenant) {
    let neighbors = host.neighbors().await;
    for tenant in ["acme", "globex"] {
        host.change(tenant, json!({"plugins": {"http_hosts": ["api.acme.example"]}}))
            .await;
    }
    neighbors
}

#[tokio::test(flavor = "multi_thread")]
async fn no_canary_of_a_tenant_is_seen_by_its_neighbor() {
    let host = TestHost::start().await;
    let (acme, globex) = neighbors(&host).await;
    for (a, b) in [(&acme, &globex), (&globex, &acme)] {
        let report = hunt(&host, a, b, false).await;
        assert!(report.is_clean(), "{report}");
        assert!(report.outcomes.len() > 100, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_in_the_wrong_room_is_seen_wherever_it_lies() {
    let host = TestHost::start().await;
    let (acme, globex) = neighbors(&host).await;
    let report = hunt(&host, &acme, &globex, true).await;
    assert!(!report.is_clean());
    let leaks = report.leaks();
    for (what, place) in [
        ("document title", "POST /v1/search"),
        ("document text", "POST /v1/chat/completions"),
        ("document text", "POST /v1/search"),
        ("document metadata", "GET /v1/documents"),
        ("setting", "GET /v1/settings"),
        (
            "price in the SQL store",
            "POST /v1/chat/completions (the spying plugin's report)",
        ),
        ("log line", "GET /v1/logs"),
        ("adapter alias", "GET /v1/adapters"),
        ("adapter alias", "GET /v1/models"),
        ("adapter generation", "GET /v1/adapters"),
        ("plugin name", "GET /v1/plugins"),
        ("plugin version", "GET /v1/plugins"),
    ] {
        let seen = format!("A's {what} was seen in {place}");
        assert!(
            leaks.iter().any(|leak| leak.starts_with(&seen)),
            "not seen: {seen}\n{report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_rooms_are_put_back_as_they_were() {
    let host = TestHost::start().await;
    let (acme, globex) = neighbors(&host).await;
    let desk = acme.deploy("desk", files::PRICE_DESK, &["prompting"]).await;
    let settings = json!({"prices": {"Kestrel drill": "189 euros"}, "note": "ours"});
    acme.put("/v1/settings", &settings).await.ok();
    globex.put("/v1/settings", &json!({"note": "theirs"})).await.ok();
    let paths = ["/v1/documents", "/v1/adapters", "/v1/settings", "/v1/pipeline"];
    let look = async || {
        let mut seen = Vec::new();
        for tenant in [&acme, &globex] {
            for path in paths {
                seen.push(tenant.get(path).await.ok());
            }
        }
        seen
    };
    let before = look().await;
    assert!(hunt(&host, &acme, &globex, true).await.leaks().len() > 10);
    assert_eq!(look().await, before);

    // The price table too: what the suite had put there is gone, what was there is there.
    let chat = riad_end_to_end::Chat::new("What is the price of the Kestrel drill and of the vault?");
    let answer = acme.chat(&chat).await;
    let passages = answer["riad"]["passages"].to_string();
    assert!(
        passages.contains("189 euros") && !passages.contains("canary"),
        "{passages}"
    );
    assert_eq!(answer["riad"]["receipt"]["plugins"]["prompting"], desk);
}
