//! Connections: many that do nothing, some that do it slowly, few that do much.

use super::{Attack, NOTHING};
use crate::attacker::{Attacker, chat};
use serde_json::json;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: neighbors\r\n\r\n";
const BODY_BYTES: usize = 4 << 20;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "idle-connections",
            about: "4,500 connections without a key that ask /healthz once and stay",
            clients: 4500,
            shows: &["held"],
            prepare: NOTHING,
            strike: |attacker, _| Box::pin(hold(attacker, |stream| Box::pin(stay_idle(stream)))),
        },
        Attack {
            name: "slow-heads",
            about: "1,000 requests whose head never ends",
            clients: 1000,
            shows: &["held"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(hold(attacker, |mut stream| {
                    Box::pin(async move {
                        stream.write_all(b"GET /v1/models HTTP/1.1\r\n").await?;
                        Ok(stream)
                    })
                }))
            },
        },
        Attack {
            name: "slow-bodies",
            about: "200 chats of 4 MB whose body comes a byte a second",
            clients: 200,
            shows: &["held"],
            prepare: NOTHING,
            strike: |attacker, _| {
                let head = attacker.head("POST", "/v1/chat/completions", BODY_BYTES);
                Box::pin(send_slowly(attacker, head, Vec::new()))
            },
        },
        Attack {
            name: "unfinished-bodies",
            about: "200 chats of 4 MB that are sent but for the last bytes",
            clients: 200,
            shows: &["held"],
            prepare: NOTHING,
            strike: |attacker, _| {
                let head = attacker.head("POST", "/v1/chat/completions", BODY_BYTES);
                Box::pin(send_slowly(attacker, head, vec![b' '; BODY_BYTES - 1000]))
            },
        },
        Attack {
            name: "new-connections",
            about: "a connection for each request, as fast as it goes",
            clients: 64,
            shows: &["closed"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let asked = async { stay_idle(attacker.connect().await?).await.map(|_| "closed") };
                    attacker.count_held(asked.await).await;
                })
            },
        },
        Attack {
            name: "http2-streams",
            about: "chats over HTTP/2, 120 at a time over one connection",
            clients: 120,
            shows: &["200"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let body = chat(&format!("Tell me story {number}."), json!({"max_tokens": 64})).to_string();
                    let request = attacker.http2().post(format!("{}/v1/chat/completions", attacker.url()));
                    let request = request
                        .bearer_auth(attacker.key())
                        .header("content-type", "application/json")
                        .body(body);
                    attacker.send(request).await;
                })
            },
        },
    ]
}

/// Asks for what needs no key and reads the answer.
async fn stay_idle(mut stream: TcpStream) -> io::Result<TcpStream> {
    stream.write_all(HEALTH.as_bytes()).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    match answer.ends_with(b"200") {
        true => Ok(stream),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Opens a connection, does something with it, and keeps it until the server closes it.
async fn hold(attacker: Attacker, begin: fn(TcpStream) -> futures::future::BoxFuture<'static, io::Result<TcpStream>>) {
    let begun = async { begin(attacker.connect().await?).await };
    match begun.await {
        Ok(stream) => {
            attacker.count("held");
            trickle(&attacker, stream, false).await;
        }
        Err(error) => attacker.count_held(Err(error)).await,
    }
}

/// Sends the head and the beginning of a body, then a byte a second until the server has had enough.
async fn send_slowly(attacker: Attacker, head: String, beginning: Vec<u8>) {
    let begun = async {
        let mut stream = attacker.connect().await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&beginning).await?;
        Ok(stream)
    };
    match begun.await {
        Ok(stream) => {
            attacker.count("held");
            trickle(&attacker, stream, true).await;
        }
        Err(error) => attacker.count_held(Err(error)).await,
    }
}

async fn trickle(attacker: &Attacker, mut stream: TcpStream, sends: bool) {
    let mut answer = [0; 4096];
    loop {
        match timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
            // What is left of the first answer, or a refusal.
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => {
                attacker.count("closed by the server");
                return sleep(Duration::from_millis(100)).await;
            }
            Err(_) if sends => {
                if stream.write_all(b" ").await.is_err() {
                    return attacker.count("closed by the server");
                }
            }
            Err(_) => {}
        }
    }
}
