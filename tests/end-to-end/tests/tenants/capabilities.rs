//! What plugins may reach beyond the room's documents: values, prompts of their own, other hosts; each within what the operator grants and
//! the tenant's budget.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{Answer, Caller, Chat, Tenant, TestHost, files};
use serde_json::{Value, json};

/// Has the room's plugin make these calls, in one chat.
async fn try_calls(caller: &Caller, calls: Value) -> Answer {
    caller.put("/v1/settings", &json!({"calls": calls})).await.ok();
    caller.try_chat(&Chat::new("Hello").with("max_tokens", 4)).await
}

/// What each call gave, as text.
async fn call(caller: &Caller, calls: Value) -> Vec<String> {
    texts(&try_calls(caller, calls).await.ok())
}

fn texts(answer: &Value) -> Vec<String> {
    let passages = answer["riad"]["passages"].as_array().unwrap();
    passages
        .iter()
        .map(|passage| passage["text"].as_str().unwrap().to_owned())
        .collect()
}

/// The component imports everything, so that everything must be granted.
async fn tenant(host: &TestHost, id: &str) -> Tenant {
    let tenant = host
        .tenant_with(id, json!({"plugins": {"http_hosts": ["api.acme.example"]}}))
        .await;
    with_caller(&tenant).await;
    tenant
}

