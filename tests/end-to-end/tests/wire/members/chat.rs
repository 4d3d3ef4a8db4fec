//! The members of `/v1/chat/completions`: OpenAI's, those of messages, tools and formats, and those of other servers that would change an
//! answer.

use super::table::{Member, Operation, ignored, read, refused, required};
use riad_end_to_end::{MODEL, TestHost};
use serde_json::{Value, json};

fn operation() -> Operation {
    Operation {
        path: "/v1/chat/completions",
        body: json!({
            "model": MODEL,
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "How may I help?"},
                {"role": "user", "content": "What is the refund window?"},
            ],
            "temperature": 0,
            "max_tokens": 8,
        }),
        answer: "/choices/0/message/content",
    }
}

fn tool() -> Value {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string", "enum": ["Bern"]}}, "required": ["city"]});
    json!({"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": parameters}})
}

fn format() -> Value {
    json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}})
}

async fn check(members: Vec<Member>) {
    let host = TestHost::builder().max_sequences(2).start().await;
    let tenant = host.tenant("acme").await;
    operation().check(&tenant, members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_of_a_chat_is_served_or_refused() {
    let with_tools = || json!({"tools": [tool()]});
    check(vec![
        required("/model", json!(MODEL), json!(5)),
        required(
            "/messages",
            json!([{"role": "user", "content": "Hello"}]),
            json!("Hello"),
        ),
        refused("/audio", json!({"voice": "alloy", "format": "wav"}), []),
        read("/frequency_penalty", json!(0.5), json!("much")),
        refused("/function_call", json!({"name": "f"}), [json!("none"), json!("auto")]),
        refused("/functions", json!([{"name": "f", "parameters": {}}]), [json!([])]),
        read("/logit_bias", json!({"5": 1}), json!(true)),
        read("/logprobs", json!(true), json!("yes")),
        read("/max_completion_tokens", json!(4), json!("many")),
        read("/max_tokens", json!(4), json!(1.5)),
        ignored("/metadata", json!({"team": "blue"})),
        refused("/modalities", json!(["text", "audio"]), [json!(["text"])]),
        read("/n", json!(2), json!("two")),
        read("/parallel_tool_calls", json!(false), json!("no")).beside(with_tools()),
        refused("/prediction", json!({"type": "content", "content": "Hello"}), []),
        read("/presence_penalty", json!(0.5), json!([])),
        ignored("/prompt_cache_key", json!("key")),
        ignored("/prompt_cache_retention", json!("24h")),
        refused("/reasoning_effort", json!("low"), []),
        read("/response_format", json!({"type": "json_object"}), json!("json")),
        ignored("/safety_identifier", json!("hash")),
        read("/seed", json!(-7), json!("seven")),
        read("/service_tier", json!("flex"), json!("first class")),
        read("/stop", json!(["a", "b"]), json!({"at": "a"})),
        refused("/store", json!(true), [json!(false)]),
        read("/stream", json!(true), json!("yes")),
        read("/stream_options", json!({"include_usage": true}), json!(true)).beside(json!({"stream": true})),
        read("/temperature", json!(0.5), json!("warm")),
        read("/tool_choice", json!("required"), json!(["weather"])).beside(with_tools()),
        read("/tools", json!([tool()]), json!({"weather": tool()})),
        read("/top_logprobs", json!(2), json!("two")).beside(json!({"logprobs": true})),
        read("/top_p", json!(0.5), json!("half")),
        ignored("/user", json!("ann")),
        refused("/verbosity", json!("low"), [json!("medium")]),
        refused("/web_search_options", json!({}), []),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_inside_of_a_chat_is_served_or_refused() {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let with_tool = || json!({"tools": [tool()], "tool_choice": {"type": "function", "function": {"name": "weather"}}});
    let with_format = || json!({"response_format": format()});
    let streamed = || json!({"stream_options": {}});
    check(vec![
        required("/messages/0/role", json!("system"), json!(5)),
        required(
            "/messages/0/content",
            json!([{"type": "text", "text": "Hello"}]),
            json!(5),
        ),
        ignored("/messages/0/name", json!("ann")),
        read("/messages/1/content", json!("Yes?"), json!([{"type": "input_audio"}])),
        read("/messages/1/refusal", json!("I cannot say."), json!(5)),
        read("/messages/1/tool_calls", json!([call]), json!("weather")),
        read(
            "/messages/1/function_call",
            json!({"name": "weather", "arguments": "{}"}),
            json!("weather"),
        ),
        refused("/messages/1/audio", json!({"id": "audio_1"}), []),
        refused("/messages/1/prefix", json!(true), [json!(false)]),
        ignored("/messages/1/annotations", json!([])),
        read("/messages/2/tool_call_id", json!("call_1"), json!(5)),
        required("/tools/0/type", json!("function"), json!("custom")).beside(with_tool()),
        required("/tools/0/function/name", json!("weather"), json!({})).beside(with_tool()),
        read("/tools/0/function/description", json!("The weather"), json!(5)).beside(with_tool()),
        read("/tools/0/function/parameters", json!({"type": "object"}), json!("city")).beside(with_tool()),
        read("/tools/0/function/strict", json!(true), json!("very")).beside(with_tool()),
        required("/tool_choice/type", json!("function"), json!("allowed_tools")).beside(with_tool()),
        required("/tool_choice/function/name", json!("weather"), json!("umbrella")).beside(with_tool()),
        required("/response_format/type", json!("json_schema"), json!("xml")).beside(with_format()),
        required(
            "/response_format/json_schema",
            format()["json_schema"].clone(),
            json!("object"),
        )
        .beside(with_format()),
        required("/response_format/json_schema/name", json!("answer"), json!(5)).beside(with_format()),
        read("/response_format/json_schema/description", json!("An answer"), json!(5)).beside(with_format()),
        read(
            "/response_format/json_schema/schema",
            json!({"type": "object"}),
            json!("object"),
        )
        .beside(with_format()),
        read("/response_format/json_schema/strict", json!(true), json!("very")).beside(with_format()),
        read("/stream_options/include_usage", json!(true), json!("yes")).beside(streamed()),
        ignored("/stream_options/include_obfuscation", json!(false)).beside(streamed()),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_other_servers_are_refused_or_change_nothing() {
    check(vec![
        refused("/allowed_token_ids", json!([1, 2]), [json!([])]),
        refused("/best_of", json!(2), [json!(1)]),
        refused("/chat_template_kwargs", json!({"enable_thinking": false}), [json!({})]),
        refused("/continue_final_message", json!(true), [json!(false)]),
        refused("/grammar", json!("root ::= \"a\""), [json!("")]),
        refused("/guided_json", json!({"type": "object"}), []),
        refused("/ignore_eos", json!(true), [json!(false)]),
        refused("/include_stop_str_in_output", json!(true), [json!(false)]),
        refused("/length_penalty", json!(0.5), [json!(1), json!(1.0)]),
        refused("/min_tokens", json!(5), [json!(0)]),
        refused("/random_seed", json!(5), []),
        refused("/reasoning", json!({"effort": "low"}), []),
        refused("/repeat_penalty", json!(1.1), [json!(1)]),
        refused("/skip_special_tokens", json!(false), [json!(true)]),
        refused("/stop_token_ids", json!([2]), [json!([])]),
        refused("/structured_outputs", json!({"regex": "a+"}), []),
        refused("/thinking", json!({"type": "enabled"}), []),
        refused("/use_beam_search", json!(true), [json!(false)]),
        // Nobody's request type has them; some clients send such.
        ignored("/chat_id", json!("chat_1")),
        ignored("/litellm_metadata", json!({"key": "value"})),
        ignored("/usage", json!({"include": true})),
    ])
    .await;
}
