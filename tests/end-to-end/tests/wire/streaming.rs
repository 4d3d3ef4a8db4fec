//! The shape of streamed answers, as OpenAI's clients read it, and what a client that hangs up leaves behind.
//! Not here: what a stream filter does to a text (`plugin`), a filter that fails (`hostile_guests`).

use riad_end_to_end::{Chat, MODEL, Stream, Tenant, TestHost, files};
use serde_json::{Value, json};

const QUESTION: &str = "What is the refund window?";

async fn host() -> (TestHost, Tenant) {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    for (title, text) in files::ACME {
        tenant.add_document(title, text).await;
    }
    (host, tenant)
}

/// All events but the final `[DONE]`, which is checked.
async fn events(tenant: &Tenant, chat: &Chat) -> Vec<Value> {
    let stream = tenant.stream(chat).await;
    assert!(
        stream.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream"),
        "{:?}",
        stream.headers
    );
    let mut events = stream.rest().await;
    assert_eq!(events.pop(), Some("[DONE]".into()));
    let id = &events[0]["id"];
    assert!(id.as_str().unwrap().starts_with("chatcmpl-"));
    for event in &events {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!((&event["id"], &event["model"]), (id, &MODEL.into()));
        assert_eq!(event["created"], events[0]["created"]);
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_a_role_pieces_of_text_a_reason_and_the_last_word() {
    let (_host, tenant) = host().await;
    let chat = Chat::new(QUESTION);
    let whole = tenant.chat(&chat).await;
    let events = events(&tenant, &chat).await;

    let (last, rest) = events.split_last().unwrap();
    assert_eq!(
        rest[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    assert!(rest.len() > 3, "the answer came in one piece");
    for event in &rest[1..] {
        let choice = &event["choices"][0];
        assert!(!choice["delta"]["content"].as_str().unwrap().is_empty());
        assert!(choice["delta"].get("role").is_none());
        assert_eq!(choice["finish_reason"], Value::Null);
    }
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert_eq!(
        last["choices"][0]["finish_reason"],
        whole["choices"][0]["finish_reason"]
    );
    for event in &events {
        assert!(event.get("usage").is_none(), "{event}");
        assert_eq!(event.get("riad").is_some(), event == last, "{event}");
    }
    assert_eq!(Stream::text(&events, 0), whole["choices"][0]["message"]["content"]);
    for part in ["passages", "citations"] {
        assert_eq!(last["riad"][part], whole["riad"][part]);
    }
    assert_eq!(
        last["riad"]["receipt"]["completion_tokens"],
        whole["usage"]["completion_tokens"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_are_those_of_the_text_streamed_and_whole() {
    let (_host, tenant) = host().await;
    let plain = tenant.chat(&Chat::new(QUESTION)).await;
    assert_eq!(plain["choices"][0]["logprobs"], Value::Null);
    let chat = Chat::new(QUESTION).with("logprobs", true).with("top_logprobs", 2);
    let mut whole = tenant.chat(&chat).await;
    let logprobs = whole["choices"][0]["logprobs"].take();
    assert_eq!(whole["choices"], plain["choices"], "the rest of the answer is the same");
    for tokens in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert_eq!(whole["usage"][tokens], plain["usage"][tokens]);
    }
    assert_eq!(logprobs["refusal"], Value::Null);
    let content = logprobs["content"].as_array().unwrap();
    let tokens: String = content.iter().map(|token| token["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.trim_start(), whole["choices"][0]["message"]["content"]);
    for token in content {
        let bytes: Vec<u8> = serde_json::from_value(token["bytes"].clone()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), token["token"]);
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 2);
        for member in ["token", "logprob", "bytes"] {
            assert_eq!(top[0][member], token[member], "the likeliest is chosen");
        }
    }

    let events = events(&tenant, &chat).await;
    let mut streamed = Vec::new();
    for choice in events.iter().map(|event| &event["choices"][0]) {
        let content = choice["logprobs"]["content"].as_array();
        let text = choice["delta"]["content"].as_str().unwrap_or_default();
        assert_eq!(content.is_some(), !text.is_empty(), "{choice}");
        streamed.extend(content.into_iter().flatten().cloned());
    }
    assert_eq!(streamed, *content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_the_greatest_bias_is_always_written() {
    let (_host, tenant) = host().await;
    let scored = |chat: Chat| chat.with("logprobs", true).with("max_tokens", 6);
    let token = |answer: &Value, at: usize| answer["choices"][0]["logprobs"]["content"][at]["token"].clone();
    let plain = tenant.chat(&scored(Chat::new(QUESTION))).await;
    let mut written = std::collections::BTreeSet::new();
    for bias in [json!({}), json!({"40": 100}), json!({"41": 100})] {
        let answer = tenant
            .chat(&scored(Chat::new(QUESTION)).with("logit_bias", bias.clone()))
            .await;
        if bias == json!({}) {
            assert_eq!(answer["choices"], plain["choices"]);
        } else {
            assert_eq!(token(&answer, 0), token(&answer, 5));
        }
        written.insert(token(&answer, 0).to_string());
    }
    assert_eq!(written.len(), 3, "{written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_comes_in_a_chunk_of_its_own_when_it_is_asked_for() {
    let (_host, tenant) = host().await;
    let chat = Chat::new(QUESTION);
    let whole = tenant.chat(&chat).await;
    let chat = chat.with("stream_options", json!({"include_usage": true}));
    let events = events(&tenant, &chat).await;

    let (last, rest) = events.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    for tokens in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert_eq!(last["usage"][tokens], whole["usage"][tokens]);
    }
    let cached = |usage: &Value| usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    assert_eq!(cached(&whole["usage"]), 0);
    assert!(cached(&last["usage"]) > 0, "the same prompt again: {last}");
    assert_eq!(last["riad"]["receipt"]["tenant"], "acme");
    assert_eq!(last["riad"]["passages"], whole["riad"]["passages"]);
    for event in rest {
        assert_eq!(event.get("usage"), Some(&Value::Null), "{event}");
        assert!(event.get("riad").is_none(), "{event}");
    }
    let reason = &rest.last().unwrap()["choices"][0]["finish_reason"];
    assert_eq!(*reason, whole["choices"][0]["finish_reason"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_choices_share_a_stream_and_each_is_whole() {
    let (_host, tenant) = host().await;
    let whole = tenant.chat(&Chat::new(QUESTION)).await;
    let events = events(&tenant, &Chat::new(QUESTION).with("n", 3)).await;
    for choice in 0..3 {
        assert_eq!(Stream::text(&events, choice), whole["choices"][0]["message"]["content"]);
        let mine = || {
            let all = events.iter().filter_map(|event| event["choices"].as_array());
            all.flatten().filter(move |chunk| chunk["index"] == choice)
        };
        assert_eq!(mine().next().unwrap()["delta"]["role"], "assistant");
        assert_eq!(mine().filter(|chunk| chunk["finish_reason"].is_string()).count(), 1);
        assert!(mine().next_back().unwrap()["riad"]["citations"].is_array());
    }
    let receipt = &Stream::riad(&events)["receipt"];
    for tokens in ["prompt_tokens", "completion_tokens"] {
        assert_eq!(receipt[tokens], whole["usage"][tokens].as_u64().unwrap() * 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_at_max_tokens_and_at_a_stop_text() {
    let (_host, tenant) = host().await;
    let whole = tenant.chat(&Chat::new(QUESTION)).await;
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();

    let short = Chat::new(QUESTION).with("max_tokens", 4);
    let cut = tenant.chat(&short).await;
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    assert_eq!(cut["usage"]["completion_tokens"], 4);
    let streamed = events(&tenant, &short).await;
    assert_eq!(Stream::text(&streamed, 0), cut["choices"][0]["message"]["content"]);
    assert!(text.starts_with(&Stream::text(&streamed, 0)));

    // In the middle of a word, so that it never is a token's end by chance only.
    let stop = &text[9..14];
    let stopped = Chat::new(QUESTION).with("stop", stop);
    let streamed = events(&tenant, &stopped).await;
    assert_eq!(Stream::text(&streamed, 0), text.split(stop).next().unwrap());
    assert_eq!(streamed.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

/// With one place in the batch, the next request waits until it is free, and would wait for an abandoned answer that went on.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_frees_its_place() {
    let (host, tenant) = host().await;
    // Such a question the small model repeats for as long as it may; and several times, one after another.
    tenant
        .deploy("echo", files::ECHO, &["retrieval", "prompting", "postprocessing"])
        .await;
    let long = Chat::new(&"x".repeat(200)).with("max_tokens", 450).with("n", 4);
    let events = tenant.stream(&long).await.rest().await;
    let tokens = Stream::riad(&events)["receipt"]["completion_tokens"].as_u64().unwrap();
    assert!(tokens > 300, "only {tokens} tokens: too short to hang up in the middle");

    let entries_before = host.entries("acme").await.len();
    let short = Chat::new("Hello").with("max_tokens", 2);
    for _ in 0..3 {
        let mut stream = tenant.stream(&long).await;
        while stream.next_json().await["choices"][0]["delta"]["content"] == "" {}
        drop(stream);
        tenant.chat(&short).await;
    }
    // Two entries a round: the chat that was cut off and the short one.
    let entries = host.entries_when("acme", entries_before + 6).await;
    let cancelled: Vec<_> = entries
        .iter()
        .filter(|entry| entry["outcome"] == "cancelled")
        .map(|entry| entry["completion_tokens"].as_u64().unwrap())
        .collect();
    assert_eq!(cancelled.len(), 3, "{entries:#?}");
    // All three together generate less than one answer to its end.
    assert!(
        cancelled.iter().sum::<u64>() < tokens,
        "{cancelled:?} tokens for nobody, {tokens} in one whole answer"
    );
}