async fn with_caller(caller: &Caller) {
    caller.deploy("caller", files::CALLER, &["prompting"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_values_are_its_tenants_alone() {
    let host = TestHost::start().await;
    let (acme, globex) = (tenant(&host, "acme").await, tenant(&host, "globex").await);
    call(
        &acme,
        json!([
            ["kv.set", "desk.code", "4711", 3600],
            ["kv.increment", "desk.count", 2, 3600]
        ]),
    )
    .await;
    // They outlive the request.
    let read = json!([["kv.get", "desk.code"], ["kv.increment", "desk.count", 1, 3600]]);
    let found = call(&acme, read.clone()).await;
    assert!(found[0].contains("4711") && found[1].contains('3'), "{found:?}");
    let neighbors = call(&globex, read).await;
    assert!(
        neighbors[0].contains("None") && neighbors[1].contains('1'),
        "{neighbors:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_own_prompts_are_billed_with_its_request() {
    let host = TestHost::start().await;
    let acme = tenant(&host, "acme").await;
    let tokens = |answer: &Value| answer["riad"]["receipt"]["prompt_tokens"].as_u64().unwrap();
    let without = try_calls(&acme, json!([])).await.ok();
    let ask = json!(["generate", "How long is the warranty of the Kestrel drill?", 8]);
    let with = try_calls(&acme, json!([ask, ask])).await.ok();
    let found = texts(&with);
    assert!(found.iter().all(|text| text.contains("completion-tokens")), "{found:?}");
    assert!(tokens(&with) > tokens(&without) + 20, "{with} {without}");
    // What the client reads of it is its own prompt and answer.
    assert_eq!(
        with["usage"]["completion_tokens"],
        without["usage"]["completion_tokens"]
    );
    let entry = host.entries("acme").await.into_iter().next_back().unwrap();
    assert_eq!(entry["prompt_tokens"].as_u64(), Some(tokens(&with)), "{entry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_prompt_over_the_budget_is_refused() {
    let host = TestHost::start().await;
    let acme = host
        .tenant_with(
            "acme",
            json!({"budget": {"total_tokens": 3000}, "plugins": {"http_hosts": ["api.acme.example"]}}),
        )
        .await;
    with_caller(&acme).await;
    let asks = vec![json!(["generate", "word ".repeat(300), 300]); 8];
    let refused = try_calls(&acme, json!(asks)).await;
    let refused = match refused.status.as_u16() {
        // The plugin had an error for the last ones, and went on.
        200 => texts(&refused.ok()).join(" "),
        _ => refused.message(),
    };
    assert!(
        refused.contains("budget") || refused.contains("LimitExceeded"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_no_plugin_reaches_a_host() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let upload = acme.put_plugin("caller", files::CALLER).await;
    assert_eq!(upload.status.as_u16(), 403);
    assert!(upload.message().contains("plugins.http_hosts"), "{}", upload.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_grant_opens_the_servers_own_network() {
    let host = TestHost::start().await;
    let own = host.url();
    let port = own.rsplit(':').next().unwrap().to_owned();
    let hosts = json!([
        "http://localhost",
        format!("http://localhost:{port}"),
        "http://169.254.169.254",
        format!("http://127.0.0.1:{port}")
    ]);
    let acme = host
        .tenant_with("acme", json!({"plugins": {"http_hosts": hosts}}))
        .await;
    with_caller(&acme).await;
    let urls = [
        format!("http://localhost:{port}/healthz"),
        format!("http://127.0.0.1:{port}/healthz"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://api.acme.example/".to_owned(),
    ];
    let calls: Vec<_> = urls
        .iter()
        .map(|url| json!(["http.get", url, "accept", "*/*"]))
        .collect();
    for (url, result) in urls.iter().zip(call(&acme, json!(calls)).await) {
        assert!(result.starts_with("Err"), "{url}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_taken_back_stops_the_plugin() {
    let host = TestHost::start().await;
    let acme = tenant(&host, "acme").await;
    call(&acme, json!([["kv.get", "x"]])).await;
    host.change(
        "acme",
        json!({"plugins": {"capabilities": ["documents", "settings", "logging", "model"]}}),
    )
    .await;
    let refused = try_calls(&acme, json!([["kv.get", "x"]])).await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.message());
    assert!(
        refused.message().contains("plugins.capabilities"),
        "{}",
        refused.message()
    );
    // The standard pipeline is the server's own.
    acme.reset_pipeline().await;
    acme.chat(&Chat::new("Hello").with("max_tokens", 4)).await;
    let wrong = host
        .operator
        .patch(
            "/operator/v1/tenants/acme",
            &json!({"plugins": {"http_hosts": ["*.com"]}}),
        )
        .await;
    assert_eq!(wrong.status.as_u16(), 400);
}

/// A vector store with one file, of this text.
async fn store_with(caller: &Caller, name: &str, text: &str) -> String {
    let store = caller.post("/v1/vector_stores", &json!({"name": name})).await.ok();
    let store = store["id"].as_str().unwrap().to_owned();
    let file = Part::bytes(text.as_bytes().to_vec()).file_name(format!("{name}.txt"));
    let form = Form::new().text("purpose", "assistants").part("file", file);
    let kept = caller
        .send(caller.request(Method::POST, "/v1/files").multipart(form))
        .await
        .ok();
    let add = json!({"file_id": kept["id"], "attributes": {"shelf": name}});
    let added = caller
        .post(&format!("/v1/vector_stores/{store}/files"), &add)
        .await
        .ok();
    assert_eq!(added["status"], "completed", "{added}");
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_searches_the_stores_that_it_names() {
    let host = TestHost::start().await;
    let (acme, globex) = (tenant(&host, "acme").await, tenant(&host, "globex").await);
    acme.add_document("Desk", "The desk is open at nine.").await;
    let lamps = store_with(&acme, "lamps", "The lamp Vega has a warranty of 12 months.").await;
    let saws = store_with(&acme, "saws", "The saw Corvus has a warranty of 24 months.").await;
    let secret = store_with(&globex, "secret", "The warranty of Globex is CANARY.").await;
    let find = |stores: Value, filter: &str| json!(["documents.search_stores", stores, "warranty", 5, filter]);
    let found = call(
        &acme,
        json!([
            find(json!([lamps]), "{}"),
            find(json!([lamps, saws]), "{}"),
            find(json!([lamps, saws]), r#"{"shelf": "saws"}"#),
            find(json!([secret]), "{}"),
            find(json!([]), "{}"),
            find(json!(["../x"]), "{}"),
            ["documents.search", "warranty", 5],
        ]),
    )
    .await;
    let has = |index: usize| ["Vega", "Corvus", "CANARY", "nine"].map(|word| found[index].contains(word));
    assert_eq!(has(0), [true, false, false, false], "{found:?}");
    assert_eq!(has(1), [true, true, false, false], "{found:?}");
    assert_eq!(has(2), [false, true, false, false], "{found:?}");
    assert!(
        found[3].contains("NotFound") && found[5].contains("NotFound"),
        "{found:?}"
    );
    assert!(found[4].contains("InvalidArgument"), "{found:?}");
    assert!(!found[6].contains("Vega") && !found[6].contains("Corvus"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_names_the_stores_that_chats_search() {
    let host = TestHost::start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    acme.add_document("Desk", "The warranty of the desk is 3 months.").await;
    let lamps = store_with(&acme, "lamps", "The lamp Vega has a warranty of 12 months.").await;
    let put = json!({"stages": {}, "vector_store_ids": [lamps]});
    assert_eq!(
        acme.put("/v1/pipeline", &put).await.ok()["vector_store_ids"],
        json!([lamps])
    );
    assert_eq!(globex.put("/v1/pipeline", &put).await.status.as_u16(), 404);

    let ask = Chat::new("How long is the warranty?").with("max_tokens", 8);
    let answer = acme.try_chat(&ask).await.ok();
    let passages = answer["riad"]["passages"].as_array().unwrap();
    assert!(!passages.is_empty(), "{answer}");
    for passage in passages {
        assert!(passage["text"].as_str().unwrap().contains("Vega"), "{answer}");
        let file = acme
            .get(&format!("/v1/files/{}", passage["file"].as_str().unwrap()))
            .await
            .ok();
        assert_eq!(file["filename"], "lamps.txt");
    }

    // Never the room's documents in place of a store that is gone.
    acme.delete(&format!("/v1/vector_stores/{lamps}")).await.ok();
    let refused = acme.try_chat(&ask).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("/v1/pipeline"), "{}", refused.body);
    acme.put("/v1/pipeline", &json!({"stages": {}})).await.ok();
    let answer = acme.try_chat(&ask).await.ok();
    assert!(answer["riad"]["passages"].to_string().contains("desk"), "{answer}");
}
