//! How an answer is written, whole and streamed.

use super::{request, response::CompletionWriter};
use crate::{
    chat::tests::{choice_end, end},
    sse::{self, Silence},
};
use axum::body::to_bytes;
use futures::{future::ready, stream::iter};
use riad_core::{
    Result,
    chat::{FinishReason, ScoredToken, TokenLogprobs},
};
use riad_services::chat::ChatEvent;
use serde_json::{Value, json};
use std::time::Duration;

fn text(choice: u32, text: &str) -> Result<ChatEvent> {
    let token = |text: &str, logprob| ScoredToken {
        text: text.to_owned(),
        bytes: None,
        logprob,
    };
    Ok(ChatEvent::Text {
        choice,
        text: text.to_owned(),
        logprobs: vec![TokenLogprobs {
            token: token(text, -0.5),
            top: vec![token("other", -0.25)],
        }],
    })
}

fn events() -> Vec<Result<ChatEvent>> {
    vec![
        text(1, "né"),
        text(0, "a"),
        choice_end(0, FinishReason::Length),
        text(1, "b"),
        choice_end(1, FinishReason::Stop),
        Ok(end(None)),
    ]
}

fn writer() -> CompletionWriter {
    let body = json!({"model": "m", "prompt": ["x", "y"], "logprobs": 1});
    let (_, output) = request::read(serde_json::from_value(body).unwrap()).unwrap();
    CompletionWriter::new("m", "fp_0", &output)
}

fn logprobs(tokens: &[(&str, u64)]) -> Value {
    let texts: Vec<_> = tokens.iter().map(|(text, _)| *text).collect();
    let offsets: Vec<_> = tokens.iter().map(|(_, offset)| *offset).collect();
    let top: Vec<_> = texts.iter().map(|text| json!({*text: -0.5, "other": -0.25})).collect();
    json!({"tokens": texts, "token_logprobs": vec![-0.5; texts.len()], "top_logprobs": top, "text_offset": offsets})
}

fn choice(index: u32, text: &str, logprobs: Value, finish: Value) -> Value {
    json!({"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish})
}

#[tokio::test]
async fn a_whole_answer_has_all_pieces_of_each_choice() {
    let whole = writer().collect(iter(events())).await.unwrap();
    let whole = serde_json::to_value(whole).unwrap();
    assert_eq!(
        whole["choices"],
        json!([
            choice(0, "a", logprobs(&[("a", 0)]), "length".into()),
            choice(1, "néb", logprobs(&[("né", 0), ("b", 2)]), "stop".into()),
        ])
    );
    assert_eq!(
        (&whole["object"], &whole["system_fingerprint"]),
        (&"text_completion".into(), &"fp_0".into())
    );
    assert_eq!(whole["usage"]["total_tokens"], 14);
    assert!(whole["riad"]["receipt"].is_object());
}

#[tokio::test]
async fn a_stream_has_the_pieces_and_the_receipt_at_its_end() {
    let write = |events| writer().stream(events, false);
    let starting = ready(Ok(iter(events())));
    let response = sse::respond(starting, Silence::new(Duration::from_secs(60), ""), write, sse::failure)
        .await
        .unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let data = str::from_utf8(&body)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let mut chunks: Vec<Value> = data
        .map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into()))
        .collect();
    assert_eq!(chunks.pop().unwrap(), "[DONE]");
    let choices: Vec<_> = chunks.iter().map(|chunk| chunk["choices"][0].clone()).collect();
    assert_eq!(
        choices,
        [
            choice(1, "né", logprobs(&[("né", 0)]), Value::Null),
            choice(0, "a", logprobs(&[("a", 0)]), Value::Null),
            choice(0, "", Value::Null, "length".into()),
            choice(1, "b", logprobs(&[("b", 2)]), Value::Null),
            choice(1, "", Value::Null, "stop".into()),
        ]
    );
    let with_receipt: Vec<_> = chunks.iter().map(|chunk| chunk.get("riad").is_some()).collect();
    assert_eq!(with_receipt, [false, false, false, false, true]);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}
