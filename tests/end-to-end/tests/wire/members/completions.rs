//! The members of `/v1/completions` and of vLLM's `/v1/tokenize` and `/v1/detokenize`.

use super::table::{Operation, ignored, read, refused, required};
use riad_end_to_end::{MODEL, TestHost};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn each_member_of_completions_is_served_or_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let operation = Operation {
        path: "/v1/completions",
        body: json!({"model": MODEL, "prompt": "The warranty is", "max_tokens": 3, "temperature": 0}),
        answer: "/choices/0/text",
    };
    let members = vec![
        required("/model", json!(MODEL), json!(5)),
        required("/prompt", json!(["A", "B"]), json!({"text": "A"})),
        read("/max_tokens", json!(2), json!("few")),
        read("/stream", json!(false), json!("no")),
        read("/stream_options", json!({"include_usage": true}), json!("all")),
        read("/n", json!(2), json!("two")),
        read("/echo", json!(true), json!("yes")),
        read("/logprobs", json!(2), json!("all")),
        read("/temperature", json!(0.5), json!("warm")),
        read("/top_p", json!(0.5), json!("half")),
        read("/top_k", json!(5), json!("five")),
        read("/min_p", json!(0.1), json!("low")),
        read("/frequency_penalty", json!(0.5), json!("some")),
        read("/presence_penalty", json!(0.5), json!("some")),
        read("/repetition_penalty", json!(1.1), json!("some")),
        read("/stop", json!(["."]), json!(5)),
        read("/seed", json!(7), json!("seven")),
        read("/logit_bias", json!({"40": -1}), json!([40])),
        read("/service_tier", json!("auto"), json!(1)),
        ignored("/user", json!("ann")),
        refused("/suffix", json!("end"), [json!("")]),
        refused("/best_of", json!(2), [json!(1)]),
        refused("/ignore_eos", json!(true), [json!(false)]),
        refused("/min_tokens", json!(2), [json!(0)]),
        refused(
            "/response_format",
            json!({"type": "json_object"}),
            [json!({"type": "text"})],
        ),
        refused("/prompt_logprobs", json!(1), []),
    ];
    operation.check(&tenant, members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_of_tokenization_is_served_or_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let text = Operation {
        path: "/v1/tokenize",
        body: json!({"model": MODEL, "prompt": "The warranty"}),
        answer: "/tokens",
    };
    let members = vec![
        required("/model", json!(MODEL), json!(5)),
        required("/prompt", json!("A"), json!(["A"])),
        read("/add_special_tokens", json!(false), json!("no")),
        read("/return_token_strs", json!(true), json!("yes")),
        refused("/chat_template", json!("x"), []),
        refused("/chat_template_kwargs", json!({"a": 1}), []),
        refused("/tools", json!([{"type": "function"}]), []),
    ];
    text.check(&tenant, members).await;
    let conversation = Operation {
        path: "/v1/tokenize",
        body: json!({"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}),
        answer: "/tokens",
    };
    let members = vec![
        read("/add_generation_prompt", json!(true), json!(false)),
        refused("/continue_final_message", json!(true), [json!(false)]),
    ];
    conversation.check(&tenant, members).await;
    let tokens = Operation {
        path: "/v1/detokenize",
        body: json!({"model": MODEL, "tokens": [40, 41]}),
        answer: "/prompt",
    };
    let members = vec![
        required("/model", json!(MODEL), json!(5)),
        required("/tokens", json!([40]), json!("40")),
    ];
    tokens.check(&tenant, members).await;
}
