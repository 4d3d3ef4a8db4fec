//! Reasoning in OpenAI's JSON, whole and streamed.

use super::{collect::collect, request, response::AnswerHeader, stream};
use crate::sse::Silence;
use axum::body::to_bytes;
use futures::{future::ready, stream::iter};
use riad_core::{Result, chat::FinishReason, receipt::SignedReceipt};
use riad_services::chat::{AnswerUsage, ChatEvent};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn end(reasoning_tokens: Option<u64>) -> ChatEvent {
    let receipt = json!({
        "tenant": "acme", "account": 1, "number": 1, "previous": null, "request": "req", "at_ms": 0, "kind": "chat",
        "outcome": "completed", "key": null, "model": "m", "adapter_generation": null, "adapter_tensors": 0, "plugins": {},
        "index_watermark": 0, "requests": 1, "prompt_tokens": 5, "cached_tokens": 0, "completion_tokens": 9,
        "embedded_tokens": 0, "fuel": 0, "stored_byte_hours": 0, "adapter_byte_hours": 0, "plan": "standard",
        "plan_version": 0, "cost_nanos": 0,
    });
    ChatEvent::End {
        receipt: SignedReceipt {
            receipt: serde_json::from_value(receipt).unwrap(),
            jws: String::new(),
        },
        passages: Vec::new(),
        usage: AnswerUsage {
            prompt_tokens: 5,
            completion_tokens: 9,
            cached_tokens: 0,
            reasoning_tokens,
        },
    }
}

pub(crate) fn reasoning(choice: u32, text: &str) -> Result<ChatEvent> {
    Ok(ChatEvent::Reasoning {
        choice,
        text: text.into(),
    })
}

pub(crate) fn text(choice: u32, text: &str) -> Result<ChatEvent> {
    Ok(ChatEvent::Text {
        choice,
        text: text.into(),
        logprobs: Vec::new(),
    })
}

pub(crate) fn choice_end(choice: u32, finish: FinishReason) -> Result<ChatEvent> {
    Ok(ChatEvent::ChoiceEnd {
        choice,
        finish,
        stop: None,
        citations: Vec::new(),
    })
}

/// One choice that answers, and one that is cut off inside of its reasoning.
fn events() -> Vec<Result<ChatEvent>> {
    vec![
        reasoning(0, "I "),
        reasoning(1, "Hm"),
        reasoning(0, "think"),
        choice_end(1, FinishReason::Length),
        text(0, "Yes"),
        choice_end(0, FinishReason::Stop),
        Ok(end(Some(6))),
    ]
}

async fn whole(events: Vec<Result<ChatEvent>>, choices: u32) -> Value {
    let answer = collect(iter(events), AnswerHeader::new("m", "fp_0"), choices, false).await;
    serde_json::to_value(answer.unwrap()).unwrap()
}

async fn chunks(events: Vec<Result<ChatEvent>>, choices: u32) -> Vec<Value> {
    let starting = ready(Ok(iter(events)));
    let response = stream::respond(
        starting,
        Silence::new(Duration::from_secs(60), ""),
        AnswerHeader::new("m", "fp_0"),
        choices,
        true,
    );
    let response = response.await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let lines = str::from_utf8(&body).unwrap().lines();
    let data = lines.filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[tokio::test]
async fn a_whole_answer_has_reasoning_beside_content() {
    let answer = whole(events(), 2).await;
    let message = |choice: usize| answer["choices"][choice]["message"].clone();
    let expected = |content: &str, reasoning: &str| json!({"role": "assistant", "content": content, "reasoning_content": reasoning, "refusal": null});
    assert_eq!(message(0), expected("Yes", "I think"));
    assert_eq!(message(1), expected("", "Hm"));
    assert_eq!(answer["choices"][1]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 9);
    assert_eq!(
        answer["usage"]["completion_tokens_details"],
        json!({"reasoning_tokens": 6})
    );
}

#[tokio::test]
async fn a_streamed_answer_has_deltas_of_reasoning() {
    let chunks = chunks(events(), 2).await;
    let deltas: Vec<_> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"].get(0))
        .map(|choice| (choice["index"].as_u64().unwrap(), choice["delta"].clone()))
        .filter(|(_, delta)| delta.get("role").is_none() && *delta != json!({}))
        .collect();
    assert_eq!(
        deltas,
        [
            (0, json!({"reasoning_content": "I "})),
            (1, json!({"reasoning_content": "Hm"})),
            (0, json!({"reasoning_content": "think"})),
            (0, json!({"content": "Yes"})),
        ]
    );
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!(usage["completion_tokens_details"], json!({"reasoning_tokens": 6}));
}

#[tokio::test]
async fn a_model_that_does_not_reason_answers_as_before() {
    let events = || vec![text(0, "<think>Yes"), choice_end(0, FinishReason::Stop), Ok(end(None))];
    let answer = whole(events(), 1).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "<think>Yes");
    let written = answer.to_string()
        + &chunks(events(), 1)
            .await
            .into_iter()
            .map(|c| c.to_string())
            .collect::<String>();
    assert!(
        !written.contains("reasoning") && !written.contains("completion_tokens_details"),
        "{written}"
    );
}

#[test]
fn reasoning_in_the_history_is_accepted_and_not_used() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "Is it?"},
        {"role": "assistant", "content": "Yes", "reasoning_content": "I think"},
        {"role": "assistant", "content": "Yes", "reasoning_content": null},
        {"role": "user", "content": "Why?"},
    ]});
    let (read, _) = request::read(serde_json::from_value(body).unwrap()).unwrap();
    assert_eq!(read.messages.len(), 4);
    assert!(
        read.messages
            .iter()
            .all(|message| !message.content.as_deref().unwrap_or_default().contains("think"))
    );
}
