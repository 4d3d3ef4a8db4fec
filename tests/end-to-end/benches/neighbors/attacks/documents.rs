//! Documents that are slow to split, uploads that nobody waits for, and answers that nobody reads.

use super::{Attack, NOTHING};
use crate::attacker::Attacker;
use bytes::Bytes;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

const TEXT_BYTES: usize = 512 << 10;
/// As many control characters become six times as many bytes of JSON.
const UNREAD_BYTES: usize = 8 << 20;
/// What a slow reader reads in a tenth of a second.
const SLOW_BYTES: usize = 2600;

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "long-lines",
            about: "documents of one word of 512 KiB",
            clients: 8,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, _| Box::pin(add(attacker, "long line", || "a".repeat(TEXT_BYTES), "text")),
        },
        Attack {
            name: "ideographs",
            about: "documents of 174,760 ideographs without a break",
            clients: 8,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, _| Box::pin(add(attacker, "ideographs", || "語".repeat(TEXT_BYTES / 3), "text")),
        },
        Attack {
            name: "line-ends",
            about: "documents of 262,144 lines of one letter",
            clients: 8,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, _| Box::pin(add(attacker, "line ends", || "a\n".repeat(TEXT_BYTES / 2), "text")),
        },
        Attack {
            name: "markdown-marks",
            about: "Markdown of 524,288 asterisks",
            clients: 8,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, _| Box::pin(add(attacker, "marks", || "*".repeat(TEXT_BYTES), "markdown")),
        },
        Attack {
            name: "abandoned-uploads",
            about: "documents of 512 KiB that are sent, and left before their answer",
            clients: 24,
            shows: &["left"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = document(&attacker, "long line", || "a".repeat(TEXT_BYTES), "text");
                    attacker
                        .leave("POST", "/v1/documents", &body, Duration::from_millis(20))
                        .await;
                })
            },
        },
        Attack {
            name: "metadata-trees",
            about: "documents with 15 MB of metadata, all of it empty lists",
            clients: 8,
            shows: &["413"],
            prepare: NOTHING,
            strike: |attacker, _| {
                Box::pin(async move {
                    let body = attacker.kept("tree", || {
                        let tree = "[],".repeat(5 << 20);
                        format!(r#"{{"title": "Tree", "text": "a", "metadata": {{"tree": [{tree}[]]}}}}"#).into()
                    });
                    attacker.send(attacker.post("/v1/documents", body)).await;
                })
            },
        },
        Attack {
            name: "document-churn",
            about: "small documents, each added and deleted",
            clients: 32,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let body = json!({"title": "Churn", "text": format!("Number {number} comes and goes.")});
                    let made = attacker.post_json("/v1/documents", &body).await;
                    if let Some(id) = made["id"].as_str() {
                        attacker
                            .send(attacker.request(Method::DELETE, &format!("/v1/documents/{id}")))
                            .await;
                    }
                })
            },
        },
        Attack {
            name: "unread-documents",
            about: "answers with 8 MB of control characters, 48 MB of JSON, of which nothing but the head is read",
            clients: 24,
            shows: &["held"],
            prepare: |attacker| Box::pin(add_control_characters(attacker)),
            strike: |attacker, _| Box::pin(read_slowly(attacker, 0)),
        },
        Attack {
            name: "slow-readers",
            about: "the same answers, read at 26 KB/s",
            clients: 24,
            shows: &["held"],
            prepare: |attacker| Box::pin(add_control_characters(attacker)),
            strike: |attacker, _| Box::pin(read_slowly(attacker, SLOW_BYTES)),
        },
    ]
}

fn document(attacker: &Attacker, name: &'static str, text: fn() -> String, format: &str) -> Bytes {
    attacker.kept(name, || {
        json!({"title": name, "text": text(), "format": format})
            .to_string()
            .into()
    })
}

async fn add(attacker: Attacker, name: &'static str, text: fn() -> String, format: &str) {
    let body = document(&attacker, name, text, format);
    attacker.send(attacker.post("/v1/documents", body)).await;
}

async fn add_control_characters(attacker: Attacker) {
    let file = Part::bytes(vec![1; UNREAD_BYTES]).file_name("control.txt");
    let form = Form::new().part("file", file);
    attacker
        .must(attacker.request(Method::POST, "/v1/documents").multipart(form))
        .await;
}

/// Asks for the document and reads as many bytes in a tenth of a second, until the server ends it.
async fn read_slowly(attacker: Attacker, bytes: usize) {
    let listed = attacker.must(attacker.request(Method::GET, "/v1/documents")).await;
    let path = format!("/v1/documents/{}", listed["data"][0]["id"].as_str().unwrap());
    let asked = async {
        let mut stream = attacker.connect().await?;
        stream.write_all(attacker.head("GET", &path, 0).as_bytes()).await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok((stream, head))
    };
    let (mut stream, head) = match asked.await {
        Ok(asked) => asked,
        Err(error) => return attacker.count_held(Err(error)).await,
    };
    match head.ends_with(b"200") {
        true => attacker.count("held"),
        false => {
            attacker.count(&String::from_utf8_lossy(&head[9..]));
            return sleep(Duration::from_millis(10)).await;
        }
    }
    let mut buffer = vec![0; bytes];
    loop {
        sleep(Duration::from_millis(100)).await;
        if bytes == 0 {
            continue;
        }
        match stream.read(&mut buffer).await {
            Ok(0) => return attacker.count("read to its end"),
            Ok(_) => {}
            Err(_) => return attacker.count("cut off"),
        }
    }
}
