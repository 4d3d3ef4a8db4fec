//! Calls of tools, as a whole and streamed.

use riad_end_to_end::{Chat, TestHost, files};
use serde_json::{Value, json};

fn tools() -> Value {
    json!([
        {"type": "function", "function": {
            "name": "look_up",
            "description": "Looks up how long a product's warranty is.",
            "parameters": {
                "type": "object",
                "properties": {"product": {"enum": ["Kestrel", "Heron"]}, "year": {"type": "integer", "minimum": 2000, "maximum": 2099}},
                "required": ["product", "year"],
                "additionalProperties": false,
            },
        }},
        {"type": "function", "function": {"name": "ask_a_person"}},
    ])
}

fn question(choice: impl Into<Value>) -> Chat {
    Chat::new("How long is the warranty of the Kestrel drill?")
        .with("tools", tools())
        .with("tool_choice", choice)
        .with("parallel_tool_calls", false)
        .with("max_tokens", 200)
}

fn named() -> Value {
    json!({"type": "function", "function": {"name": "look_up"}})
}

fn check_arguments(text: &str) {
    let arguments: Value = serde_json::from_str(text).unwrap();
    assert!(
        ["Kestrel", "Heron"].contains(&arguments["product"].as_str().unwrap()),
        "{arguments}"
    );
    assert!(
        (2000..=2099).contains(&arguments["year"].as_u64().unwrap()),
        "{arguments}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_call_is_valid_and_streams_like_the_whole() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let whole = acme.chat(&question(named())).await;
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (&calls[0]["type"], &calls[0]["function"]["name"]),
        (&json!("function"), &json!("look_up"))
    );
    assert!(calls[0]["id"].as_str().unwrap().starts_with("call_"));
    let arguments = calls[0]["function"]["arguments"].as_str().unwrap();
    check_arguments(arguments);

    let chunks = acme.stream(&question(named())).await.rest().await;
    let pieces: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0))
        .collect();
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_eq!(pieces[0]["function"], json!({"name": "look_up", "arguments": ""}));
    assert!(pieces[0]["id"].is_string() && pieces[1].get("id").is_none());
    assert!(pieces.iter().all(|piece| piece["index"] == 0));
    let streamed: String = pieces
        .iter()
        .map(|piece| piece["function"]["arguments"].as_str().unwrap())
        .collect();
    assert_eq!(streamed, arguments);
    assert!(
        chunks
            .iter()
            .any(|chunk| chunk["choices"][0]["finish_reason"] == "tool_calls")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_the_callers_own_choice() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let plain = Chat::new("How long is the warranty of the Kestrel drill?").with("max_tokens", 200);
    let expected = globex.chat(&plain).await["choices"].clone();
    let required = question("required");
    let (called, beside) = futures::join!(acme.chat(&required), globex.chat(&plain));
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(beside["choices"], expected);
    // As if there were none.
    let own = acme.chat(&plain).await;
    assert_eq!(acme.chat(&question("none")).await["choices"], own["choices"]);
    // The model decides; it was told about the tools.
    let free = acme.chat(&question("auto")).await;
    assert!(free["usage"]["prompt_tokens"].as_u64() > own["usage"]["prompt_tokens"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_filter_is_not_bypassed_by_calls() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    acme.deploy("desk", files::PRICE_DESK, &["postprocessing"]).await;
    let refused = acme.try_chat(&question("required")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/error/param").as_str()),
        (400, "tools")
    );
    acme.reset_pipeline().await;
    acme.chat(&question("required")).await;
}
