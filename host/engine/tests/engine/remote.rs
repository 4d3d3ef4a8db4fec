//! A model that runs in other servers, which behave well or badly. Not here: which answer is right, because they say what they are told.

#[path = "remote/adapters.rs"]
mod adapters;
#[path = "remote/faults.rs"]
mod faults;

use super::common::{
    ask::{self, Engine, ReportedUsage},
    shipped::{self, Template},
};
use riad_core::{
    Error,
    adapter::AdapterSource,
    chat::{FinishReason, Message, OutputFormat, Sampling, TokenUsage, ToolUse},
    ports::EnginePermit,
};
use riad_engine::{AdapterFolderConfig, RemoteConfig};
use riad_fakes::model_server::{Fault, ModelServer, Script};
use serde_json::json;
use std::{path::Path, time::Duration};

/// `eos_token_id` of the shipped tokenizer.
const END: u32 = 5;
const MODEL: &str = "served-model";
/// Of the engine under test.
const INSTANCE: &str = "one";
const TEXT: &str = "The café opens at 7:30. [1]";

/// An answer of this text, a token in an event, and its end.
fn saying(text: &str) -> Script {
    let tokens = Template::read(&shipped::base()).pieces(text);
    let mut events: Vec<Vec<u32>> = tokens.into_iter().map(|token| vec![token]).collect();
    events.push(vec![END]);
    Script {
        texts: Vec::new(),
        events,
        finish: "stop",
        fault: Fault::None,
        pause: Duration::ZERO,
    }
}

fn with(fault: Fault) -> Script {
    Script { fault, ..saying(TEXT) }
}

async fn open(servers: &[&ModelServer], adapters: Option<&Path>) -> Engine {
    let mut config = ask::config(&shipped::base(), 4);
    config.remote = Some(RemoteConfig {
        endpoints: servers.iter().map(|server| server.base()).collect(),
        model: MODEL.to_owned(),
        key: None,
        instance: INSTANCE.to_owned(),
        adapter_folder: adapters.map(|here| AdapterFolderConfig {
            here: here.to_owned(),
            there: here.to_str().unwrap().to_owned(),
        }),
        adapters_per_server: 1,
    });
    riad_engine::open(config).await.unwrap()
}

fn question() -> Vec<Message> {
    shipped::question(&["The café opens at 7:30."], "When does the café open?")
}

async fn ask(engine: &Engine, sampling: &Sampling) -> Result<ask::Answer, Error> {
    ask::ask(engine, &question(), sampling, None).await
}

async fn ask_with(engine: &Engine, adapter: &AdapterSource) -> Result<ask::Answer, Error> {
    ask::ask(engine, &question(), &Sampling::greedy(64), Some(adapter)).await
}

