//! Requests as they are read, and answers as a whole and streamed.

use super::{AnswerHeader, blocks::BlockOptions, collect::collect, request, stream};
use crate::{
    chat::tests::{end, reasoning, text},
    sse::Silence,
};
use axum::body::to_bytes;
use futures::{future::ready, stream::iter};
use riad_core::{
    Error, ErrorKind, Result,
    chat::{FinishReason, OutputFormat, ToolCallPiece},
};
use riad_services::chat::{ChatEvent, ToolChoice};
use serde_json::{Value, json};
use std::time::Duration;

fn read(more: Value) -> Result<request::Read> {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request::read(serde_json::from_value(body).unwrap())
}

fn refusal(more: Value) -> String {
    let error = read(more).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let param = error.param().unwrap().to_owned();
    assert!(error.message().contains(&param), "{error}");
    param
}

/// Role, content, names of calls, and the call that is answered.
fn outline(read: &request::Read) -> Vec<String> {
    let messages = read.request.messages.iter();
    messages
        .map(|message| {
            let calls = message.tool_calls.iter();
            let calls = calls.map(|call| {
                format!(
                    " {}={}({})",
                    call.id.as_deref().unwrap_or_default(),
                    call.name,
                    call.arguments
                )
            });
            let id = message
                .tool_call_id
                .as_ref()
                .map(|id| format!(" for {id}"))
                .unwrap_or_default();
            format!(
                "{}: {:?}{}{id}",
                message.role,
                message.content,
                calls.collect::<String>()
            )
        })
        .collect()
}

#[test]
fn blocks_become_messages_in_their_order() {
    let text = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let use_of = |id: &str| json!({"type": "tool_use", "id": id, "name": "look_up", "input": {"key": id}});
    let body = json!({
        "system": [text("Be brief."), text("Be kind.")],
        "messages": [
            {"role": "user", "content": [text("a"), text("b")]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm", "signature": ""},
                {"type": "redacted_thinking", "data": "xx"},
                text("I look."), use_of("t1"), use_of("t2"),
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t2", "content": [text("x"), text("y")], "is_error": true},
                {"type": "tool_result", "tool_use_id": "t1", "content": "z", "is_error": false},
                {"type": "tool_result", "tool_use_id": "t1"},
                text(" "),
            ]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": ""}]},
            {"role": "system", "content": "Be quick."},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t3", "content": null, "is_error": null}, text("Thanks")]},
        ],
    });
    let read = read(body).unwrap();
    assert_eq!(
        outline(&read),
        [
            "system: Some(\"Be brief.\\nBe kind.\")",
            "user: Some(\"a\\nb\")",
            "assistant: Some(\"I look.\") t1=look_up({\"key\":\"t1\"}) t2=look_up({\"key\":\"t2\"})",
            "tool: Some(\"The tool failed:\\nx\\ny\") for t2",
            "tool: Some(\"z\") for t1",
            "tool: Some(\"\") for t1",
            "system: Some(\"Be quick.\")",
            "tool: Some(\"\") for t3",
            "user: Some(\"Thanks\")",
        ]
    );
    assert_eq!(
        read.names.messages,
        [
            "system",
            "messages[0].content[0]",
            "messages[1].content",
            "messages[2].content[0]",
            "messages[2].content[1]",
            "messages[2].content[2]",
            "messages[4].content",
            "messages[5].content[0]",
            "messages[5].content[1]",
        ]
    );
}

#[test]
fn the_block_at_fault_is_named() {
    let user =
        |block: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, block]}]});
    let assistant = |block: Value| json!({"messages": [{"role": "assistant", "content": [block]}]});
    for (body, param) in [
        (
            user(json!({"type": "image", "source": {}})),
            "messages[0].content[1].type",
        ),
        (
            user(json!({"type": "document", "source": {}})),
            "messages[0].content[1].type",
        ),
        (user(json!({"type": "tool_use"})), "messages[0].content[1].type"),
        (user(json!({"type": "text"})), "messages[0].content[1].text"),
        (
            user(json!({"type": "tool_result"})),
            "messages[0].content[1].tool_use_id",
        ),
        (
            user(json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image"}]})),
            "messages[0].content[1].content[0].type",
        ),
        (
            assistant(json!({"type": "tool_result", "tool_use_id": "a"})),
            "messages[0].content[0].type",
        ),
        (
            assistant(json!({"type": "server_tool_use"})),
            "messages[0].content[0].type",
        ),
        (
            assistant(json!({"type": "tool_use", "name": "a", "input": {}})),
            "messages[0].content[0].id",
        ),
        (
            assistant(json!({"type": "tool_use", "id": "a", "input": {}})),
            "messages[0].content[0].name",
        ),
        (
            assistant(json!({"type": "tool_use", "id": "a", "name": "a"})),
            "messages[0].content[0].input",
        ),
        (
            assistant(json!({"type": "tool_use", "id": "a", "name": "a", "input": "{}"})),
            "messages[0].content[0].input",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "a"}]}),
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "user", "content": []}]}),
            "messages[0].content",
        ),
        (json!({"messages": []}), "messages"),
        (json!({"system": [{"type": "image"}]}), "system[0].type"),
    ] {
        assert_eq!(refusal(body), param);
    }
}

