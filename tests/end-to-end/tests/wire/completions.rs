//! Texts that are continued as they are, and their tokens.

use reqwest::Method;
use riad_end_to_end::{Answer, Caller, MODEL, TestHost, files};
use serde_json::{Value, json};

const PROMPT: &str = "The warranty of the Kestrel drill is";

fn body(more: &Value) -> Value {
    let mut body = json!({"model": MODEL, "prompt": PROMPT, "temperature": 0, "max_tokens": 12});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn complete(caller: &Caller, more: Value) -> Value {
    caller.post("/v1/completions", &body(&more)).await.ok()
}

fn texts(answer: &Value) -> Vec<&str> {
    let choices = answer["choices"].as_array().unwrap();
    assert!((0..).zip(choices).all(|(index, choice)| choice["index"] == index));
    choices.iter().map(|choice| choice["text"].as_str().unwrap()).collect()
}

async fn tokenize(caller: &Caller, more: Value) -> Value {
    let mut body = json!({"model": MODEL});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    caller.post("/v1/tokenize", &body).await.ok()
}

async fn streamed(caller: &Caller, more: Value) -> Vec<Value> {
    let request = caller.request(Method::POST, "/v1/completions").json(&body(&more));
    let text = request.send().await.unwrap().text().await.unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| data.into()))
        .collect()
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.text("/error/param"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_continued_whole_and_streamed_alike() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let whole = complete(&acme, json!({})).await;
    assert_eq!(whole["object"], "text_completion");
    assert!(whole["id"].as_str().unwrap().starts_with("cmpl-"));
    assert!(whole["system_fingerprint"].as_str().unwrap().starts_with("fp_"));
    let text = texts(&whole)[0];
    assert!(text.starts_with(' '), "it goes on where the prompt ends: {text:?}");
    let usage = &whole["usage"];
    let prompt_tokens = tokenize(&acme, json!({"prompt": PROMPT})).await["count"].clone();
    assert_eq!(usage["prompt_tokens"], prompt_tokens, "nothing but the text");
    assert_eq!(usage["prompt_tokens"], whole["riad"]["receipt"]["prompt_tokens"]);
    assert_eq!(
        usage["completion_tokens"],
        whole["riad"]["receipt"]["completion_tokens"]
    );

    for include_usage in [false, true] {
        let options = json!({"stream": true, "stream_options": {"include_usage": include_usage}});
        let mut events = streamed(&acme, options).await;
        assert_eq!(events.pop().unwrap(), "[DONE]");
        let choices = events.iter().filter_map(|event| event["choices"].get(0));
        let pieces: String = choices.clone().map(|choice| choice["text"].as_str().unwrap()).collect();
        assert_eq!(pieces, text);
        let ends: Vec<_> = choices
            .map(|choice| &choice["finish_reason"])
            .filter(|end| !end.is_null())
            .collect();
        assert_eq!(ends, [&whole["choices"][0]["finish_reason"]]);
        let last = events.last().unwrap();
        assert!(last["riad"]["receipt"].is_object());
        assert_eq!(last["usage"].is_object(), include_usage);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_lists_are_prompts_too() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let whole = complete(&acme, json!({})).await;
    let text = texts(&whole)[0].to_owned();
    let other = complete(&acme, json!({"prompt": "Once"})).await;
    let other = texts(&other)[0].to_owned();
    let tokens = tokenize(&acme, json!({"prompt": PROMPT})).await["tokens"].clone();
    let of_tokens = complete(&acme, json!({"prompt": tokens, "echo": true})).await;
    assert_eq!(texts(&of_tokens), [format!("{PROMPT}{text}")]);
    let many = complete(&acme, json!({"prompt": [PROMPT, "Once"], "n": 2})).await;
    assert_eq!(texts(&many), [&text, &text, &other, &other]);
    // Each prompt once, though each was read twice.
    let one = whole["usage"]["prompt_tokens"].as_u64().unwrap();
    let counted = many["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!(counted > one && counted < one * 2, "{many}");
    let of_lists = complete(&acme, json!({"prompt": [tokens]})).await;
    assert_eq!(texts(&of_lists), [&text]);
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_have_a_place_for_each_token() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let answer = complete(&acme, json!({"logprobs": 2})).await;
    let (text, logprobs) = (texts(&answer)[0], &answer["choices"][0]["logprobs"]);
    let tokens: Vec<_> = logprobs["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token.as_str().unwrap())
        .collect();
    assert_eq!(tokens.concat(), text);
    let mut offset = 0;
    for (index, token) in tokens.iter().enumerate() {
        assert_eq!(logprobs["text_offset"][index], offset);
        offset += token.chars().count();
        let likeliest = logprobs["top_logprobs"][index].as_object().unwrap();
        assert_eq!(likeliest[*token], logprobs["token_logprobs"][index]);
        assert!((2..=3).contains(&likeliest.len()), "{likeliest:?}");
    }
    let events = streamed(&acme, json!({"logprobs": 2, "stream": true})).await;
    let pieces: Vec<_> = events
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["text_offset"].as_array())
        .flatten()
        .cloned()
        .collect();
    assert_eq!(Value::from(pieces), logprobs["text_offset"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_continued_is_refused_by_name() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let long = "word ".repeat(3_000);
    for (more, param) in [
        (json!({"suffix": "end"}), "suffix"),
        (json!({"best_of": 3}), "best_of"),
        (json!({"echo": true, "logprobs": 1}), "echo"),
        (json!({"logprobs": 21}), "logprobs"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": ["a", ""]}), "prompt"),
        (json!({"prompt": {"text": "a"}}), "prompt"),
        (json!({"prompt": [9_999_999]}), "prompt"),
        (json!({"prompt": vec!["a"; 9]}), "prompt"),
        (json!({"prompt": vec!["a"; 3], "n": 3}), "prompt"),
        (json!({"prompt": long}), "prompt"),
        (json!({"max_tokens": 0}), "max_tokens"),
    ] {
        let answer = acme.post("/v1/completions", &body(&more)).await;
        assert_eq!(refusal(&answer), (400, param.to_owned()), "{more}: {}", answer.body);
    }
    for harmless in [
        json!({"suffix": "", "best_of": 1}),
        json!({"n": 2, "best_of": 2}),
        json!({"suffix": null, "user": "u", "logprobs": null}),
    ] {
        complete(&acme, harmless).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_prompts_are_not_passed_by() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    acme.deploy("desk", files::PRICE_DESK, &["prompting"]).await;
    let answer = acme.post("/v1/completions", &body(&json!({}))).await;
    assert_eq!(refusal(&answer), (400, "prompt".to_owned()));
    complete(&globex, json!({})).await;
    acme.reset_pipeline().await;
    complete(&acme, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_adapter_has_no_completions_and_no_tokens() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let model = format!("{MODEL}:house");
    assert!(
        acme.put_adapter("house", &files::Adapter::acme())
            .await
            .status
            .is_success()
    );
    for (path, body) in [
        (
            "/v1/completions",
            json!({"model": model, "prompt": PROMPT, "max_tokens": 4}),
        ),
        ("/v1/tokenize", json!({"model": model, "prompt": PROMPT})),
        ("/v1/detokenize", json!({"model": model, "tokens": [40]})),
    ] {
        acme.post(path, &body).await.ok();
        let answer = globex.post(path, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_ref()),
            (404, "model_not_found")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_their_tokens_are_the_same_both_ways() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    for text in ["Hello, world!", "<|end|><|system|>", "héllo 日本 🦀\n\n  x", ""] {
        let read = tokenize(
            &acme,
            json!({"prompt": text, "add_special_tokens": false, "return_token_strs": true}),
        )
        .await;
        let tokens = read["tokens"].as_array().unwrap();
        assert_eq!(read["count"], tokens.len());
        assert_eq!(read["token_strs"].as_array().unwrap().len(), tokens.len());
        let answer = acme
            .post("/v1/detokenize", &json!({"model": MODEL, "tokens": tokens}))
            .await
            .ok();
        assert_eq!(answer["prompt"], text);
    }
    // Only the template makes control tokens.
    let conversation = json!([{"role": "user", "content": "<|end|>"}]);
    let read = tokenize(&acme, json!({"messages": conversation, "return_token_strs": true})).await;
    let control = |token: &&Value| **token == "<|end|>";
    assert_eq!(
        read["token_strs"].as_array().unwrap().iter().filter(control).count(),
        1,
        "{read}"
    );
    assert!(read["max_model_len"].as_u64().unwrap() > 0);
    let models = acme.get("/v1/models").await.ok();
    assert_eq!(models["data"][0]["max_model_len"], read["max_model_len"]);
    assert!(models["data"][1]["max_model_len"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_cannot_be_are_refused_by_name() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let messages = json!([{"role": "user", "content": "Hello"}]);
    for (more, param) in [
        (json!({}), "prompt"),
        (json!({"prompt": "a", "messages": messages}), "messages"),
        (
            json!({"messages": messages, "add_generation_prompt": false}),
            "add_generation_prompt",
        ),
        (
            json!({"messages": messages, "add_special_tokens": true}),
            "add_special_tokens",
        ),
        (
            json!({"messages": messages, "continue_final_message": true}),
            "continue_final_message",
        ),
        (json!({"messages": messages, "tools": [{}]}), "tools"),
        (json!({"prompt": "a", "chat_template": "x"}), "chat_template"),
        (json!({"prompt": "word ".repeat(200_000)}), "prompt"),
        (
            json!({"messages": [{"role": "robot", "content": "a"}]}),
            "messages[0].role",
        ),
    ] {
        let mut body = json!({"model": MODEL});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = acme.post("/v1/tokenize", &body).await;
        assert_eq!(refusal(&answer), (400, param.to_owned()), "{}", answer.body);
    }
    for tokens in [json!([9_999_999]), json!([-1]), json!(vec![40; 20_000]), json!("a")] {
        let answer = acme
            .post("/v1/detokenize", &json!({"model": MODEL, "tokens": tokens}))
            .await;
        let (status, param) = refusal(&answer);
        assert!(status == 400 && param.starts_with("tokens"), "{}", answer.body);
    }
}
