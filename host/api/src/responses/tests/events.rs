//! Responses made of a chat's events, whole and streamed.

use crate::{
    chat::tests::{choice_end, end, reasoning},
    responses::{AnswerWriter, request, stream},
    sse::Silence,
};
use axum::body::to_bytes;
use futures::{future::ready, stream::iter};
use riad_api_types::responses::ResponseObject;
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, ScoredToken, TokenLogprobs, ToolCallPiece},
};
use riad_services::chat::ChatEvent;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

fn text(text: &str) -> Result<ChatEvent> {
    let token = ScoredToken {
        text: text.into(),
        bytes: Some(text.into()),
        logprob: -0.5,
    };
    Ok(ChatEvent::Text {
        choice: 0,
        text: text.into(),
        logprobs: vec![TokenLogprobs { token, top: Vec::new() }],
    })
}

fn call(call: u32, name: Option<&str>, arguments: &str) -> Result<ChatEvent> {
    Ok(ChatEvent::ToolCall {
        choice: 0,
        piece: ToolCallPiece {
            call,
            name: name.map(str::to_owned),
            arguments: arguments.into(),
        },
    })
}

/// One of each kind, and two calls.
fn all_kinds() -> Vec<Result<ChatEvent>> {
    vec![
        reasoning(0, "I "),
        reasoning(0, "think"),
        text("Let me "),
        text("look."),
        call(0, Some("look_up"), ""),
        call(0, None, "{\"a\""),
        call(0, None, ":1}"),
        call(1, Some("ask"), "{}"),
        choice_end(0, FinishReason::ToolCalls),
        Ok(end(Some(2))),
    ]
}

/// As it is before the answer. What changes from run to run is the same in all of them.
fn response() -> ResponseObject {
    let body =
        json!({"model": "m", "input": "Hello", "store": false, "instructions": "Be brief.", "metadata": {"a": "b"}});
    let read = request::read(serde_json::from_value(body).unwrap()).unwrap();
    ResponseObject {
        id: "resp_1".into(),
        created_at: 7,
        ..read.response
    }
}

async fn body(starting: impl Future<Output = Result<Vec<Result<ChatEvent>>>> + Send + 'static, silence: u64) -> String {
    let starting = async move { starting.await.map(|events| (None, iter(events))) };
    let writer = AnswerWriter::new(response(), false);
    let answer = stream::respond(
        starting,
        Silence::new(Duration::from_millis(silence), "waiting"),
        writer,
        None,
    );
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.into()).unwrap()
}

/// The data of each event, numbered from 0 and named as its type.
fn events(body: &str) -> Vec<Value> {
    let mut events = Vec::new();
    for event in body.split("\n\n").filter(|event| event.contains("data: ")) {
        let (name, data) = event.trim_start_matches(":\n\n").split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"].as_str().unwrap());
        assert_eq!(data["sequence_number"], events.len());
        events.push(data);
    }
    events
}

async fn streamed(chat: Vec<Result<ChatEvent>>) -> Vec<Value> {
    events(&body(ready(Ok(chat)), 60_000).await)
}

