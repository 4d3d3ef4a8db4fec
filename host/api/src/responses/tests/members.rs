//! Every member of a request is served, or refused by name.

use crate::{
    body::parse,
    responses::{
        input::GivenItem,
        request::{self, ReadRequest},
    },
};
use riad_api_types::responses::{ResponseItem, ResponseRequest};
use riad_core::{Error, ErrorKind, Result, chat::OutputFormat};
use riad_services::chat::{ToolCall, ToolChoice};
use serde_json::{Value, json};

const TOOL: &str = r#"{"type": "function", "name": "find"}"#;

fn read(body: &Value) -> Result<ReadRequest> {
    request::read(parse::<ResponseRequest>(body.to_string().as_bytes())?)
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "input": "Hello"});
    body[name] = value;
    body
}

/// The request's members, as the type itself lists them.
fn members() -> Vec<String> {
    let error = parse::<ResponseRequest>(br#"{"?": 1}"#).err().unwrap();
    let (_, known) = error.message().split_once("expected one of ").unwrap();
    let (known, _) = known.rsplit_once(" at line").unwrap();
    known
        .split(", ")
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

fn param(body: &Value) -> String {
    let error = read(body).err().unwrap_or_else(|| panic!("{body} is served"));
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    error.param().unwrap_or_else(|| panic!("{body}: {error}")).to_owned()
}

#[test]
fn null_is_absent_and_a_wrong_type_is_named() {
    let members = members();
    assert!(members.len() > 30, "{members:?}");
    for name in &members {
        let is_required = ["model", "input"].contains(&name.as_str());
        let null = with(name, Value::Null);
        assert_eq!(read(&null).is_err(), is_required, "{name}");
        if is_required {
            assert_eq!(param(&null), *name);
        }
        // No member is a list of numbers, and none an object with this member.
        for wrong in [json!([1]), json!({"?": 1})] {
            let param = param(&with(name, wrong.clone()));
            let is_named = param.strip_prefix(name.as_str());
            assert!(
                is_named.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])),
                "{name}: {param}"
            );
        }
    }
    assert_eq!(param(&with("seed", json!(1))), "seed", "what is not listed");
}

#[test]
fn what_is_supported_is_read() {
    let tool: Value = serde_json::from_str(TOOL).unwrap();
    for (name, value) in [
        ("instructions", json!("Be brief.")),
        ("previous_response_id", json!("resp_1")),
        ("store", json!(false)),
        ("stream", json!(true)),
        ("stream_options", json!({"include_obfuscation": false})),
        ("max_output_tokens", json!(5)),
        ("temperature", json!(0.5)),
        ("top_p", json!(1)),
        ("tools", json!([tool])),
        (
            "tools",
            json!([{"type": "function", "name": "f", "description": null, "parameters": {"type": "object"}, "strict": true,
            "allowed_callers": ["direct"], "async": false, "defer_loading": null}]),
        ),
        ("tool_choice", json!("auto")),
        ("tool_choice", json!("none")),
        ("parallel_tool_calls", json!(false)),
        ("text", json!({"format": {"type": "text"}, "verbosity": "low"})),
        (
            "text",
            json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true, "description": "d"}}),
        ),
        ("include", json!(["message.output_text.logprobs"])),
        ("top_logprobs", json!(0)),
        ("service_tier", json!("auto")),
        ("metadata", json!({"a": "b"})),
        ("truncation", json!("disabled")),
        ("user", json!("u")),
        ("safety_identifier", json!("s")),
        ("prompt_cache_key", json!("k")),
        ("prompt_cache_retention", json!("24h")),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("background", json!(false)),
    ] {
        let read = read(&with(name, value.clone()));
        assert!(read.is_ok(), "{name}: {:?}", read.err());
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let text = |text: Value| with("text", text);
    for (body, expected) in [
        (with("background", json!(true)), "background"),
        (with("conversation", json!("conv_1")), "conversation"),
        (with("prompt", json!({"id": "p"})), "prompt"),
        (with("max_tool_calls", json!(3)), "max_tool_calls"),
        (with("context_management", json!([])), "context_management"),
        (with("reasoning", json!({"effort": "low"})), "reasoning.effort"),
        (with("reasoning", json!({"summary": "auto"})), "reasoning.summary"),
        (with("truncation", json!("auto")), "truncation"),
        (with("include", json!(["web_search_call.results"])), "include"),
        (
            with("tools", json!([{"type": "file_search", "vector_store_ids": ["NO"]}])),
            "tools[0].vector_store_ids",
        ),
        (with("top_logprobs", json!(2)), "top_logprobs"),
        (
            with("stream_options", json!({"include_obfuscation": true})),
            "stream_options.include_obfuscation",
        ),
        (with("service_tier", json!("scale")), "service_tier"),
        (with("previous_response_id", json!("no id")), "previous_response_id"),
        (with("tools", json!([{"type": "web_search"}])), "tools[0].type"),
        (
            with("tools", json!([{"type": "mcp", "server_label": "x"}])),
            "tools[0].type",
        ),
        (with("tools", json!([{"type": "function"}])), "tools[0].name"),
        (
            with("tools", json!([{"type": "function", "name": "f", "x": 1}])),
            "tools[0].x",
        ),
        (
            with(
                "tools",
                json!([{"type": "function", "name": "f", "defer_loading": true}]),
            ),
            "tools[0].defer_loading",
        ),
        (with("tool_choice", json!("any")), "tool_choice"),
        (
            with(
                "tool_choice",
                json!({"type": "allowed_tools", "mode": "auto", "tools": []}),
            ),
            "tool_choice",
        ),
        (with("metadata", json!({"a": "x".repeat(513)})), "metadata"),
        (text(json!({"verbosity": "loud"})), "text.verbosity"),
        (
            text(json!({"format": {"type": "json_schema", "name": "a b", "schema": {}}})),
            "text.format.name",
        ),
        (text(json!({"format": {"type": "grammar"}})), "text.format.type"),
        (with("input", json!([{"type": "mcp_call", "id": "x"}])), "input[0].type"),
        (
            with(
                "input",
                json!([{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}]),
            ),
            "input[1].role",
        ),
        (with("input", json!([{"role": "user"}])), "input[0].content"),
        (
            with("input", json!([{"role": "user", "content": [{"type": "input_image"}]}])),
            "input[0].content[0].type",
        ),
        (
            with("input", json!([{"role": "user", "content": [{"type": "input_text"}]}])),
            "input[0].content[0].text",
        ),
        (
            with(
                "input",
                json!([{"type": "function_call", "name": "f", "arguments": "{}"}]),
            ),
            "input[0].call_id",
        ),
        (
            with(
                "input",
                json!([{"type": "function_call_output", "call_id": 1, "output": "x"}]),
            ),
            "input[0].call_id",
        ),
        (with("input", json!(["Hello"])), "input[0]"),
    ] {
        assert_eq!(param(&body), expected, "{body}");
    }
}

