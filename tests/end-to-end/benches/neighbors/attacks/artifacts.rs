//! Components and adapters: compiling them, checking them, loading them.

use super::{Attack, NOTHING};
use crate::attacker::Attacker;
use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use riad_end_to_end::files::{self, Adapter};
use safetensors::Dtype;
use serde_json::json;
use std::time::Duration;

/// Of the code in a component.
const CODE_BYTES: usize = 24 << 20;
const FUNCTION_BYTES: usize = 6 << 10;
/// The most that upstream's formats know. Halved until the server takes it.
const RANK: usize = 1024;
const ADAPTERS: usize = 5;
const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

pub fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "plugin-uploads",
            about: "new components of 24 MB of code, left when they have been sent",
            clients: 4,
            shows: &["left"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let mut component = attacker.kept("component", large_component).to_vec();
                    distinguish(&mut component, number);
                    attacker
                        .leave("PUT", "/v1/plugins/large", &component, Duration::from_millis(500))
                        .await;
                })
            },
        },
        Attack {
            name: "plugin-churn",
            about: "new small components, each compiled",
            clients: 8,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let mut component = files::ECHO.to_vec();
                    distinguish(&mut component, number);
                    let put = attacker
                        .request(Method::PUT, "/v1/plugins/small")
                        .header("content-type", "application/wasm");
                    attacker.send(put.body(component)).await;
                })
            },
        },
        Attack {
            name: "adapters-in-turn",
            about: "five adapters of the highest rank, more than memory keeps, one token each",
            clients: 8,
            shows: &["200"],
            prepare: |attacker| Box::pin(put_adapters(attacker)),
            strike: |attacker, number| {
                Box::pin(async move {
                    let model = format!("{}:rank-{}", riad_end_to_end::MODEL, number % ADAPTERS);
                    attacker.chat("Hello", json!({"model": model, "max_tokens": 1})).await;
                })
            },
        },
        Attack {
            name: "adapter-uploads",
            about: "new adapters of rank 64, each checked and stored",
            clients: 8,
            shows: &["201"],
            prepare: NOTHING,
            strike: |attacker, number| {
                Box::pin(async move {
                    let weights = attacker.kept("adapter", || adapter(64).weights.to_vec());
                    let mut adapter = Adapter {
                        weights,
                        ..adapter_config(64)
                    };
                    adapter.weights = numbered(&adapter.weights, number);
                    attacker.send(put(&attacker, "upload", &adapter)).await;
                })
            },
        },
    ]
}

/// A component that compiles as slowly as its size allows: the echo guest, and a core module of long functions that nobody calls.
fn large_component() -> Vec<u8> {
    let functions = CODE_BYTES / FUNCTION_BYTES;
    // One local, then `local.get 0; i32.const k; i32.mul; local.get 0; i32.xor; local.set 0` again and again.
    let mut body = vec![0];
    while body.len() < FUNCTION_BYTES - 16 {
        let constant = u8::try_from(body.len() % 63).unwrap();
        body.extend([0x20, 0, 0x41, constant, 0x6c, 0x20, 0, 0x73, 0x21, 0]);
    }
    body.extend([0x20, 0, 0x0b]);
    let mut code = leb(functions);
    for _ in 0..functions {
        code.extend(leb(body.len()));
        code.extend(&body);
    }
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // A function from i32 to i32, and each function of that type.
    module.extend(section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]));
    let types: Vec<u8> = leb(functions).into_iter().chain(vec![0; functions]).collect();
    module.extend(section(3, &types));
    module.extend(section(10, &code));
    let mut component = files::ECHO.to_vec();
    component.extend(section(1, &module));
    component
}

/// Appends a custom section, so that no two are the same.
fn distinguish(component: &mut Vec<u8>, number: usize) {
    // Its name is "n".
    component.extend(section(0, format!("\u{1}n{number}").as_bytes()));
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb(content.len()), content.to_vec()].concat()
}

/// Unsigned LEB128.
fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn adapter_config(rank: usize) -> Adapter {
    Adapter::acme().with_config("r", rank)
}

/// An adapter of this rank for the shipped model.
fn adapter(rank: usize) -> Adapter {
    adapter_config(rank).with_tensors(|tensors| {
        for (name, (dtype, shape, bytes)) in tensors.iter_mut() {
            let place = usize::from(name.contains("lora_B"));
            shape[place] = rank;
            *dtype = Dtype::F16;
            *bytes = vec![0; shape.iter().product::<usize>() * 2];
        }
    })
}

/// The same weights but for the last number, so that no two files are the same.
fn numbered(weights: &Bytes, number: usize) -> Bytes {
    let mut weights = weights.to_vec();
    // Small half-precision numbers, never infinite.
    let end = weights.len();
    for (place, byte) in number.to_le_bytes().into_iter().enumerate().take(6) {
        weights[end - 2 - 2 * place] = byte;
    }
    weights.into()
}

fn put(attacker: &Attacker, alias: &str, adapter: &Adapter) -> reqwest::RequestBuilder {
    let part = |bytes: &Bytes| Part::stream(bytes.clone());
    let form = Form::new()
        .part(CONFIG, part(&adapter.config))
        .part(WEIGHTS, part(&adapter.weights));
    attacker
        .request(Method::PUT, &format!("/v1/adapters/{alias}"))
        .multipart(form)
}

async fn put_adapters(attacker: Attacker) {
    let mut rank = RANK;
    for number in 0..ADAPTERS {
        loop {
            let mut adapter = adapter(rank);
            adapter.weights = numbered(&adapter.weights, number);
            let request = put(&attacker, &format!("rank-{number}"), &adapter);
            let response = request.send().await.unwrap();
            let status = response.status();
            match status {
                StatusCode::BAD_REQUEST if rank > 8 => rank /= 2,
                status if status.is_success() => break,
                status => panic!("an adapter of rank {rank}: {status} {}", response.text().await.unwrap()),
            }
        }
    }
}
