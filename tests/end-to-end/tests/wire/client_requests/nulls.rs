//! A member that is null is one that is not there.

use reqwest::Method;
use riad_end_to_end::{Chat, EMBEDDER, MODEL, TestHost};
use serde_json::{Value, json};

/// Optional members of OpenAI's chat request, and of its messages.
const CHAT: &str = "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata \
    modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format \
    safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user \
    verbosity web_search_options";
const MESSAGE: &str = "audio function_call name reasoning_content refusal tool_call_id tool_calls";

/// Each operation that reads JSON, with a good body.
fn operations() -> Vec<(Method, &'static str, Value)> {
    vec![
        (
            Method::POST,
            "/v1/chat/completions",
            Chat::new("Hello").with("max_tokens", 1).body(false),
        ),
        (
            Method::POST,
            "/v1/responses",
            json!({"model": MODEL, "input": "Hello", "max_output_tokens": 1}),
        ),
        (
            Method::POST,
            "/v1/embeddings",
            json!({"model": EMBEDDER, "input": "Hello"}),
        ),
        (
            Method::POST,
            "/v1/documents",
            json!({"title": "Title", "text": "Text."}),
        ),
        (
            Method::POST,
            "/v1/uploads",
            json!({"filename": "a.txt", "purpose": "batch", "bytes": 1, "mime_type": "text/plain"}),
        ),
        (Method::POST, "/v1/search", json!({"query": "Text"})),
        (Method::POST, "/v1/keys", json!({"name": "key"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_absent_in_every_optional_member() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let document: Value = host.caller("").get("/openapi.json").await.ok();
    let mut tried = 0;
    for (method, path, body) in operations() {
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let schema = &document["components"]["schemas"][schema.as_str().unwrap().rsplit('/').next().unwrap()];
        let required = schema["required"].as_array().unwrap();
        let mut optional: Vec<_> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        if path == "/v1/chat/completions" {
            optional.extend(CHAT.split_whitespace());
        }
        optional.retain(|name| !required.contains(&json!(name)));
        assert!(!optional.is_empty(), "{path}");
        for name in optional {
            let mut body = body.clone();
            body[name] = Value::Null;
            let answer = tenant.send(tenant.request(method.clone(), path).json(&body)).await;
            assert!(answer.status.is_success(), "{path} {name}: {}", answer.body);
            tried += 1;
        }
    }
    assert!(tried > 45, "{tried}");
    let mut body = Chat::new("Hello").with("max_tokens", 1).body(false);
    body["stream_options"] = json!({"include_usage": null});
    body["messages"] = json!([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": null}]);
    for name in MESSAGE.split_whitespace() {
        body["messages"][1][name] = Value::Null;
        tenant.post("/v1/chat/completions", &body).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_member_that_is_null_is_named() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    for (method, path, body) in operations() {
        for name in body.as_object().unwrap().keys() {
            if ["temperature", "max_tokens", "max_output_tokens", "stream"].contains(&name.as_str()) {
                continue;
            }
            let mut body = body.clone();
            body[name] = Value::Null;
            let answer = tenant.send(tenant.request(method.clone(), path).json(&body)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text("/error/param")),
                (400, name.clone()),
                "{path}"
            );
        }
    }
}