fn own_item(given: GivenItem) -> ResponseItem {
    match given {
        GivenItem::Item(item) => item,
        GivenItem::Reference(reference) => panic!("refers to {}", reference.id),
    }
}

#[test]
fn items_become_the_messages_of_a_chat() {
    let body = with(
        "input",
        json!([
            {"role": "developer", "content": "Be brief."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": null},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": null,
                "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "find", "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "ask", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "4711"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "yes"}]},
        ]),
    );
    let read = read(&body).unwrap();
    let items: Vec<_> = read.input.into_iter().map(own_item).collect();
    let own = super::super::input::messages(&items);
    let (messages, sources) = request::join(Some("Be kind.".into()), Vec::new(), own);
    let outline: Vec<_> = messages
        .iter()
        .map(|message| (message.role.as_str(), message.content.as_deref().unwrap_or_default()))
        .collect();
    let expected = [
        ("system", "Be kind."),
        ("developer", "Be brief."),
        ("user", "a\nb"),
        ("assistant", "I look."),
        ("tool", "4711"),
        ("tool", "yes"),
    ];
    assert_eq!(outline, expected);
    let call = |id: &str, name: &str| ToolCall {
        id: Some(id.into()),
        name: name.into(),
        arguments: "{}".into(),
    };
    let answered: Vec<_> = messages
        .iter()
        .filter_map(|message| message.tool_call_id.as_deref())
        .collect();
    assert_eq!(answered, ["c1", "c2"]);
    assert_eq!(messages[3].tool_calls, [call("c1", "find"), call("c2", "ask")]);
    assert_eq!(
        sources,
        [
            "instructions",
            "input[0]",
            "input[1]",
            "input[3]",
            "input[6]",
            "input[7]"
        ]
    );
    assert!(items.iter().all(|item| item.id().contains("_in")));
}

#[test]
fn a_chat_is_asked_what_the_request_says() {
    let tool: Value = serde_json::from_str(TOOL).unwrap();
    let mut body = with("tools", json!([tool]));
    body["tool_choice"] = json!({"type": "function", "name": "find"});
    body["max_output_tokens"] = json!(9);
    let read_all = read(&body).unwrap();
    assert_eq!(read_all.chat.tools[0].name, "find");
    assert_eq!(read_all.chat.tool_choice, Some(ToolChoice::Named("find".into())));
    assert_eq!(read_all.chat.max_tokens, Some(9));
    assert_eq!(
        serde_json::to_value(&read_all.response.tool_choice).unwrap(),
        body["tool_choice"]
    );
    let schema = json!({"type": "object"});
    let body = with(
        "text",
        json!({"format": {"type": "json_schema", "name": "n", "schema": schema}}),
    );
    assert_eq!(read(&body).unwrap().chat.format, Some(OutputFormat::JsonSchema(schema)));
    assert!(read(&with("store", Value::Null)).unwrap().response.store);
}

#[test]
fn errors_of_a_chat_have_the_names_of_the_request() {
    let sources = ["instructions".into(), "previous_response_id".into(), "input[2]".into()];
    for (param, text, renamed, expected) in [
        (
            "max_tokens",
            "max_tokens must be at least 1",
            "max_output_tokens",
            "max_output_tokens must be at least 1",
        ),
        (
            "response_format",
            "response_format cannot be",
            "text.format",
            "text.format cannot be",
        ),
        (
            "tools[1].function.name",
            "two functions",
            "tools[1].name",
            "two functions",
        ),
        (
            "messages",
            "messages must have 1 to 256",
            "input",
            "messages must have 1 to 256",
        ),
        (
            "messages[2].content",
            "messages[2].content: x",
            "input[2].content",
            "input[2].content: x",
        ),
        (
            "messages[1].content",
            "messages[1].content: x",
            "previous_response_id",
            "previous_response_id: x",
        ),
        (
            "temperature",
            "temperature must be",
            "temperature",
            "temperature must be",
        ),
        ("model", "there is no model max", "model", "there is no model max"),
    ] {
        let error = request::rename(Error::invalid(text).with_param(param), &sources);
        assert_eq!((error.param(), error.message()), (Some(renamed), expected));
    }
    let busy = request::rename(Error::new(ErrorKind::Busy, "full").with_param("max_tokens"), &sources);
    assert_eq!(busy.param(), Some("max_tokens"), "only what is the request's fault");
}
