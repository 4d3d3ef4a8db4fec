//! Answers, as a whole and streamed, are a chat's.

use super::{MESSAGES, QUESTION, ask, body, events, stream, text};
use riad_end_to_end::{Chat, MODEL, TestHost, files};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_a_chats_answer_in_anthropics_shape() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, _) = host.neighbors().await;
    let chat = acme.chat(&Chat::new(QUESTION)).await;
    let answer = ask(&acme, &body(QUESTION, json!({}))).await;
    assert_eq!(
        text(&answer),
        chat["choices"][0]["message"]["content"].as_str().unwrap()
    );
    assert!(answer["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(
        (&answer["type"], &answer["role"], &answer["model"]),
        (&json!("message"), &json!("assistant"), &json!(MODEL))
    );
    assert_eq!(
        (&answer["stop_reason"], &answer["stop_sequence"]),
        (&json!("end_turn"), &Value::Null)
    );
    assert_eq!(answer["content"].as_array().unwrap().len(), 1);
    for part in ["passages", "citations"] {
        assert_eq!(answer["riad"][part], chat["riad"][part]);
    }
    let usage = &answer["usage"];
    let number = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(
        number("input_tokens") + number("cache_read_input_tokens"),
        chat["usage"]["prompt_tokens"].as_u64().unwrap()
    );
    assert_eq!(
        number("cache_read_input_tokens"),
        answer["riad"]["receipt"]["cached_tokens"].as_u64().unwrap()
    );
    assert!(
        number("cache_read_input_tokens") > 0,
        "the chat read the same prompt before"
    );
    assert_eq!(usage["output_tokens"], chat["usage"]["completion_tokens"]);
    // An adapter is the part of the model's name that it is for a chat.
    assert_eq!(acme.put_adapter("voice", &files::Adapter::acme()).await.status, 201);
    let model = json!({"model": format!("{MODEL}:voice")});
    let adapted = ask(&acme, &body(QUESTION, model)).await;
    assert!(adapted["riad"]["receipt"]["adapter_generation"].is_string());
    let chat = acme.chat(&Chat::new(QUESTION).adapter("voice")).await;
    assert_eq!(
        text(&adapted),
        chat["choices"][0]["message"]["content"].as_str().unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_says_what_the_whole_answer_says() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, _) = host.neighbors().await;
    let whole = ask(&acme, &body(QUESTION, json!({}))).await;
    let events = stream(&acme, &body(QUESTION, json!({}))).await;
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let [first, begin, deltas @ .., end, delta, stop] = types.as_slice() else {
        panic!("{types:?}");
    };
    assert_eq!(
        [*first, *begin, *end, *delta, *stop],
        [
            "message_start",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert!(deltas.len() > 3 && deltas.iter().all(|delta| *delta == "content_block_delta"));
    let said: String = events
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str())
        .collect();
    assert_eq!(said, text(&whole));
    let message = &events[0]["message"];
    assert!(message["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(
        (&message["content"], &message["stop_reason"]),
        (&json!([]), &Value::Null)
    );
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
    let usage = |usage: &Value, name: &str| usage[name].as_u64().unwrap();
    let read = |of: &Value| usage(of, "input_tokens") + usage(of, "cache_read_input_tokens");
    assert_eq!(read(&message["usage"]), read(&whole["usage"]));
    assert_eq!(read(&last["usage"]), read(&whole["usage"]));
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(last["riad"]["passages"], whole["riad"]["passages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_and_the_stop_sequence_are_told() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, _) = host.neighbors().await;
    let whole = text(&ask(&acme, &body(QUESTION, json!({}))).await);
    let stop = whole.split_whitespace().nth(3).unwrap();
    let stops = json!({"stop_sequences": ["zzzz", stop]});
    let stopped = ask(&acme, &body(QUESTION, stops.clone())).await;
    assert_eq!(
        (&stopped["stop_reason"], &stopped["stop_sequence"]),
        (&json!("stop_sequence"), &json!(stop))
    );
    assert_eq!(text(&stopped), whole[..whole.find(stop).unwrap()]);
    let events = stream(&acme, &body(QUESTION, stops.clone())).await;
    assert_eq!(
        events[events.len() - 2]["delta"],
        json!({"stop_reason": "stop_sequence", "stop_sequence": stop})
    );
    let cut = ask(&acme, &body(QUESTION, json!({"max_tokens": 2}))).await;
    assert_eq!(
        (&cut["stop_reason"], &cut["usage"]["output_tokens"]),
        (&json!("max_tokens"), &json!(2))
    );
    // A tenant's own filter may take the words out; then nobody is told that the model wrote them.
    acme.deploy("echo", files::ECHO, &["postprocessing"]).await;
    let filtered = ask(&acme, &body(QUESTION, stops)).await;
    assert_eq!(
        (&filtered["stop_reason"], &filtered["stop_sequence"]),
        (&json!("end_turn"), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_replayed_under_its_idempotency_key() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    for streamed in [false, true] {
        let body = body("Hello", json!({"temperature": 1, "max_tokens": 20, "stream": streamed}));
        let key = format!("key-{streamed}");
        let first = acme.post_once(MESSAGES, &body, &key).await;
        let again = acme.post_once(MESSAGES, &body, &key).await;
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!((first.status.as_u16(), &first.body), (200, &again.body));
        assert_eq!(events(&first).is_empty(), !streamed);
    }
    assert_eq!(host.entries("acme").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_follows_the_schema_of_its_format() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host.tenant("acme").await;
    let schema = json!({
        "type": "object", "properties": {"months": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["months"],
        "additionalProperties": false,
    });
    let format = json!({"type": "json_schema", "schema": schema});
    for more in [
        json!({"output_config": {"format": format}}),
        json!({"output_format": format}),
    ] {
        let answer = ask(&acme, &body("How long is the warranty?", more)).await;
        let written: Value = serde_json::from_str(&text(&answer)).unwrap();
        assert!((1..=99).contains(&written["months"].as_u64().unwrap()), "{written}");
    }
}
