//! Chats and embeddings.

use super::case::{Body, Case, check_all};
use reqwest::Method;
use riad_end_to_end::{Chat, EMBEDDER, MODEL, TestHost, files};
use serde_json::{Value, json};

const PATH: &str = "/v1/chat/completions";

/// A good request with other members; null takes a member out.
fn chat(more: Value) -> Case {
    let mut body = Chat::new("Hello").body(false);
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    Case::post(PATH, body)
}

fn message(role: &str, content: Value) -> Value {
    json!({"role": role, "content": content})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_cannot_be_served_names_the_field() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let many: serde_json::Map<_, _> = (0..301).map(|token| (token.to_string(), 1.into())).collect();
    let sampling =
        |name: &str, value: f64, words: &'static str| chat(json!({name: value})).param(name).says(&[name, words]);
    check_all(
        &tenant,
        vec![
            sampling("temperature", 2.5, "at least 0 and at most 2"),
            sampling("temperature", -0.1, "at least 0"),
            sampling("top_p", -0.5, "at least 0 and at most 1"),
            sampling("top_p", 1.5, "at most 1"),
            sampling("min_p", 1.5, "at most 1"),
            sampling("frequency_penalty", 2.5, "at most 2"),
            sampling("presence_penalty", -3.0, "at least -2"),
            sampling("repetition_penalty", 0.0, "at least 0.01"),
            sampling("repetition_penalty", 2.5, "at most 2"),
            chat(json!({"top_k": -2})).param("top_k").says(&["at least 1"]),
            chat(json!({"max_tokens": 0})).param("max_tokens").says(&["at least 1"]),
            chat(json!({"n": 0})).param("n").says(&["1 to 8"]),
            chat(json!({"n": 9})).param("n").says(&["1 to 8"]),
            chat(json!({"stop": vec!["a"; 17]}))
                .param("stop")
                .says(&["up to 16"]),
            chat(json!({"stop": [""]})).param("stop").says(&["1 to 256 bytes"]),
            chat(json!({"stop": ["x".repeat(257)]}))
                .param("stop")
                .says(&["1 to 256 bytes"]),
            chat(json!({"top_logprobs": 1}))
                .param("top_logprobs")
                .says(&["needs logprobs"]),
            chat(json!({"logprobs": true, "top_logprobs": 21}))
                .param("top_logprobs")
                .says(&["0 to 20"]),
            chat(json!({"logit_bias": {"5": 100.5}}))
                .param("logit_bias")
                .says(&["token 5", "-100 to 100"]),
            chat(json!({"logit_bias": {"lamp": 1}}))
                .param("logit_bias")
                .says(&["by number", "lamp"]),
            chat(json!({"logit_bias": {"4000000000": 1}}))
                .param("logit_bias")
                .says(&["4000000000", "this model's tokens are 0 to"]),
            chat(json!({"logit_bias": many}))
                .param("logit_bias")
                .says(&["up to 300"]),
            chat(json!({"messages": []})).param("messages").says(&["1 to 256"]),
            chat(json!({"messages": [message("robot", "Hello".into())]}))
                .param("messages[0].role")
                .says(&["system, developer, user, assistant, tool or function"]),
            chat(json!({"messages": [message("user", "Hello".into()), {"role": "assistant", "tool_calls": [{"id": "x"}]}]}))
                .param("messages[1].tool_calls")
                .says(&["a function with a name"]),
            chat(json!({"messages": [message("user", " \n".into())]}))
                .param("messages[0].content")
                .says(&["text"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_shape_names_the_field() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let schema = |name: &str, schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}});
    let raw = |text: &str| Case::new(Method::POST, PATH, Body::Raw("application/json", text.into()));
    check_all(
        &tenant,
        vec![
            chat(json!({"model": null})).param("model").says(&["missing"]),
            chat(json!({"messages": null})).param("messages").says(&["missing"]),
            chat(json!({"messages": "Hello"})).param("messages"),
            chat(json!({"messages": [{"role": "user"}]}))
                .param("messages[0].content")
                .says(&["missing"]),
            chat(json!({"messages": [message("user", 5.into())]}))
                .param("messages[0].content")
                .says(&["string"]),
            chat(json!({"messages": [message("user", json!([{"type": "image_url", "image_url": {"url": "x"}}]))]}))
                .param("messages[0].content")
                .says(&["only text"]),
            chat(json!({"temperature": "hot"})).param("temperature").says(&["f32"]),
            chat(json!({"max_tokens": -1})).param("max_tokens"),
            chat(json!({"max_tokens": 1.5})).param("max_tokens"),
            chat(json!({"stream": "yes"})).param("stream").says(&["boolean"]),
            chat(json!({"stop": 5}))
                .param("stop")
                .says(&["a string or a list of strings"]),
            chat(json!({"stream_options": true})).param("stream_options"),
            chat(json!({"functions": [{"name": "f"}]}))
                .param("functions")
                .says(&["functions is not supported; use tools instead"]),
            chat(json!({"tools": [{"type": "custom", "function": {"name": "f"}}]}))
                .param("tools[0].type")
                .says(&["custom", "must be function"]),
            chat(json!({"tools": [tool("a"), tool("a")]}))
                .param("tools[1].function.name")
                .says(&["two functions"]),
            chat(json!({"tools": [tool("a b")]})).param("tools[0].function.name").says(&["1 to 64"]),
            chat(json!({"tool_choice": "required"})).param("tool_choice").says(&["needs tools"]),
            chat(json!({"tools": [tool("a")], "tool_choice": "maybe"}))
                .param("tool_choice")
                .says(&["none, auto, required"]),
            chat(json!({"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": "b"}}}))
                .param("tool_choice")
                .says(&["not among the tools"]),
            chat(json!({"tools": [tool("a")], "response_format": {"type": "json_object"}}))
                .param("response_format")
                .says(&["tools"]),
            chat(json!({"tools": [{"type": "function", "function": {"name": "a", "parameters": {"not": {}}}}], "tool_choice": "required"}))
                .param("tools")
                .says(&["not"]),
            chat(json!({"response_format": "json"})).param("response_format"),
            chat(json!({"response_format": {"type": "yaml"}}))
                .param("response_format.type")
                .says(&["yaml", "json_schema"]),
            chat(json!({"response_format": {"type": "json_schema"}}))
                .param("response_format.json_schema")
                .says(&["missing"]),
            chat(json!({"response_format": {"type": "json_schema", "json_schema": {}}}))
                .param("response_format.json_schema.name")
                .says(&["missing"]),
            chat(schema("", json!({"type": "object"})))
                .param("response_format.json_schema.name")
                .says(&["1 to 64"]),
            chat(schema("x", json!([1]))).param("response_format").says(&["object"]),
            chat(schema("x", json!({"not": {}})))
                .param("response_format")
                .says(&["not"]),
            chat(schema("x", json!({"description": "a".repeat(70_000)})))
                .param("response_format")
                .says(&["65536 bytes"]),
            chat(json!({"logprobs": 5})).param("logprobs").says(&["boolean"]),
            chat(json!({"top_logprobs": -1})).param("top_logprobs"),
            chat(json!({"logit_bias": [1]})).param("logit_bias"),
            raw("{\"model\": ").param("model").says(&["EOF"]),
            raw("").says(&["EOF"]),
            raw("{").says(&["EOF"]),
            raw("[1]").says(&["JSON object"]),
            raw("{} {}").param("model"),
            Case::new(Method::POST, PATH, Body::Raw("text/plain", b"{}".into()))
                .says(&["Content-Type: application/json"]),
            Case::new(Method::POST, PATH, Body::None).says(&["Content-Type: application/json"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_there_is_never_the_base_instead() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    acme.put_adapter("house", &files::Adapter::acme()).await.ok();
    let unknown = |name: &str| {
        let case = chat(json!({"model": name})).is(404, "model_not_found").param("model");
        case.says(&[&format!("{name:?}"), "/v1/models"])
    };
    let names = [
        "gpt-4o",
        "",
        "riad-mini:",
        "riad-mini:nobody",
        "riad-mini:house:house",
        "riad-mini:../house",
        "RIAD-MINI",
    ];
    check_all(&acme, names.map(unknown).into()).await;
    for (stream, name) in [(false, "riad-mini:house"), (true, "riad-mini:house")] {
        // Another tenant's adapter is one that is not there.
        let case = chat(json!({"model": name, "stream": stream})).is(404, "model_not_found");
        case.param("model").check(&globex).await;
    }
    assert_eq!(
        globex.get(&format!("/v1/models/{MODEL}:house")).await.code(),
        "model_not_found"
    );
    let embedding = |model: &str| {
        Case::post("/v1/embeddings", json!({"model": model, "input": "Hello"}))
            .is(404, "model_not_found")
            .param("model")
            .says(&[model, EMBEDDER])
    };
    check_all(&acme, vec![embedding("text-embedding-3-small"), embedding(MODEL)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_over_the_context_is_refused_with_both_numbers() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let too_long = |case: Case| case.is(400, "context_length_exceeded");
    let lamps = "lamp ".repeat(1500);
    let long = chat(json!({"messages": [message("user", lamps.clone().into())]}));
    too_long(long)
        .param("messages")
        .says(&["maximum context length is 1024 tokens", "96 for the answer"])
        .check(&tenant)
        .await;
    // What cannot fit by its bytes is not counted.
    let huge = chat(json!({"messages": [message("user", "lamp ".repeat(100_000).into())]}));
    too_long(huge)
        .param("messages")
        .says(&["maximum context length is 1024 tokens", "500000 bytes"])
        .check(&tenant)
        .await;
    // The prompt's number is the engine's own: what fits by a token is served, one more is not.
    let fits = Chat::new("Hello").with("max_tokens", 1);
    let prompt = tenant.chat(&fits).await["usage"]["prompt_tokens"].as_u64().unwrap();
    let room = 1024 - prompt;
    let over = chat(json!({"max_tokens": room + 1}));
    let needs = format!("needs {}: {prompt} in the prompt and {} for the answer", 1025, room + 1);
    too_long(over)
        .param("messages")
        .says(&["1024", &needs])
        .check(&tenant)
        .await;
    let all = Chat::new("Hello").with("max_tokens", room).with("stop", ".");
    assert!(tenant.try_chat(&all).await.status.is_success());
    let over = chat(json!({"max_tokens": 1024}));
    too_long(over)
        .param("max_tokens")
        .says(&["maximum context length is 1024"])
        .check(&tenant)
        .await;
    let over = chat(
        json!({"messages": [message("system", lamps.into()), message("user", "Hello".into())], "max_tokens": null}),
    );
    too_long(over).param("messages").says(&["1024"]).check(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_name_the_text_at_fault() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.embedding_inputs = 3)
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let embed = |more: Value| {
        let mut body = json!({"model": EMBEDDER, "input": "Hello"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Case::post("/v1/embeddings", body)
    };
    check_all(
        &tenant,
        vec![
            embed(json!({"input": []})).param("input").says(&["1 to 3"]),
            embed(json!({"input": ["a", "b", "c", "d"]}))
                .param("input")
                .says(&["1 to 3"]),
            embed(json!({"input": ["a", ""]})).param("input[1]").says(&["empty"]),
            embed(json!({"input": ""})).param("input[0]").says(&["empty"]),
            embed(json!({"input": [1.5]})).param("input").says(&["tokens"]),
            embed(json!({"input": [[1], [4_000_000]]}))
                .param("input[1]")
                .says(&["another model", "send the text"]),
            embed(json!({"input": " \n"})).param("input[0]").says(&["empty"]),
            embed(json!({"input": [["a"]]})).param("input"),
            embed(json!({"encoding_format": "int8"}))
                .param("encoding_format")
                .says(&["float", "base64"]),
            embed(json!({"dimensions": 0})).param("dimensions").says(&["1 to 256"]),
            embed(json!({"dimensions": 257}))
                .param("dimensions")
                .says(&["1 to 256"]),
            Case::post("/v1/embeddings", json!({"model": EMBEDDER}))
                .param("input")
                .says(&["missing"]),
        ],
    )
    .await;
}
