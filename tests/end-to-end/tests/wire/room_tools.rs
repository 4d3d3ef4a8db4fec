//! Tools of the room's own plugin: called by the model while it answers, listed and called by the client.

use riad_end_to_end::{Caller, Chat, Stream, TestHost, files};
use serde_json::{Value, json};

async fn with_tools(caller: &Caller) {
    caller.deploy("orders", files::ORDER_TOOLS, &["tools"]).await;
}

fn question(choice: impl Into<Value>) -> Chat {
    Chat::new("How many days does an express delivery take?")
        .with("tool_choice", choice)
        .with("parallel_tool_calls", false)
        .with("max_tokens", 100)
}

fn named(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

async fn logged(caller: &Caller) -> String {
    caller.get("/v1/logs").await.ok().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_goes_on_from_what_a_tool_answered() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    with_tools(&acme).await;
    let plain = acme.chat(&question("none")).await;
    let answer = acme.chat(&question(named("delivery_days"))).await;
    let choice = &answer["choices"][0];
    assert!(choice["message"].get("tool_calls").is_none(), "{choice}");
    assert_ne!(choice["finish_reason"], "tool_calls");
    let log = logged(&acme).await;
    assert!(log.contains("the model called the tool delivery_days"), "{log}");
    // Both prompts are counted, the second of which has the call and its answer.
    let prompt_tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(prompt_tokens(&answer) > 2 * prompt_tokens(&plain), "{answer} {plain}");
    let receipt = &answer["riad"]["receipt"];
    assert!(
        receipt["plugins"]["tools"].as_str().unwrap().starts_with("sha256:"),
        "{receipt}"
    );
    assert_eq!(receipt["prompt_tokens"], answer["usage"]["prompt_tokens"], "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_tools_streams_like_the_whole() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    with_tools(&acme).await;
    let asked = question(named("delivery_days")).with("temperature", 0);
    let whole = acme.chat(&asked).await;
    let events = acme.stream(&asked).await.rest().await;
    let text = Stream::text(&events, 0);
    assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert!(!json!(events).to_string().contains("tool_calls"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_goes_to_the_model() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    with_tools(&acme).await;
    // No number that the small model writes is an order's, and there is no table.
    let answer = acme.try_chat(&question(named("find_order"))).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "plugin_failed"));
    orders(&acme).await;
    with_tools(&acme).await;
    let answer = acme.chat(&question(named("find_order"))).await;
    assert_ne!(answer["choices"][0]["finish_reason"], "tool_calls");
}

/// Makes the table of orders, with one in it.
async fn orders(caller: &Caller) {
    for sql in [
        "CREATE TABLE orders (number TEXT PRIMARY KEY, item TEXT, state TEXT)",
        "INSERT INTO orders VALUES ('A-17', 'a Kestrel drill', 'on its way')",
    ] {
        let settings = json!({"change": sql, "statement": "SELECT 1"});
        caller.put("/v1/settings", &settings).await.ok();
        caller.deploy("statement", files::STATEMENT, &["prompting"]).await;
        caller.chat(&Chat::new("Run it.").with("max_tokens", 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lists_and_calls_the_rooms_tools() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    orders(&acme).await;
    with_tools(&acme).await;
    let listed = acme.get("/v1/tools").await.ok();
    let names: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["function"]["name"])
        .collect();
    assert_eq!(names, ["find_order", "delivery_days"]);
    let call = json!({"arguments": {"number": "A-17"}});
    let called = acme.post("/v1/tools/find_order", &call).await.ok();
    assert_eq!(
        (&called["content"], &called["is_error"]),
        (&json!("a Kestrel drill: on its way"), &json!(false))
    );
    let as_written = json!({"arguments": "{\"number\": \"B-1\"}"});
    let refused = acme.post("/v1/tools/find_order", &as_written).await.ok();
    assert_eq!(
        (&refused["content"], &refused["is_error"]),
        (&json!("there is no order B-1"), &json!(true))
    );
    let failed = acme
        .post("/v1/tools/find_order", &json!({"arguments": {"number": "fail"}}))
        .await;
    failed.refused(422, "plugin_failed");
    acme.post("/v1/tools/other", &call).await.refused(404, "not_found");
    acme.post("/v1/tools/find_order", &json!({"arguments": "[]"}))
        .await
        .refused(400, "");

    // Another tenant has none of them.
    assert_eq!(globex.get("/v1/tools").await.ok()["data"], json!([]));
    globex
        .post("/v1/tools/find_order", &call)
        .await
        .refused(404, "not_found");
    let entries = host.entries("acme").await;
    let kinds: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "tool").collect();
    assert!(
        kinds.iter().any(|entry| entry["fuel"].as_u64() > Some(0)),
        "{entries:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_tools_come_back_to_it() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    with_tools(&acme).await;
    let own = json!([{"type": "function", "function": {"name": "delivery_days"}}]);
    let answer = acme.chat(&question(named("delivery_days")).with("tools", own)).await;
    assert_eq!(
        answer["choices"][0]["finish_reason"], "tool_calls",
        "the client's, which has the same name"
    );
    let absent = acme.try_chat(&question(named("absent"))).await;
    assert_eq!(absent.text("/error/param"), "tool_choice");
    // An answer in a form is no call.
    let form = acme
        .chat(&question("auto").with("response_format", json!({"type": "json_object"})))
        .await;
    assert_ne!(form["choices"][0]["finish_reason"], "tool_calls");
}