async fn whole(chat: Vec<Result<ChatEvent>>) -> Value {
    let writer = AnswerWriter::new(response(), false);
    let response = stream::collect((None, iter(chat)), writer, None).await.unwrap();
    serde_json::to_value(response).unwrap()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// By name, so that the order of members is not part of it.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(name, value)| (name, sorted(value))).collect();
            json!(members)
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[tokio::test]
async fn the_events_of_a_stream_are_the_committed_ones() {
    let mut events = streamed(all_kinds()).await;
    for event in &mut events {
        if let Some(response) = event.get_mut("response") {
            for (name, value) in [("completed_at", json!("a time")), ("riad", json!("as in a chat"))] {
                if response.get(name).is_some_and(|value| !value.is_null()) {
                    response[name] = value;
                }
            }
        }
    }
    let lines: Vec<_> = events.iter().map(|event| format!("{}\n", sorted(event))).collect();
    insta::assert_snapshot!("events", lines.concat());
}

#[tokio::test]
async fn a_streamed_response_ends_as_the_whole_one() {
    let events = streamed(all_kinds()).await;
    let mut last = events.last().unwrap()["response"].clone();
    let mut whole = whole(all_kinds()).await;
    for response in [&mut last, &mut whole] {
        response["completed_at"] = json!(0);
    }
    assert_eq!(last, whole);
    let done: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(Value::from(done), whole["output"]);
    // The pieces make the whole, too.
    let pieces: String = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(whole["output"][1]["content"][0]["text"], pieces);
    assert_eq!(whole["status"], "completed");
    let usage = json!({"input_tokens": 5, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 14});
    assert_eq!(whole["usage"], usage);
    assert_eq!(whole["riad"]["receipt"]["request"], "req");
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_incomplete() {
    let cut = |before: Vec<Result<ChatEvent>>| {
        let end = [choice_end(0, FinishReason::Length), Ok(end(None))];
        before.into_iter().chain(end).collect::<Vec<_>>()
    };
    let events = streamed(cut(vec![text("Once upon")])).await;
    assert_eq!(types(&events).last(), Some(&"response.incomplete"));
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(
        (
            &response["status"],
            &response["output"][0]["status"],
            &response["completed_at"]
        ),
        (&json!("incomplete"), &json!("incomplete"), &Value::Null)
    );
    // Inside of its reasoning there is no message yet.
    let response = whole(cut(vec![reasoning(0, "Hm")])).await;
    assert_eq!(response["output"].as_array().unwrap().len(), 1);
    assert_eq!(response["output"][0]["type"], "reasoning");
    let response = whole(cut(vec![])).await;
    assert_eq!(response["output"][0]["content"][0]["text"], "");
}

#[tokio::test]
async fn an_answer_without_words_is_an_empty_message() {
    let events = vec![reasoning(0, "Hm"), choice_end(0, FinishReason::Stop), Ok(end(Some(1)))];
    let response = whole(events).await;
    assert_eq!(response["output"][1]["type"], "message");
    assert_eq!(response["output"][1]["content"][0]["text"], "");
    assert_eq!(response["status"], "completed");
}

#[tokio::test]
async fn an_error_after_the_first_byte_is_an_event() {
    let broken = Err(Error::new(ErrorKind::Timeout, "too slow"));
    let events = streamed(vec![text("Once upon"), broken]).await;
    assert_eq!(types(&events)[events.len() - 2..], ["error", "response.failed"]);
    let error = &events[events.len() - 2];
    assert_eq!(
        (&error["code"], &error["message"], &error["param"]),
        (&json!("timeout"), &json!("too slow"), &Value::Null)
    );
    let response = &events[events.len() - 1]["response"];
    assert_eq!(response["error"], json!({"code": "timeout", "message": "too slow"}));
    assert_eq!(
        (&response["status"], &response["store"]),
        (&json!("failed"), &json!(false))
    );
    // A chat that ends without a word is one, too.
    let events = streamed(vec![]).await;
    assert_eq!(
        types(&events),
        ["response.created", "response.in_progress", "error", "response.failed"]
    );
}

#[tokio::test]
async fn a_request_that_fails_late_has_its_first_events() {
    let late = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(Error::new(ErrorKind::Busy, "full"))
    };
    let events = events(&body(late, 1).await);
    assert_eq!(
        types(&events),
        ["response.created", "response.in_progress", "error", "response.failed"]
    );
    assert_eq!(events[2]["code"], "rate_limit_exceeded");
    let refused = ready(Err::<(_, futures::stream::Iter<std::vec::IntoIter<_>>), _>(
        Error::invalid("no"),
    ));
    let writer = AnswerWriter::new(response(), false);
    let refused = stream::respond(refused, Silence::new(Duration::from_secs(60), ""), writer, None).await;
    assert!(refused.is_err(), "with a status, as long as there is time");
}
