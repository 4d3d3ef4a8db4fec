//! Tools: calls, as a whole and streamed, and their results.

use super::{ask, body, stream};
use riad_end_to_end::{MODEL, TestHost};
use serde_json::{Value, json};

const QUESTION: &str = "How long is the warranty of the Kestrel drill?";

fn tools() -> Value {
    json!([
        {"name": "look_up", "description": "Looks up how long a product's warranty is.", "input_schema": {
            "type": "object",
            "properties": {"product": {"enum": ["Kestrel", "Heron"]}, "year": {"type": "integer", "minimum": 2000, "maximum": 2099}},
            "required": ["product", "year"],
            "additionalProperties": false,
        }},
        {"type": "custom", "name": "ask_a_person", "input_schema": {"type": "object", "properties": {}, "additionalProperties": false}},
    ])
}

fn with_choice(choice: Value) -> Value {
    body(
        QUESTION,
        json!({"tools": tools(), "tool_choice": choice, "max_tokens": 200}),
    )
}

fn check_input(input: &Value) {
    assert!(
        ["Kestrel", "Heron"].contains(&input["product"].as_str().unwrap()),
        "{input}"
    );
    assert!((2000..=2099).contains(&input["year"].as_u64().unwrap()), "{input}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_call_is_valid_and_streams_like_the_whole() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let named = with_choice(json!({"type": "tool", "name": "look_up", "disable_parallel_tool_use": true}));
    let whole = ask(&acme, &named).await;
    assert_eq!(whole["stop_reason"], "tool_use");
    let [call] = whole["content"].as_array().unwrap().as_slice() else {
        panic!("{whole}");
    };
    assert_eq!((&call["type"], &call["name"]), (&json!("tool_use"), &json!("look_up")));
    assert!(call["id"].as_str().unwrap().starts_with("toolu_"));
    check_input(&call["input"]);

    let events = stream(&acme, &named).await;
    let begin = &events[1]["content_block"];
    assert_eq!((&begin["name"], &begin["input"]), (&json!("look_up"), &json!({})));
    let pieces: Vec<_> = events
        .iter()
        .filter_map(|event| event["delta"]["partial_json"].as_str())
        .collect();
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_eq!(serde_json::from_str::<Value>(&pieces.concat()).unwrap(), call["input"]);
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");

    let any = ask(&acme, &with_choice(json!({"type": "any"}))).await;
    assert_eq!(any["stop_reason"], "tool_use");
    let names: Vec<_> = any["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|block| block["name"].as_str().unwrap())
        .collect();
    assert!(
        names.iter().all(|name| ["look_up", "ask_a_person"].contains(name)),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_of_none_is_a_request_without_tools() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let plain = ask(&acme, &body(QUESTION, json!({"max_tokens": 200}))).await;
    let none = ask(&acme, &with_choice(json!({"type": "none"}))).await;
    assert_eq!(none["content"], plain["content"]);
    let read = |answer: &Value| {
        let usage = &answer["usage"];
        usage["input_tokens"].as_u64().unwrap() + usage["cache_read_input_tokens"].as_u64().unwrap()
    };
    let auto = ask(&acme, &with_choice(json!({"type": "auto"}))).await;
    assert!(read(&auto) > read(&none));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_in_any_order_are_given_in_that_of_their_calls() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let call = |id: &str, product: &str| json!({"type": "tool_use", "id": id, "name": "look_up", "input": {"product": product, "year": 2024}});
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": text}]});
    let calls =
        json!([{"type": "thinking", "thinking": "Hm", "signature": ""}, call("t1", "Kestrel"), call("t2", "Heron")]);
    let answer = async |first: Value, second: Value| {
        let messages = json!([
            {"role": "user", "content": QUESTION}, {"role": "assistant", "content": calls}, {"role": "user", "content": [first, second]},
        ]);
        let body = json!({"model": MODEL, "max_tokens": 30, "temperature": 0, "messages": messages, "tools": tools()});
        ask(&acme, &body).await
    };
    // Long enough that their order changes more than the last block of the prefix cache.
    let (years, months) = ("Three years. ".repeat(16), "Ten months. ".repeat(16));
    let (one, two) = (result("t1", &years), result("t2", &months));
    let ordered = answer(one.clone(), two.clone()).await;
    let reordered = answer(two, one).await;
    // Of the same prompt, the prefix cache has all but a part of the last block.
    assert_eq!(reordered["content"], ordered["content"]);
    let total = |answer: &Value| answer["riad"]["receipt"]["prompt_tokens"].as_u64().unwrap();
    let cached = reordered["usage"]["cache_read_input_tokens"].as_u64().unwrap();
    assert_eq!(total(&reordered), total(&ordered));
    assert!(cached + 64 >= total(&ordered), "{cached} of {}", total(&ordered));
    // Another assignment of the results to the calls is another prompt.
    let swapped = answer(result("t1", &months), result("t2", &years)).await;
    let cached = swapped["usage"]["cache_read_input_tokens"].as_u64().unwrap();
    assert!(cached + 64 < total(&swapped), "{cached} of {}", total(&swapped));
}
