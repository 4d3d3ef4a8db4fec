//! Embeddings as clients ask for them.

use base64::{Engine, engine::general_purpose::STANDARD};
use riad_end_to_end::{EMBEDDER, Tenant, TestHost};
use serde_json::{Value, json};

async fn embed(tenant: &Tenant, input: Value, more: Value) -> Vec<Value> {
    let mut body = json!({"model": EMBEDDER, "input": input});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = tenant.post("/v1/embeddings", &body).await.ok();
    let data = answer["data"].as_array().unwrap();
    data.iter().map(|entry| entry["embedding"].clone()).collect()
}

fn numbers(vector: &Value) -> Vec<f32> {
    serde_json::from_value(vector.clone()).unwrap()
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|number| number * number).sum::<f32>().sqrt()
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_in_the_format_and_size_that_was_asked_for() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let whole = numbers(&embed(&tenant, json!("A refund"), json!({})).await[0]);
    assert_eq!(whole.len(), 256);
    for format in [json!("float"), Value::Null] {
        let same = embed(&tenant, json!("A refund"), json!({"encoding_format": format})).await;
        assert_eq!(numbers(&same[0]), whole);
    }
    let packed = embed(&tenant, json!("A refund"), json!({"encoding_format": "base64"})).await;
    let bytes = STANDARD.decode(packed[0].as_str().unwrap()).unwrap();
    let unpacked: Vec<f32> = bytes
        .chunks(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    assert_eq!(unpacked, whole);

    let short = numbers(&embed(&tenant, json!("A refund"), json!({"dimensions": 64})).await[0]);
    let scale = length(&whole[..64]);
    assert_eq!(short.len(), 64);
    for (short, whole) in short.iter().zip(&whole) {
        assert!((short - whole / scale).abs() < 1e-6);
    }
    assert!((length(&short) - 1.0).abs() < 1e-5);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_has_a_vector_of_zeros() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let texts = json!(["\u{4eac}\u{90fd}", "\u{1F600}", "\u{E000}", "<|end|>", "[PAD]", "\u{0}"]);
    let vectors = embed(&tenant, texts.clone(), json!({})).await;
    for vector in &vectors {
        assert!((length(&numbers(vector)) - 1.0).abs() < 1e-3, "{vector}");
    }
    assert_eq!(embed(&tenant, texts, json!({})).await, vectors, "the same again");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_embedded_as_their_text() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let tokens = json!([2000, 2001]);
    let flat = embed(&tenant, tokens.clone(), json!({})).await;
    let nested = embed(&tenant, json!([tokens, [2002]]), json!({})).await;
    assert_eq!((flat.len(), nested.len()), (1, 2));
    assert_eq!(flat[0], nested[0]);
    assert_ne!(nested[0], nested[1]);
}