#[test]
fn members_that_would_change_the_answer_are_refused_by_name() {
    for (more, param) in [
        (json!({"mcp_servers": [{"name": "a"}]}), "mcp_servers"),
        (json!({"container": "c"}), "container"),
        (
            json!({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
            "context_management",
        ),
        (json!({"compaction": {}}), "compaction"),
        (json!({"thread": {}}), "thread"),
        (json!({"inference_geo": "us"}), "inference_geo"),
        (json!({"speed": "fast"}), "speed"),
        (json!({"temperature": 1.5}), "temperature"),
        (json!({"service_tier": "priority"}), "service_tier"),
        (json!({"thinking": {"type": "deep"}}), "thinking.type"),
        (
            json!({"thinking": {"type": "enabled", "display": "all"}}),
            "thinking.display",
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools[0].type",
        ),
        (json!({"tools": [{"type": "custom"}]}), "tools[0].name"),
        (json!({"tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (json!({"tool_choice": {"type": "required"}}), "tool_choice.type"),
        (
            json!({"output_config": {"format": {"type": "grammar"}}}),
            "output_config.format.type",
        ),
        (
            json!({"output_format": {"type": "json_schema"}}),
            "output_format.schema",
        ),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": {}}}, "output_format": {"type": "json_schema", "schema": {}}}),
            "output_format",
        ),
    ] {
        assert_eq!(refusal(more), param);
    }
    for more in [
        json!({"mcp_servers": [], "speed": "standard", "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}),
        json!({"cache_control": {"type": "ephemeral"}, "metadata": {"user_id": "u"}, "service_tier": "auto", "diagnostics": {}, "anything": 1}),
        json!({"service_tier": "standard_only", "output_config": {"effort": "high"}}),
    ] {
        assert_eq!(read(more).unwrap().request, read(json!({})).unwrap().request);
    }
}

#[test]
fn what_a_chat_has_under_another_name_is_mapped() {
    let tool = json!({"name": "look_up", "input_schema": {"type": "object"}, "strict": true});
    let schema = json!({"type": "json_schema", "schema": {"type": "object"}});
    let read = read(json!({
        "stop_sequences": ["END"], "top_k": 5, "tools": [tool], "output_config": {"format": schema}, "stream": true,
        "tool_choice": {"type": "tool", "name": "look_up", "disable_parallel_tool_use": true},
    }))
    .unwrap();
    let request = &read.request;
    assert_eq!(
        (request.stop.as_slice(), request.top_k),
        (&["END".to_owned()][..], Some(5))
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("look_up".into())));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(
        request.format,
        Some(OutputFormat::JsonSchema(json!({"type": "object"})))
    );
    assert_eq!(request.tools[0].parameters, Some(json!({"type": "object"})));
    assert!(read.stream && read.blocks.pieces_of_input && !read.blocks.thinking);
    for (thinking, shown) in [
        (json!(null), false),
        (json!({"type": "disabled"}), false),
        (json!({"type": "enabled", "budget_tokens": 1024}), true),
        (json!({"type": "adaptive"}), true),
        (json!({"type": "adaptive", "display": "omitted"}), false),
    ] {
        let read = self::read(json!({ "thinking": thinking })).unwrap();
        assert_eq!(read.blocks.thinking, shown, "{thinking}");
    }
}

fn call(call: u32, name: Option<&str>, arguments: &str) -> Result<ChatEvent> {
    Ok(ChatEvent::ToolCall {
        choice: 0,
        piece: ToolCallPiece {
            call,
            name: name.map(str::to_owned),
            arguments: arguments.into(),
        },
    })
}

fn choice_end(finish: FinishReason, stop: Option<&str>) -> Result<ChatEvent> {
    Ok(ChatEvent::ChoiceEnd {
        choice: 0,
        finish,
        stop: stop.map(str::to_owned),
        citations: Vec::new(),
    })
}

/// Thinking, a text and two calls.
fn events() -> Vec<Result<ChatEvent>> {
    vec![
        reasoning(0, "I "),
        reasoning(0, "think"),
        text(0, "Let me"),
        text(0, " look."),
        call(0, Some("look_up"), ""),
        call(0, None, "{\"a\":"),
        call(0, None, "1}"),
        call(1, Some("ask"), ""),
        choice_end(FinishReason::ToolCalls, None),
        Ok(end(Some(6))),
    ]
}

fn header(options: BlockOptions) -> AnswerHeader {
    AnswerHeader {
        id: "x".into(),
        model: "m".into(),
        blocks: options,
    }
}

const SHOWN: BlockOptions = BlockOptions {
    thinking: true,
    pieces_of_input: true,
};

async fn whole(events: Vec<Result<ChatEvent>>, options: BlockOptions) -> Value {
    serde_json::to_value(collect(iter(events), &header(options)).await.unwrap()).unwrap()
}

/// Names and data of a stream's events, without Riad's additions.
async fn streamed(events: Vec<Result<ChatEvent>>, options: BlockOptions) -> Vec<Value> {
    let starting = ready(Ok((5, iter(events))));
    let response = stream::respond(starting, Silence::new(Duration::from_secs(60), ""), header(options))
        .await
        .unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let written = str::from_utf8(&body).unwrap().trim_end().split("\n\n");
    written
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let mut data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            data.as_object_mut().unwrap().remove("riad");
            data
        })
        .collect()
}

#[tokio::test]
async fn a_stream_has_its_events_in_anthropics_order() {
    let usage = |input: u64, output: u64| json!({"input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output});
    let mut end = usage(5, 9);
    end["output_tokens_details"] = json!({"thinking_tokens": 6});
    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let start =
        |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let expected = [
        json!({"type": "message_start", "message": {
            "id": "msg_x", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null,
            "stop_sequence": null, "usage": usage(5, 0),
        }}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "I "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "think"})),
        delta(0, json!({"type": "signature_delta", "signature": ""})),
        stop(0),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Let me"})),
        delta(1, json!({"type": "text_delta", "text": " look."})),
        stop(1),
        start(
            2,
            json!({"type": "tool_use", "id": "toolu_x_0", "name": "look_up", "input": {}}),
        ),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "1}"})),
        stop(2),
        start(
            3,
            json!({"type": "tool_use", "id": "toolu_x_1", "name": "ask", "input": {}}),
        ),
        stop(3),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": end}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(streamed(events(), SHOWN).await, expected);
}

#[tokio::test]
async fn a_whole_answer_has_the_same_blocks() {
    let answer = whole(events(), SHOWN).await;
    assert_eq!(
        answer["content"],
        json!([
            {"type": "thinking", "thinking": "I think", "signature": ""},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_x_0", "name": "look_up", "input": {"a": 1}},
            {"type": "tool_use", "id": "toolu_x_1", "name": "ask", "input": {}},
        ])
    );
    assert_eq!(
        (&answer["id"], &answer["stop_reason"]),
        (&json!("msg_x"), &json!("tool_use"))
    );
    assert_eq!(answer["usage"]["output_tokens_details"]["thinking_tokens"], 6);
    assert!(answer["riad"]["receipt"].is_object());
    // Who did not ask for it reads no thinking.
    let answer = whole(events(), BlockOptions::default()).await;
    assert_eq!(answer["content"][0], json!({"type": "text", "text": "Let me look."}));
    let events = streamed(events(), BlockOptions::default()).await;
    assert_eq!(events[1]["content_block"]["type"], "text");
}

#[tokio::test]
async fn what_the_model_wrote_badly_is_an_object_all_the_same() {
    for (written, input) in [
        ("{\"a\":1}", json!({"a": 1})),
        (" ", json!({})),
        ("{\"a\":", json!({"INVALID_JSON": "{\"a\":"})),
        ("[1]", json!({"INVALID_JSON": "[1]"})),
        ("nonsense", json!({"INVALID_JSON": "nonsense"})),
    ] {
        let events = || {
            vec![
                call(0, Some("look_up"), ""),
                call(0, None, written),
                choice_end(FinishReason::Length, None),
                Ok(end(None)),
            ]
        };
        let answer = whole(events(), BlockOptions::default()).await;
        assert_eq!(answer["content"][0]["input"], input);
        assert_eq!(answer["stop_reason"], "max_tokens");
        assert!(answer["usage"].get("output_tokens_details").is_none());
        let events = streamed(events(), BlockOptions::default()).await;
        let pieces: Vec<_> = events
            .iter()
            .filter_map(|event| event["delta"]["partial_json"].as_str())
            .collect();
        match input == json!({}) {
            true => assert!(pieces.is_empty()),
            false => assert_eq!(serde_json::from_str::<Value>(pieces[0]).unwrap(), input),
        }
    }
}

#[tokio::test]
async fn the_reason_says_which_stop_sequence_was_met() {
    for (finish, stop, reason, sequence) in [
        (FinishReason::Stop, None, "end_turn", json!(null)),
        (FinishReason::Stop, Some("END"), "stop_sequence", json!("END")),
        (FinishReason::Length, None, "max_tokens", json!(null)),
    ] {
        let events = || vec![text(0, "Yes"), choice_end(finish, stop), Ok(end(None))];
        let answer = whole(events(), SHOWN).await;
        assert_eq!(
            (&answer["stop_reason"], &answer["stop_sequence"]),
            (&json!(reason), &sequence)
        );
        let events = streamed(events(), SHOWN).await;
        let delta = &events[events.len() - 2]["delta"];
        assert_eq!(
            (&delta["stop_reason"], &delta["stop_sequence"]),
            (&json!(reason), &sequence)
        );
    }
}

#[tokio::test]
async fn a_stream_that_fails_says_so_and_ends() {
    let failed = Err(Error::new(ErrorKind::Unavailable, "gone"));
    let events = streamed(vec![text(0, "Yes"), failed], SHOWN).await;
    let error = events.last().unwrap();
    assert_eq!(error["error"], json!({"type": "overloaded_error", "message": "gone"}));
    assert!(events.iter().all(|event| event["type"] != "message_stop"));
}
