//! Each member of a request: served, or refused by name.

use super::{COUNT, MESSAGES, body, refused};
use riad_end_to_end::{MODEL, TestHost, files};
use serde_json::{Value, json};

/// Optional members of today's client, with a value each that is served.
fn optional() -> Vec<(&'static str, Value)> {
    let tool = json!([{"name": "look_up", "input_schema": {"type": "object"}}]);
    vec![
        (
            "system",
            json!([{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]),
        ),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("top_k", json!(40)),
        ("stop_sequences", json!(["END"])),
        ("stream", json!(true)),
        ("tools", tool),
        ("thinking", json!({"type": "enabled", "budget_tokens": 1024})),
        ("output_config", json!({"effort": "low"})),
        (
            "output_format",
            json!({"type": "json_schema", "schema": {"type": "object"}}),
        ),
        ("service_tier", json!("auto")),
        ("metadata", json!({"user_id": "someone"})),
    ]
}

/// Members that change nothing, whatever they are.
const IGNORED: [&str; 6] = [
    "cache_control",
    "diagnostics",
    "user_profile_id",
    "workspace_id",
    "fallbacks",
    "x",
];
const REFUSED: [&str; 6] = [
    "mcp_servers",
    "container",
    "context_management",
    "compaction",
    "thread",
    "inference_geo",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_member_is_served_or_refused_by_name() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let short = |more: Value| {
        let mut body = body("Hello", json!({"max_tokens": 1}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (name, value) in optional() {
        for value in [value, Value::Null] {
            let answer = acme.post(MESSAGES, &short(json!({ name: value }))).await;
            assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.body);
        }
        let wrong = match name {
            "stream" => json!("yes"),
            _ => json!(true),
        };
        for path in [MESSAGES, COUNT] {
            refused(
                acme.post(path, &short(json!({ name: wrong }))).await,
                400,
                "invalid_request_error",
                name,
            );
        }
    }
    let choice = json!({"tools": optional()[6].1, "tool_choice": null});
    assert_eq!(acme.post(MESSAGES, &short(choice)).await.status, 200);
    let choice = json!({"tool_choice": "auto"});
    refused(
        acme.post(MESSAGES, &short(choice)).await,
        400,
        "invalid_request_error",
        "tool_choice",
    );
    for name in IGNORED {
        for value in [json!("x"), json!(null), json!({"type": "ephemeral"})] {
            assert_eq!(
                acme.post(MESSAGES, &short(json!({ name: value }))).await.status,
                200,
                "{name}"
            );
        }
    }
    for name in REFUSED {
        assert_eq!(
            acme.post(MESSAGES, &short(json!({ name: null }))).await.status,
            200,
            "{name}"
        );
        for path in [MESSAGES, COUNT] {
            let more = json!({ name: {"edits": [{"type": "clear_tool_uses_20250919"}]} });
            let answer = refused(acme.post(path, &short(more)).await, 400, "invalid_request_error", name);
            assert_eq!(
                answer.json()["error"].get("details").is_some(),
                name == "thread",
                "{name}"
            );
        }
    }
    for name in ["model", "messages", "max_tokens"] {
        for value in [Value::Null, json!(true)] {
            refused(
                acme.post(MESSAGES, &short(json!({ name: value }))).await,
                400,
                "invalid_request_error",
                name,
            );
        }
        let mut body = short(json!({}));
        body.as_object_mut().unwrap().remove(name);
        refused(acme.post(MESSAGES, &body).await, 400, "invalid_request_error", name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_member_at_fault_has_the_clients_name() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let message = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let tool = |tool: Value| json!({"tools": [{"name": "good", "input_schema": {"type": "object"}}, tool]});
    for (more, words) in [
        (
            message(json!([{"type": "image", "source": {"type": "url", "url": "https://a.example"}}])),
            "messages[0].content[0].type: blocks of the type \"image\"",
        ),
        (
            message(json!([{"type": "text", "text": 5}])),
            "messages[0].content[0].text",
        ),
        (
            message(json!([{"type": "text", "text": "x"}, 7])),
            "messages[0].content[1]",
        ),
        (message(json!(5)), "messages[0].content"),
        (
            message(json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}])),
            "messages[0].content[0].content[0].type",
        ),
        (message(json!(" ")), "messages[0].content: "),
        (
            json!({"system": "Be brief.", "messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
            "messages[0].content[0]: ",
        ),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].role",
        ),
        (
            json!({"stop_sequences": vec!["a"; 17]}),
            "stop_sequences may have up to 16",
        ),
        (json!({"stop_sequences": [""]}), "stop_sequences may"),
        (json!({"temperature": 1.1}), "temperature"),
        (json!({"top_p": 2}), "top_p"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": 100_000}), "max_tokens"),
        (
            tool(json!({"name": "not good", "input_schema": {"type": "object"}})),
            "tools[1].name",
        ),
        (
            tool(json!({"name": "good", "input_schema": {"type": "object"}})),
            "tools[1].name",
        ),
        (
            tool(json!({"name": "bad", "input_schema": {"type": "string"}})),
            "tools[1].input_schema",
        ),
        (
            tool(json!({"type": "bash_20250124", "name": "bash"})),
            "tools[1].type: tools of the type \"bash_20250124\"",
        ),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice needs tools"),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": {"$ref": "https://a.example"}}}}),
            "output_config.format",
        ),
        (json!({"model": "claude-sonnet-5"}), "claude-sonnet-5"),
    ] {
        let status = if words == "claude-sonnet-5" { 404 } else { 400 };
        let kind = if status == 404 {
            "not_found_error"
        } else {
            "invalid_request_error"
        };
        refused(acme.post(MESSAGES, &body("Hello", more)).await, status, kind, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_chat_can_do_stays_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = host.neighbors().await;
    assert_eq!(acme.put_adapter("voice", &files::Adapter::acme()).await.status, 201);
    let theirs = json!({"model": format!("{MODEL}:voice")});
    for path in [MESSAGES, COUNT] {
        assert_eq!(acme.post(path, &body("Hello", theirs.clone())).await.status, 200);
        let answer = globex.post(path, &body("Hello", theirs.clone())).await;
        refused(answer, 404, "not_found_error", "voice");
    }
    acme.deploy("desk", files::PRICE_DESK, &["postprocessing"]).await;
    let tools = json!({"tools": [{"name": "look_up", "input_schema": {"type": "object"}}]});
    refused(
        acme.post(MESSAGES, &body("Hello", tools)).await,
        400,
        "invalid_request_error",
        "tools",
    );
}
