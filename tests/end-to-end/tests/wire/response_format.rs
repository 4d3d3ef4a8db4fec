//! Answers that must be JSON, as a whole and streamed.

use riad_end_to_end::{Chat, Stream, TestHost};
use serde_json::{Value, json};

fn question() -> Chat {
    Chat::new("How long is the warranty of the Kestrel drill?").with("max_tokens", 200)
}

fn warranty() -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "warranty", "strict": true, "schema": {
        "type": "object",
        "properties": {"months": {"type": "integer", "minimum": 1, "maximum": 99}, "sure": {"type": "boolean"}},
        "required": ["months", "sure"],
        "additionalProperties": false,
    }}})
}

fn content(answer: &Value) -> String {
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

fn check(text: &str) {
    let answer: Value = serde_json::from_str(text).unwrap();
    assert!((1..=99).contains(&answer["months"].as_u64().unwrap()), "{answer}");
    assert!(
        answer["sure"].is_boolean() && answer.as_object().unwrap().len() == 2,
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_follows_its_schema_and_a_neighbors_does_not() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let free = question();
    let plain = content(&globex.chat(&free).await);
    let structured = question().with("response_format", warranty()).with("n", 2);
    let (answer, meanwhile) = futures::join!(acme.chat(&structured), globex.chat(&free));
    assert_eq!(content(&meanwhile), plain);
    for choice in answer["choices"].as_array().unwrap() {
        assert_eq!(choice["finish_reason"], "stop");
        check(choice["message"]["content"].as_str().unwrap());
    }
    let streamed = acme.stream(&question().with("response_format", warranty())).await;
    check(&Stream::text(&streamed.rest().await, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_may_be_cut_off_and_text_is_free() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let object = question().with("response_format", json!({"type": "json_object"}));
    let cut = acme.chat(&object.clone().with("max_tokens", 2)).await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert!(content(&cut).starts_with('{'));
    let plain = content(&acme.chat(&question()).await);
    for format in [json!({"type": "text"}), Value::Null] {
        let answer = acme.chat(&question().with("response_format", format)).await;
        assert_eq!(content(&answer), plain);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_no_properties_that_its_schema_lacks() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    // As pydantic and zod make it, which do not say that there are no others.
    let mut format = warranty();
    let schema = format["json_schema"]["schema"].as_object_mut().unwrap();
    schema.remove("additionalProperties");
    let parameters = schema.clone();
    for seed in 1..=4 {
        let warm = question().with("temperature", 2).with("seed", seed);
        let answer = acme.chat(&warm.clone().with("response_format", format.clone())).await;
        check(&content(&answer));
        let tool = json!([{"type": "function", "function": {"name": "warranty", "parameters": parameters}}]);
        let calling = warm.with("tools", tool).with("tool_choice", "required");
        let called = acme.chat(&calling.with("parallel_tool_calls", false)).await;
        check(
            called["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
                .as_str()
                .unwrap(),
        );
    }
}
