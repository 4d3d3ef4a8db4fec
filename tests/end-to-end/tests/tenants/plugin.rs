//! A tenant's own plugin, deployed over HTTP: prices from its SQL store, addresses that never leave. Its neighbor has none of
//! it. Not here: plugins that misbehave (`hostile_guests`), components that are refused (`bad_input`).

use riad_core::manifest::{Manifest, write_section};
use riad_end_to_end::{Chat, Stream, Tenant, TestHost, files};
use serde_json::{Value, json};

const PRICE: &str = "What is the price of the Kestrel drill?";
const ADDRESS: &str = "What is the e-mail address of the support team?";
const STAGES: [&str; 2] = ["prompting", "postprocessing"];

fn text(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

fn served_by(answer: &Value) -> &Value {
    &answer["riad"]["receipt"]["plugins"]
}

async fn set_price(tenant: &Tenant, price: &str) {
    let settings = json!({"prices": {"Kestrel drill": price, "Merlin saw": "164 euros"}});
    tenant.put("/v1/settings", &settings).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_in_the_sql_store_reaches_only_its_tenants_prompt() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let standard = files::digest(files::STANDARD);
    let before = acme.chat(&Chat::new(PRICE)).await;
    assert!(!before.to_string().contains("189 euros"));
    let version = acme.deploy("price-desk", files::PRICE_DESK, &STAGES).await;
    assert_eq!(version, files::digest(files::PRICE_DESK));

    for price in ["189 euros", "205 euros"] {
        set_price(&acme, price).await;
        let answer = acme.chat(&Chat::new(PRICE)).await;
        assert_eq!(
            *served_by(&answer),
            json!({"retrieval": standard, "prompting": version, "postprocessing": version})
        );
        let passage = &answer["riad"]["passages"][0];
        assert_eq!(passage["document"], "price-desk");
        assert_eq!(passage["text"], format!("The price of the Kestrel drill is {price}."));
        // No document has it: what the model quotes stood in its prompt.
        assert!(text(&answer).contains(price), "{answer}");
        assert_eq!(answer["riad"]["citations"], json!([{"passage": 1, "grounded": true}]));
    }
    // The store keeps what the setting no longer says.
    acme.put("/v1/settings", &json!({})).await.ok();
    assert!(acme.chat(&Chat::new(PRICE)).await.to_string().contains("205 euros"));

    let neighbor = globex.chat(&Chat::new(PRICE)).await;
    assert!(!neighbor.to_string().contains("205 euros"), "{neighbor}");
    for stage in ["retrieval", "prompting", "postprocessing"] {
        assert_eq!(served_by(&neighbor)[stage], standard);
    }
    assert_eq!(globex.get("/v1/plugins").await.ok()["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_never_leaves_even_where_it_is_cut_by_a_chunk() {
    const SECRET: &str = "help@acme-tools.example";
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let plain = acme.stream(&Chat::new(ADDRESS)).await.rest().await;
    assert!(
        Stream::text(&plain, 0).contains(SECRET),
        "the standard pipeline hides nothing: {plain:?}"
    );
    let pieces = Stream::deltas(&plain, 0);
    assert!(
        !pieces.iter().any(|piece| piece.contains(SECRET)),
        "the address came in one piece: {pieces:?}"
    );

    acme.deploy("price-desk", files::PRICE_DESK, &STAGES).await;
    let events = acme.stream(&Chat::new(ADDRESS)).await.rest().await;
    let redacted = Stream::text(&plain, 0).replace(SECRET, "[redacted e-mail]");
    assert_eq!(Stream::text(&events, 0), redacted);
    assert!(Stream::deltas(&events, 0).len() > 2, "the answer is no longer streamed");
    for part in ["acme-tools", "help@", "@"] {
        assert!(
            Stream::deltas(&events, 0).iter().all(|piece| !piece.contains(part)),
            "{part}: {events:?}"
        );
    }
    let whole = acme.chat(&Chat::new(ADDRESS)).await;
    assert_eq!(text(&whole), redacted);
    // Tokens would show what the plugin takes out.
    for (name, value) in [("logprobs", true), ("stream", true)] {
        let chat = Chat::new(ADDRESS).with("logprobs", true).with(name, value);
        let refused = acme.try_chat(&chat).await.refused(400, "");
        assert_eq!(refused.json()["error"]["param"], "logprobs");
    }
    let scored = globex.chat(&Chat::new(ADDRESS).with("logprobs", true)).await;
    assert!(
        scored["choices"][0]["logprobs"]["content"].is_array(),
        "the standard stage"
    );
    // Quotations are checked as the model wrote them.
    assert_eq!(whole["riad"]["citations"][0]["grounded"], true);

    let neighbor = globex.chat(&Chat::new(ADDRESS)).await;
    assert!(text(&neighbor).contains("service@globex.example"), "{neighbor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_switches_at_once_and_back() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let (standard, chat) = (files::digest(files::STANDARD), Chat::new("Hello"));
    let desk = acme.deploy("desk", files::PRICE_DESK, &STAGES).await;
    let echo = acme.deploy("desk", files::ECHO, &["retrieval"]).await;
    let versions = acme.get("/v1/plugins").await.ok();
    let listed: Vec<_> = versions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| &plugin["version"])
        .collect();
    assert_eq!(
        listed,
        [&Value::from(echo.as_str()), &desk.as_str().into()],
        "newest first"
    );
    assert_eq!(versions["data"][1]["stages"], json!(STAGES));

    for (stages, expected) in [
        (
            json!({"retrieval": format!("desk@{echo}")}),
            [&echo, &standard, &standard],
        ),
        (
            json!({"retrieval": format!("desk@{echo}"), "prompting": format!("desk@{desk}")}),
            [&echo, &desk, &standard],
        ),
        (
            json!({"postprocessing": format!("desk@{desk}")}),
            [&standard, &standard, &desk],
        ),
        (json!({"prompting": "standard"}), [&standard, &standard, &standard]),
    ] {
        let put = acme.put("/v1/pipeline", &json!({"stages": stages})).await.ok();
        assert_eq!(acme.get("/v1/pipeline").await.ok(), put);
        let answer = acme.chat(&chat).await;
        for (stage, expected) in ["retrieval", "prompting", "postprocessing"].iter().zip(expected) {
            assert_eq!(served_by(&answer)[*stage], **expected, "{stages}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_deleted_by_its_owner_when_it_serves_nothing() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let version = acme.deploy("desk", files::PRICE_DESK, &["prompting"]).await;
    globex.deploy("desk", files::PRICE_DESK, &[]).await;
    let path = format!("/v1/plugins/desk/versions/{version}");
    let serving = acme.delete(&path).await;
    assert_eq!(serving.status, 409, "{}", serving.body);
    acme.reset_pipeline().await;
    acme.delete(&path).await.ok();
    assert_eq!(acme.delete(&path).await.status, 404);
    assert_eq!(acme.get("/v1/plugins").await.ok()["data"], json!([]));
    // The neighbor's own is the same bytes, and stays.
    assert_eq!(globex.get("/v1/plugins").await.ok()["data"][0]["version"], version);
    let audit = acme.get("/v1/audit").await.ok();
    let actions: Vec<_> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["action"])
        .collect();
    assert!(actions.contains(&&json!("plugin.delete")), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_reads_what_the_calls_of_a_plugin_used() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let version = acme
        .deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    acme.chat(&Chat::new("Hello").with("max_tokens", 4)).await;
    let stats = acme.get("/v1/plugins/echo/stats").await.ok();
    let stages = stats["data"].as_array().unwrap();
    let named: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(named, ["retrieval", "prompting", "postprocessing"]);
    for stage in stages {
        assert_eq!(stage["version"], version);
        assert!(
            stage["calls"].as_u64() > Some(0) && stage["fuel"].as_u64() > Some(0),
            "{stage}"
        );
        assert!(
            stage["peak_memory_bytes"].as_u64() > Some(0) && stage["failed"] == 0,
            "{stage}"
        );
    }
    globex.get("/v1/plugins/echo/stats").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_follow_the_schema_of_the_plugins_that_serve() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let built = |schema: &str| {
        let manifest = format!(
            "[plugin]\nname = \"desk\"\nversion = \"1.0.0\"\nlanguage = \"rust\"\nstages = {STAGES:?}\n\
             capabilities = [\"documents\", \"store\", \"settings\", \"logging\", \"model\"]\n[configuration]\n{schema}\n"
        );
        write_section(files::PRICE_DESK, &Manifest::from_toml(&manifest).unwrap()).unwrap()
    };
    let refused = acme
        .put_plugin("desk", built("properties.prices.type = \"list\""))
        .await;
    let refused = refused.refused(400, "");
    assert!(refused.body.contains("/properties/prices/type"), "{}", refused.body);

    acme.deploy(
        "desk",
        built("properties.prices.additionalProperties.type = \"string\""),
        &STAGES,
    )
    .await;
    set_price(&acme, "189 euros").await;
    let before = acme.get("/v1/settings").await.ok();
    let wrong = json!({"prices": {"Kestrel drill": 189}});
    let refused = acme.put("/v1/settings", &wrong).await.refused(400, "");
    assert!(refused.body.contains("the plugin desk"), "{}", refused.body);
    assert!(refused.body.contains("/prices/Kestrel drill: "), "{}", refused.body);
    assert_eq!(acme.get("/v1/settings").await.ok(), before);
    // Another room's plugins have no say, nor have those that serve nothing.
    globex.put("/v1/settings", &wrong).await.ok();
    acme.reset_pipeline().await;
    acme.put("/v1/settings", &wrong).await.ok();
}
