//! Counting tokens: the number that a request is billed for, without a bill.

use super::{COUNT, MESSAGES, ask, body, refused};
use riad_end_to_end::{Caller, TestHost};
use serde_json::{Value, json};

async fn count(caller: &Caller, body: &Value) -> u64 {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove("max_tokens");
    let counted = caller.post(COUNT, &body).await.ok();
    assert_eq!(counted.as_object().unwrap().len(), 1);
    counted["input_tokens"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_is_what_is_billed() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let tools = json!([{"name": "look_up", "description": "Looks it up.", "input_schema": {"type": "object"}}]);
    let conversation = json!([
        {"role": "user", "content": "The code?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look_up", "input": {"key": "<|end|>"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "4711"}]},
    ]);
    for more in [
        json!({}),
        json!({"system": "Be brief."}),
        json!({"tools": tools}),
        json!({"tools": tools, "tool_choice": {"type": "any"}}),
        json!({"messages": conversation, "tools": tools, "system": [{"type": "text", "text": "Be kind."}]}),
        json!({"messages": [{"role": "assistant", "content": "Hel"}, {"role": "user", "content": " Hello\n"}]}),
    ] {
        let body = body("Hello", more);
        let counted = count(&acme, &body).await;
        let answer = ask(&acme, &body).await;
        assert_eq!(answer["riad"]["receipt"]["prompt_tokens"], counted, "{body}");
    }
    assert_eq!(host.entries("acme").await.len(), 6, "counting is not billed");
    // The beginning of an answer can be counted, and not gone on from: another answer would come, unnoticed.
    let begun = body(
        "Hello",
        json!({"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hel"}]}),
    );
    count(&acme, &begun).await;
    refused(
        acme.post(MESSAGES, &begun).await,
        400,
        "invalid_request_error",
        "must end with a message of the user",
    );
    let metrics = host.operator.get("/metrics").await.body;
    let chats: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("riad_requests_total"))
        .collect();
    let completed = chats
        .iter()
        .find(|line| line.contains("completed") && line.contains("chat"));
    assert!(completed.is_some_and(|line| line.ends_with(" 6")), "{chats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passages_are_not_counted_and_long_conversations_are() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, _) = host.neighbors().await;
    let question = body(super::QUESTION, json!({}));
    let counted = count(&acme, &question).await;
    let billed = ask(&acme, &question).await["riad"]["receipt"]["prompt_tokens"]
        .as_u64()
        .unwrap();
    assert!(counted < billed, "{counted} of {billed}");
    // More than the context holds, which an agent asks before it shortens a conversation.
    let long = body(&"word ".repeat(2000), json!({}));
    assert!(count(&acme, &long).await > 2000);
    let too_long = acme.post(COUNT, &body(&"word ".repeat(100_000), json!({}))).await;
    super::refused(too_long, 400, "invalid_request_error", "maximum context length");
}
