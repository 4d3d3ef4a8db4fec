//! The model: its queue, its batch, its context and what is computed beside each token.

use super::{Attack, NOTHING};
use crate::attacker::{Attacker, chat};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{io::AsyncReadExt, io::AsyncWriteExt};

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "context-overflow",
            about: "messages of 900 KB that do not fit the context",
            clients: 8,
            shows: &["400 context_length_exceeded"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = attacker.kept("overflow", || {
                        chat(&"word ".repeat(180_000), json!({"max_tokens": 1}))
                            .to_string()
                            .into()
                    });
                    attacker.send(attacker.post("/v1/chat/completions", body)).await;
                })
            },
        },
        Attack {
            name: "near-overflow",
            about: "messages of 12 KB that do not fit the context either, and must be counted to know it",
            clients: 32,
            shows: &["400 context_length_exceeded"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let question = format!("{number} {}", "a b c ".repeat(2_000));
                    attacker.chat(&question, json!({"max_tokens": 1})).await;
                })
            },
        },
        Attack {
            name: "full-contexts",
            about: "prompts of 600 words that nothing else begins with, for one token each",
            clients: 32,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let question = format!("{number} {}", format!("order {} ", number % 10).repeat(300));
                    attacker.chat(&question, json!({"max_tokens": 1})).await;
                })
            },
        },
        Attack {
            name: "many-streams",
            about: "64 answers of 512 tokens at the same time",
            clients: 64,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    attacker
                        .chat(
                            &format!("Tell me story {number}."),
                            json!({"max_tokens": 512, "temperature": 1}),
                        )
                        .await;
                })
            },
        },
        Attack {
            name: "choices",
            about: "48 requests for eight choices of one token, each a member of the queue",
            clients: 48,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    attacker
                        .chat(&format!("Question {number}?"), json!({"n": 8, "max_tokens": 1}))
                        .await;
                })
            },
        },
        Attack {
            name: "canceled-streams",
            about: "streams that are left after their first bytes",
            clients: 32,
            shows: &["left"],
            prepare: NOTHING,
            strike: |attacker, number| Box::pin(cancel(attacker, number)),
        },
        Attack {
            name: "long-stops",
            about: "four stop strings of 900,000 characters",
            clients: 8,
            shows: &["400"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = attacker.kept("stops", || {
                        let stop = "a".repeat(900_000);
                        chat("Hello", json!({"stop": [stop, stop, stop, stop]}))
                            .to_string()
                            .into()
                    });
                    attacker.send(attacker.post("/v1/chat/completions", body)).await;
                })
            },
        },
        Attack {
            name: "costly-sampling",
            about: "answers with the largest stop strings, 300 biases and 20 log probabilities a token",
            clients: 32,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let stops: Vec<String> = (0..4).map(|stop| format!("{}{stop}", "e".repeat(255))).collect();
                    let bias: Value = (100..400).map(|token| (token.to_string(), json!(1))).collect();
                    let more = json!({
                        "n": 4, "max_tokens": 64, "temperature": 1, "stop": stops, "logit_bias": bias, "logprobs": true,
                        "top_logprobs": 20, "frequency_penalty": 1,
                    });
                    attacker.chat(&format!("Tell me story {number}."), more).await;
                })
            },
        },
        Attack {
            name: "request-trees",
            about: "chats with 3.9 MB of tools, all of it empty lists",
            clients: 16,
            shows: &["413"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = attacker.kept("tools", || {
                        let body = chat("Hello", json!({"tools": ["TREE"]})).to_string();
                        body.replace("\"TREE\"", &format!("{}[]", "[],".repeat(1_300_000)))
                            .into()
                    });
                    attacker.send(attacker.post("/v1/chat/completions", body)).await;
                })
            },
        },
    ]
}

async fn cancel(attacker: Attacker, number: usize) {
    let body = chat(
        &format!("Tell me story {number}."),
        json!({"stream": true, "max_tokens": 512}),
    )
    .to_string();
    let left = async {
        let mut stream = attacker.connect().await?;
        stream
            .write_all(attacker.head("POST", "/v1/chat/completions", body.len()).as_bytes())
            .await?;
        stream.write_all(body.as_bytes()).await?;
        let mut head = [0; 12];
        // A stream that waits in the queue is left, too.
        let read = tokio::time::timeout(Duration::from_millis(500), stream.read_exact(&mut head)).await;
        match read {
            Ok(read) => read.map(|_| if head.ends_with(b"200") { "left" } else { "refused" }),
            Err(_) => Ok("left in the queue"),
        }
    };
    attacker.count_held(left.await).await;
}
