//! HTTP and nothing else: an axum route that calls the bare engine and answers OpenAI's JSON. What HTTP itself costs, and the
//! upstream of a proxy that is measured beside Riad.

use crate::engine::{FixedEngine, MAX_TOKENS, MODEL, bare};
use axum::{Json, Router, extract::State, http::StatusCode, routing::post, serve::ListenerExt};
use riad_core::chat::Message;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Ask {
    messages: Vec<Message>,
    max_tokens: Option<u32>,
}

/// Serves until the runtime ends; returns where. Must be called in a runtime.
pub async fn start(engine: Arc<FixedEngine>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/chat/completions", post(answer))
        .with_state(engine);
    // As Riad's listener does.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn answer(State(engine): State<Arc<FixedEngine>>, Json(ask): Json<Ask>) -> Result<Json<Value>, StatusCode> {
    let (text, usage) = bare(engine.as_ref(), ask.messages, ask.max_tokens.unwrap_or(MAX_TOKENS))
        .await
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({
        "id": "chatcmpl-0", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL,
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "refusal": null},
        }],
        "usage": {
            "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    })))
}
