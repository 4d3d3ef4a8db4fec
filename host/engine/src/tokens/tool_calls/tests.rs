//! Whole answers, cut into pieces of any size.

use super::*;

/// Content, and name and arguments of each call; in pieces of `size` letters.
fn parse(text: &str, size: usize) -> (String, Vec<(String, String)>) {
    let mut parser = ToolCallParser::new(vec!["find".into(), "add".into()]);
    let letters: Vec<char> = text.chars().collect();
    let mut found: Vec<Found> = letters
        .chunks(size)
        .map(|piece| parser.push(&piece.iter().collect::<String>()))
        .collect();
    found.push(parser.finish());
    let mut content = String::new();
    let mut calls: Vec<(String, String)> = Vec::new();
    for found in found {
        content += &found.content;
        for piece in found.calls {
            if let Some(name) = piece.name {
                assert_eq!(piece.call as usize, calls.len());
                calls.push((name, String::new()));
            }
            calls[piece.call as usize].1 += &piece.arguments;
        }
    }
    assert_eq!(parser.begun() as usize, calls.len());
    (content, calls)
}

fn check(text: &str, content: &str, calls: &[(&str, &str)]) {
    for size in [1, 2, 3, 7, 1000] {
        let (found, called) = parse(text, size);
        assert_eq!(found, content, "{text} by {size}");
        let called: Vec<_> = called
            .iter()
            .map(|(name, arguments)| (name.as_str(), arguments.as_str()))
            .collect();
        assert_eq!(called, calls, "{text} by {size}");
    }
}

#[test]
fn hermes() {
    let call = r#"<tool_call>
{"name": "find", "arguments": {"text": "a } \" { b", "n": [1, {"x": 2}]}}
</tool_call>"#;
    let arguments = r#"{"text": "a } \" { b", "n": [1, {"x": 2}]}"#;
    check(call, "", &[("find", arguments)]);
    check(
        &format!("Let me look.\n{call}\n{call}"),
        "Let me look.",
        &[("find", arguments); 2],
    );
    check("1 < 2, <tool_cal and <tool>", "1 < 2, <tool_cal and <tool>", &[]);
    check(
        r#"<tool_call>{"arguments": {"a": 1}, "name": "add"}</tool_call>"#,
        "",
        &[("add", r#"{"a":1}"#)],
    );
    check(
        r#"<tool_call>{"name": "add", "arguments": "{\"a\": 1}"}</tool_call> "#,
        "",
        &[("add", r#"{"a": 1}"#)],
    );
    check(r#"<tool_call>{"name": "add"}</tool_call>"#, "", &[("add", "{}")]);
    // A bracket too few costs no call, nor does what comes after JSON that is none.
    check(
        r#"<tool_call>
{"name": "find", "arguments": {"a": 1}
</tool_call>
<tool_call>
{"name": "add", "arguments": {"x": 2}}
</tool_call>"#,
        "",
        &[("find", r#"{"a": 1}"#), ("add", r#"{"x": 2}"#)],
    );
    check(
        r#"{"x":1}<tool_call>{"name":"find","arguments":{}}</tool_call>"#,
        r#"{"x":1}"#,
        &[("find", "{}")],
    );
    // What is no call is what the model wrote.
    for text in [
        r#"<tool_call>{"x": 1}"#,
        r#"<tool_call>{"name": "#,
        "No calls here. ",
        "Write \n <tool_call>, then the call, then </tool_call>.",
        "It ends with <tool_call> ",
    ] {
        check(text, text, &[]);
    }
    check(
        r#"First <tool_call> , then <tool_call>{"name": "add"}"#,
        "First <tool_call> , then",
        &[("add", "{}")],
    );
}

#[test]
fn llama() {
    let call = r#"{"name": "find", "parameters": {"text": "x"}}"#;
    check(call, "", &[("find", r#"{"text": "x"}"#)]);
    check(
        &format!("<|python_tag|>{call}; {call}"),
        "",
        &[("find", r#"{"text": "x"}"#); 2],
    );
    check(&format!("\n\n{call}"), "", &[("find", r#"{"text": "x"}"#)]);
    // JSON that calls none of the tools is an answer.
    for answer in [
        r#"{"name": "Ada", "parameters": {"age": 36}}"#,
        r#"{"months": 37}"#,
        "It is {so}.",
        " 37",
        " {\"months\": 37}",
        "<|python_tag|>print(1)",
    ] {
        check(answer, answer, &[]);
    }
}

#[test]
fn mistral() {
    let list = r#"[TOOL_CALLS][{"name": "find", "arguments": {"text": "x"}}, {"name": "add", "arguments": {}}]"#;
    check(list, "", &[("find", r#"{"text": "x"}"#), ("add", "{}")]);
    check(
        r#"Yes. [TOOL_CALLS]find[ARGS]{"text": "x"}[TOOL_CALLS]add[ARGS]{"a": {"b": 1}}"#,
        "Yes.",
        &[("find", r#"{"text": "x"}"#), ("add", r#"{"a": {"b": 1}}"#)],
    );
    check(r#"[TOOL_CALLS]add{"a": 1}"#, "", &[("add", r#"{"a": 1}"#)]);
    check(
        r#"[TOOL_CALLS]find[CALL_ID]Ab3dEf9hI[ARGS]{"text": "x"}[TOOL_CALLS]add[CALL_ID]123456789[ARGS]{}"#,
        "",
        &[("find", r#"{"text": "x"}"#), ("add", "{}")],
    );
    for text in [
        "[1, 2] and [TOOL",
        "[TOOL_CALLS] is a marker",
        "[TOOL_CALLS][ 1, 2]",
        "[TOOL_CALLS]sum[ARGS]{}",
    ] {
        check(text, text, &[]);
    }
}

#[test]
fn space_is_not_held_back_for_ever() {
    let mut parser = ToolCallParser::new(vec!["find".into()]);
    let content: usize = (0..1000).map(|_| parser.push("   ").content.len()).sum();
    assert!(content >= 3000 - SPACE_BYTES - 3, "{content}");
    assert_eq!(content + parser.finish().content.len(), 3000);
}

#[test]
fn arguments_are_passed_on_before_the_call_has_ended() {
    let mut parser = ToolCallParser::new(vec!["find".into()]);
    let begun = parser.push(r#"<tool_call>{"name": "find", "arguments": {"text": "ab"#);
    assert_eq!(begun.calls.len(), 2);
    assert_eq!(begun.calls[0].name.as_deref(), Some("find"));
    assert_eq!(begun.calls[1].arguments, r#"{"text": "ab"#);
    assert_eq!(parser.push("cd").calls[0].arguments, "cd");
    assert_eq!((parser.begun(), parser.complete()), (1, 0));
    parser.push(r#""}"#);
    assert_eq!((parser.begun(), parser.complete()), (1, 1));
}