/// What an answer that fails is billed with.
async fn failing(engine: &Engine) -> (Error, String, TokenUsage) {
    use futures::StreamExt;
    use riad_core::ports::GenerationEvent;
    let (generation, reported): (_, ReportedUsage) =
        ask::reporting_generation(engine, &question(), &Sampling::greedy(64), None);
    let mut stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
    let mut text = String::new();
    let error = loop {
        match stream.next().await.expect("an error at the end") {
            Ok(GenerationEvent::Piece(piece)) => text += &piece.text,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    (error, text, reported.wait().await)
}

fn prompt_tokens(engine: &Engine) -> u32 {
    engine.encode(&question()).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_what_the_servers_tokens_say() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    let answer = ask(&engine, &Sampling::greedy(64)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish()), (TEXT, FinishReason::Stop));
    let usage = answer.end.usage;
    assert_eq!(usage.prompt_tokens, prompt_tokens(&engine));
    assert_eq!(usage.completion_tokens as usize, saying(TEXT).events.len());
    assert_eq!(usage.cached_tokens, 1);
    let counted = engine.counted();
    assert_eq!(counted.completion, u64::from(usage.completion_tokens));

    let asked = server.asked().remove(0);
    assert_eq!(asked["model"], MODEL);
    assert_eq!(asked["prompt"], json!(engine.encode(&question()).unwrap().tokens));
    assert_eq!((&asked["max_tokens"], &asked["stream"]), (&json!(64), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sampling_is_passed_on() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    let sampling = Sampling {
        temperature: 0.5,
        top_p: Some(0.25),
        top_k: Some(7),
        min_p: Some(0.125),
        frequency_penalty: 0.5,
        presence_penalty: -0.5,
        repetition_penalty: Some(1.5),
        seed: Some(u64::MAX),
        logit_bias: [(9, -100.0)].into(),
        ..Sampling::greedy(3)
    };
    let answer = ask(&engine, &sampling).await.unwrap();
    assert_eq!((answer.tokens(), answer.finish()), (3, FinishReason::Length));
    let asked = server.asked().remove(0);
    let expected = json!({
        "temperature": 0.5, "top_p": 0.25, "top_k": 7, "min_p": 0.125, "frequency_penalty": 0.5, "presence_penalty": -0.5,
        "repetition_penalty": 1.5, "repeat_penalty": 1.5, "seed": i64::MAX, "logit_bias": {"9": -100.0}, "max_tokens": 3,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&asked[name], value, "{name}");
    }
    assert!(asked.get("stop").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_serve_one_request_after_the_other() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    for _ in 0..6 {
        ask(&engine, &Sampling::greedy(64)).await.unwrap();
        // The rest of the answer is read meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // One may have been made by the look at the server's models.
    assert!(server.connections() <= 2, "{} connections", server.connections());
}

/// vLLM takes for what is left out what the model's folder recommends, llama.cpp what it likes.
#[tokio::test(flavor = "multi_thread")]
async fn sampling_that_was_not_asked_is_switched_off() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    ask(&engine, &Sampling::greedy(3)).await.unwrap();
    let asked = server.asked().remove(0);
    let expected = json!({
        "top_p": 1.0, "top_k": -1, "min_p": 0.0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "repetition_penalty": 1.0,
        "repeat_penalty": 1.0,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&asked[name], value, "{name}");
    }
    assert_eq!(asked["cache_prompt"], false, "llama.cpp's cache is everybody's");
}

/// The server stops where this engine does, so that its usage comes; but not where only this engine knows what is content.
#[tokio::test(flavor = "multi_thread")]
async fn stop_sequences_are_passed_on_where_all_is_content() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    let plain = Sampling {
        stop: vec!["opens".to_owned()],
        ..Sampling::greedy(64)
    };
    let with_tools = Sampling {
        tools: Some(ToolUse {
            names: vec!["find".to_owned()],
            parallel: true,
        }),
        ..plain.clone()
    };
    for sampling in [plain, with_tools] {
        ask(&engine, &sampling).await.unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked[0]["stop"], json!(["opens"]));
    assert_eq!(asked[0]["include_stop_str_in_output"], true);
    assert!(asked[1].get("stop").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sequence_ends_the_answer_and_the_connection() {
    let server = ModelServer::start(Script {
        pause: Duration::from_millis(20),
        ..saying(&TEXT.repeat(20))
    })
    .await;
    let engine = open(&[&server], None).await;
    let sampling = Sampling {
        stop: vec!["opens".to_owned()],
        ..Sampling::greedy(500)
    };
    let answer = ask(&engine, &sampling).await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.end.stop.as_deref()),
        ("The café ", Some("opens"))
    );
    assert!((answer.tokens() as usize) < saying(TEXT).events.len());
    closed(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_closes_the_connection_and_pays_for_what_came() {
    use futures::StreamExt;
    let server = ModelServer::start(Script {
        pause: Duration::from_millis(20),
        ..saying(&TEXT.repeat(20))
    })
    .await;
    let engine = open(&[&server], None).await;
    let (generation, reported) = ask::reporting_generation(&engine, &question(), &Sampling::greedy(500), None);
    let mut stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(engine.batch().decoding, 1);
    drop(stream);
    let usage = reported.wait().await;
    assert_eq!(usage.prompt_tokens, prompt_tokens(&engine));
    assert!((1..100).contains(&usage.completion_tokens), "{usage:?}");
    closed(&server).await;
    assert_eq!(engine.batch().decoding, 0);
}

async fn closed(server: &ModelServer) {
    for _ in 0..1000 {
        if server.open() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the connection stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn logprobs_are_those_of_the_server() {
    let server = ModelServer::start(saying("a b")).await;
    let engine = open(&[&server], None).await;
    let sampling = Sampling {
        logprobs: Some(2),
        ..Sampling::greedy(64)
    };
    let answer = ask(&engine, &sampling).await.unwrap();
    assert_eq!(answer.text, "a b");
    for scored in &answer.logprobs {
        assert_eq!((scored.token.logprob, scored.top.len()), (-1.0, 2));
        assert_eq!((&scored.top[0], scored.top[1].logprob), (&scored.token, -2.0));
    }
    assert!(!answer.logprobs.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_tools_are_found() {
    let call = "<tool_call>\n{\"name\": \"find\", \"arguments\": {\"id\": 7}}\n</tool_call>";
    let server = ModelServer::start(saying(call)).await;
    let engine = open(&[&server], None).await;
    let sampling = Sampling {
        tools: Some(ToolUse {
            names: vec!["find".to_owned()],
            parallel: true,
        }),
        ..Sampling::greedy(200)
    };
    let answer = ask(&engine, &sampling).await.unwrap();
    assert_eq!(answer.calls, [("find".to_owned(), "{\"id\": 7}".to_owned())]);
    assert_eq!(answer.finish(), FinishReason::ToolCalls);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_format_is_an_error() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false});
    let server = ModelServer::start(saying("{}")).await;
    let engine = open(&[&server], None).await;
    for (text, format, is_good) in [
        ("{\"a\": 1}", OutputFormat::JsonSchema(schema.clone()), true),
        ("{\"a\": \"b\"}", OutputFormat::JsonSchema(schema.clone()), false),
        ("I cannot say.", OutputFormat::JsonSchema(schema), false),
        ("{}", OutputFormat::JsonObject, true),
        ("[]", OutputFormat::JsonObject, false),
    ] {
        server.answer(saying(text));
        let sampling = Sampling {
            grammar: Some(engine.compile_grammar(&format).unwrap()),
            ..Sampling::greedy(64)
        };
        let answer = ask(&engine, &sampling).await;
        assert_eq!(answer.is_ok(), is_good, "{text}: {answer:?}");
    }
    let asked = server.asked();
    assert_eq!(asked[0]["response_format"]["type"], "json_schema");
    assert_eq!(asked[3]["response_format"]["type"], "json_object");
    let forced = OutputFormat::ToolCalls {
        tools: Vec::new(),
        parallel: false,
    };
    assert!(engine.compile_grammar(&forced).is_err());
}

/// vLLM's prefix cache is one for all that it serves, but for the salt.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_share_no_prefix_in_the_servers_cache() {
    use riad_core::Account;
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    for (account, prefix_cache) in [(1, true), (1, true), (2, true), (1, false), (1, false)] {
        let (mut generation, _) = ask::reporting_generation(&engine, &question(), &Sampling::greedy(8), None);
        generation.account = Account::new(account);
        generation.prefix_cache = prefix_cache;
        let stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
        ask::read(stream).await.unwrap();
    }
    let salts: Vec<String> = server
        .asked()
        .iter()
        .map(|body| body["cache_salt"].to_string())
        .collect();
    assert_eq!(salts[0], salts[1]);
    let different: std::collections::BTreeSet<_> = salts.iter().collect();
    assert_eq!(different.len(), 4, "{salts:?}");
}
