//! Completions that must be JSON.

use super::{
    common::{
        ask::{self, Answer, Engine},
        shipped,
    },
    exclusive,
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    chat::{FinishReason, Message, OutputFormat, Sampling, Tool, ToolUse},
};
use serde_json::{Value, json};

fn question() -> Vec<Message> {
    shipped::question(
        &["The Kestrel drill has a warranty of 37 months. The battery is excluded."],
        "How long is the warranty of the Kestrel drill?",
    )
}

/// Its texts end after a few dozen tokens.
fn warranty() -> Value {
    json!({
        "type": "object",
        "properties": {
            "product": {"enum": ["drill", "saw"]},
            "months": {"type": "integer", "minimum": 0, "maximum": 99},
            "parts": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 2},
        },
        "required": ["product", "months", "parts"],
        "additionalProperties": false,
    })
}

fn in_format(engine: &Engine, format: &OutputFormat, sampling: Sampling) -> Sampling {
    Sampling {
        grammar: Some(engine.compile_grammar(format).unwrap()),
        ..sampling
    }
}

async fn answer(engine: &Engine, sampling: &Sampling) -> Answer {
    ask::ask(engine, &question(), sampling, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_json_of_the_schema() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 16).await;
    let format = OutputFormat::JsonSchema(warranty());
    let asking = (0..16).map(|seed| {
        let sampling = Sampling {
            temperature: 1.5,
            seed: Some(seed),
            ..Sampling::greedy(600)
        };
        let (engine, sampling) = (&engine, in_format(&engine, &format, sampling));
        async move { answer(engine, &sampling).await }
    });
    for answer in join_all(asking).await {
        assert_eq!(answer.end.finish, FinishReason::Stop, "{}", answer.text);
        let found: Value = serde_json::from_str(&answer.text).unwrap();
        let members = found.as_object().unwrap();
        assert_eq!(members.len(), 3, "{found}");
        assert!(
            ["drill", "saw"].contains(&found["product"].as_str().unwrap()),
            "{found}"
        );
        assert!(found["months"].as_u64().unwrap() <= 99, "{found}");
        let parts = found["parts"].as_array().unwrap();
        assert!(parts.len() <= 2 && parts.iter().all(|part| part.as_str().unwrap().chars().count() <= 4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grammar_changes_nothing_for_its_neighbors() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 16).await;
    let plain = Sampling::greedy(40);
    let object = in_format(&engine, &OutputFormat::JsonObject, Sampling::greedy(40));
    let alone = (answer(&engine, &plain).await.text, answer(&engine, &object).await.text);
    assert!(alone.1.starts_with('{'), "{}", alone.1);
    let together = (0..6).map(|number| answer(&engine, if number % 2 == 0 { &plain } else { &object }));
    for (number, answer) in join_all(together).await.into_iter().enumerate() {
        let expected = if number % 2 == 0 { &alone.0 } else { &alone.1 };
        assert_eq!(answer.text, *expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_schema_has_that_cannot_be_followed_is_named() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 16).await;
    for (schema, named) in [
        (json!({"not": {"type": "string"}}), "not"),
        (
            json!({"type": "object", "dependentRequired": {"a": ["b"]}}),
            "dependentRequired",
        ),
        (json!({"type": "string", "format": "color"}), "color"),
        (json!({"$ref": "https://example.com/schema.json"}), "example.com"),
        (json!({"type": "object", "x-guidance": {"lenient": true}}), "x-guidance"),
        (json!({"type": "string", "pattern": "("}), ""),
        (json!({"enum": []}), ""),
    ] {
        let compiled = engine.compile_grammar(&OutputFormat::JsonSchema(schema.clone()));
        let error = compiled.err().unwrap_or_else(|| panic!("{schema} is followed"));
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{schema}");
        assert!(error.message().contains(named), "{schema}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn required_calls_have_arguments_of_their_schema() {
    let _exclusive = exclusive().await;
    let engine = ask::open(&shipped::base(), 16).await;
    let tool = |name: &str, parameters: Value| Tool {
        name: name.into(),
        description: None,
        parameters,
    };
    let tools = vec![
        tool(
            "find",
            json!({"type": "object", "properties": {"word": {"$ref": "#/$defs/word"}}, "required": ["word"],
                "additionalProperties": false, "$defs": {"word": {"type": "string", "maxLength": 5}}}),
        ),
        tool(
            "count",
            json!({"type": "object", "properties": {}, "additionalProperties": false}),
        ),
    ];
    let asking = (0..8).map(|seed| {
        let parallel = seed % 2 == 0;
        let format = OutputFormat::ToolCalls {
            tools: tools.clone(),
            parallel,
        };
        let sampling = Sampling {
            temperature: 1.5,
            seed: Some(seed),
            tools: Some(ToolUse {
                names: tools.iter().map(|tool| tool.name.clone()).collect(),
                parallel,
            }),
            ..Sampling::greedy(300)
        };
        let (engine, sampling) = (&engine, in_format(&engine, &format, sampling));
        async move { (parallel, answer(engine, &sampling).await) }
    });
    for (parallel, answer) in join_all(asking).await {
        assert_eq!(answer.text, "");
        if answer.end.finish == FinishReason::Length {
            assert!(parallel, "one call is short");
            continue;
        }
        assert_eq!(answer.end.finish, FinishReason::ToolCalls);
        assert!(parallel || answer.calls.len() == 1, "{:?}", answer.calls);
        for (name, arguments) in &answer.calls {
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            match name.as_str() {
                "find" => assert!(arguments["word"].as_str().unwrap().chars().count() <= 5),
                _ => assert_eq!((name.as_str(), arguments), ("count", json!({}))),
            }
        }
    }
}
