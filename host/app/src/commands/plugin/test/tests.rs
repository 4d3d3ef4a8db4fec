//! Cases against components that are committed: what a stage answers, what it uses, and what is said of differences.

use super::{case::Case, compare::differences, replay, runner::Runner};
use crate::{
    client::Client,
    commands::plugin::project::{self, Project},
};
use common::TestServer;
use riad_core::{Secret, chat::FinishReason, manifest::Manifest, plugin::Stage};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path};

#[path = "../../../../tests/common/mod.rs"]
mod common;

fn component(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("RIAD_SOURCE")).join(path)).unwrap()
}

async fn found(component: &[u8], stages: &[&str], case: Value) -> (Value, u32, u64) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!("[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nlanguage = \"rust\"\nstages = {stages:?}\n");
    project::write(&folder.path().join("riad.toml"), manifest).unwrap();
    let runner = Runner::new(&Project::open(folder.path()).unwrap(), component)
        .await
        .unwrap();
    fs::write(
        folder.path().join("plan.note"),
        "NOTE|Shifts|Ada on Monday.\nBob on Friday.",
    )
    .unwrap();
    let case: Case = serde_json::from_value(case).unwrap();
    let outcome = runner.run(&case).await.unwrap();
    (outcome.results(), outcome.host_calls(), outcome.fuel())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_runs_with_its_documents_sql_and_settings() {
    let case = json!({
        "name": "a price",
        "request": {"messages": [{"role": "user", "content": "What is the price of the Kestrel drill?"}]},
        "settings": {"prices": {"Kestrel drill": "89 euros"}},
        "documents": [{"id": "d1", "title": "Drills", "text": "The Kestrel drill is yellow."}],
        "sql": ["CREATE TABLE other (a)"],
        "output": ["Ask bob@exam", "ple.com. "],
    });
    let desk = component("plugins/price-desk/price-desk.wasm");
    let (results, host_calls, fuel) = found(&desk, &["prompting", "postprocessing"], case).await;
    let expected = json!({
        "prompting": {"passages": [{"document": "price-desk"}, {"document": "d1"}]},
        "postprocessing": {"pieces": ["Ask ", "[redacted e-mail]. ", ""]},
        "log": ["info: 1 prices for this question"],
    });
    assert_eq!(differences(&expected, &results), [], "{results}");
    assert!(host_calls > 2, "{host_calls}");
    assert!(fuel > 1000, "{fuel}");
    assert_eq!(results.get("retrieval"), None, "the plugin does not serve it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stages_of_a_document_read_the_cases_file() {
    let notes = component("tests/guests/notes.wasm");
    let stages = ["extraction", "chunking"];
    let (results, host_calls, fuel) = found(&notes, &stages, json!({"name": "a plan", "file": "plan.note"})).await;
    let expected = json!({
        "extraction": {
            "media_type": "text/x-note",
            "title": "Shifts",
            "sections": [{"kind": "rows", "text": "Ada on Monday.\nBob on Friday."}],
        },
        "chunking": {"pieces": [{"section": 0, "text": "Ada on Monday."}, {"section": 0, "text": "Bob on Friday."}]},
        "log": [],
    });
    assert_eq!(differences(&expected, &results), [], "{results}");
    assert_eq!(host_calls, 0);
    assert!(fuel > 100, "{fuel}");
    // Sections of the case's own stand for a file.
    let case = json!({"name": "a section", "sections": [{"kind": "prose", "text": "One."}], "title": "invent"});
    let (results, ..) = found(&notes, &stages, case).await;
    assert_eq!(results["chunking"]["error"], "plugin_failed");
    assert_eq!(results.get("extraction"), None);
    let (results, ..) = found(&notes, &["extraction"], json!({"name": "no note", "file": "riad.toml"})).await;
    assert_eq!(results["extraction"]["error"], "unsupported_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_stage_is_an_outcome_without_a_digest() {
    let case = json!({
        "name": "settings of another shape",
        "request": {"messages": [{"role": "user", "content": "Hello"}]},
        "settings": {"prices": 7},
    });
    let desk = component("plugins/price-desk/price-desk.wasm");
    let (results, ..) = found(&desk, &["prompting", "postprocessing"], case).await;
    assert_eq!(results["prompting"]["error"], "plugin_failed");
    let message = results["prompting"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("the prompting stage of plugin failed: the setting `prices`"),
        "{message}"
    );
    assert_eq!(results.get("postprocessing"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_offered_and_called() {
    let case = json!({
        "name": "an order",
        "request": {"messages": [{"role": "user", "content": "Where is it?"}]},
        "calls": [],
    });
    let (results, ..) = found(&component("tests/guests/order-tools.wasm"), &["tools"], case).await;
    let offered = results["tools"]["offered"].as_array().unwrap();
    assert_eq!(offered.len(), 2, "{results}");
    assert!(
        offered.iter().all(|tool| tool["parameters"]["type"] == "object"),
        "{results}"
    );
}

#[test]
fn a_case_with_a_wrong_member_is_refused() {
    let case = json!({"name": "a", "request": {"messages": []}, "expected": {}});
    let error = serde_json::from_value::<Case>(case).unwrap_err().to_string();
    assert!(error.contains("unknown field `expected`"), "{error}");
}

fn contents(case: &Case) -> Vec<&str> {
    let messages = case.request.as_ref().unwrap().messages.iter();
    messages.map(|message| message.content.as_str()).collect()
}

#[test]
fn what_a_replay_lacks_is_said() {
    let lines = |rest: &str| {
        let text = format!("[plugin]\nname = \"a\"\nversion = \"1.0.0\"\nlanguage = \"rust\"\n{rest}");
        replay::differences(&Manifest::from_toml(&text).unwrap())
    };
    assert_eq!(
        lines("stages = [\"retrieval\"]\ncapabilities = [\"documents\"]\n"),
        [""; 0]
    );
    let found = lines("stages = [\"tools\"]\ncapabilities = [\"kv\", \"http\"]\n").join(" ");
    for words in ["`kv` is empty", "other hosts do not answer", "no tool is called"] {
        assert!(found.contains(words), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_conversation_is_replayed_from_its_beginning() {
    const EXCHANGES: usize = 70;
    let server = TestServer::start().await;
    let acme = Client::new(&server.url(), Secret::new(server.key.clone())).unwrap();
    let (mut previous, mut number) = (Value::Null, 0);
    for exchange in 0..EXCHANGES {
        let body = json!({
            "model": "riad-mini", "max_output_tokens": 1, "input": format!("Question {exchange}?"), "previous_response_id": previous,
        });
        let answer: Value = acme.post("/v1/responses", &body).await.unwrap().body;
        number = answer["riad"]["receipt"]["number"].as_u64().unwrap();
        previous = answer["id"].clone();
    }
    let case = replay::case(&acme, number, &BTreeSet::new()).await.unwrap();
    let questions = contents(&case)
        .into_iter()
        .filter(|text| text.starts_with("Question "))
        .count();
    assert_eq!(questions, EXCHANGES);
    assert_eq!(contents(&case)[0], "Question 0?");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_request_becomes_a_case() {
    let server = TestServer::start().await;
    let acme = Client::new(&server.url(), Secret::new(server.key.clone())).unwrap();
    let document = json!({"title": "Refunds", "text": "The refund window is 41 days."});
    let document: Value = acme.post("/v1/documents", &document).await.unwrap().body;
    let _: Value = acme.put("/v1/settings", &json!({"sign": "Acme"})).await.unwrap().body;
    let ask = async |more: Value| -> Value {
        let mut body = json!({"model": "riad-mini", "max_output_tokens": 8, "temperature": 0});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        acme.post("/v1/responses", &body).await.unwrap().body
    };
    let first = ask(json!({"input": "Hello?"})).await;
    let second = json!({"input": "How long is the refund window?", "previous_response_id": first["id"], "instructions": "Be kind."});
    let second = ask(second).await;
    let said = |response: &Value| response["output"][0]["content"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(second["riad"]["receipt"]["response"], second["id"]);
    let number = second["riad"]["receipt"]["number"].as_u64().unwrap();

    let case = replay::case(&acme, number, &[Stage::Postprocessing].into())
        .await
        .unwrap();
    assert_eq!(
        contents(&case),
        ["Be kind.", "Hello?", &said(&first), "How long is the refund window?"]
    );
    assert_eq!(
        (case.request.as_ref().unwrap().max_tokens, &case.settings["sign"]),
        (8, &json!("Acme"))
    );
    assert_eq!(case.documents.len(), 1);
    assert_eq!(case.documents[0].text, "The refund window is 41 days.");
    assert_eq!(case.passages.unwrap()[0].document.as_str(), document["id"]);
    assert_eq!(case.output, [said(&second)]);
    let case = replay::case(&acme, number, &[Stage::Retrieval].into()).await.unwrap();
    assert!(case.passages.is_none(), "the plugin's own retrieval finds them");

    // Calls of a client's tools and their results, as the stages read them.
    let parameters = json!({
        "type": "object",
        "properties": {"number": {"type": "string", "maxLength": 8}},
        "required": ["number"],
        "additionalProperties": false,
    });
    let tools = json!([{"type": "function", "name": "find_order", "parameters": parameters}]);
    let items = json!([
        {"role": "user", "content": "Where is A-17?"},
        {"type": "function_call", "call_id": "one", "name": "find_order", "arguments": "{\"number\": \"A-17\"}"},
        {"type": "function_call_output", "call_id": "one", "output": "on its way"},
        {"role": "user", "content": "And B-1?"},
    ]);
    let called = json!({"input": items, "tools": tools, "tool_choice": "required", "max_output_tokens": 100});
    let called = ask(called).await;
    assert_eq!(called["output"][0]["type"], "function_call", "{called}");
    let number = called["riad"]["receipt"]["number"].as_u64().unwrap();
    let case = replay::case(&acme, number, &BTreeSet::new()).await.unwrap();
    let expected = [
        "Where is A-17?",
        "<tool_call>\n{\"name\":\"find_order\",\"arguments\":{\"number\":\"A-17\"}}\n</tool_call>",
        "<tool_response>\non its way\n</tool_response>",
        "And B-1?",
    ];
    assert_eq!(contents(&case), expected);
    assert_eq!((case.finish, case.output), (FinishReason::ToolCalls, Vec::new()));

    let _ = ask(json!({"input": "Hello?", "store": false})).await;
    let error = replay::case(&acme, number + 1, &BTreeSet::new()).await.err().unwrap();
    assert!(error.message().contains("is not kept"), "{error}");
    let error = replay::case(&acme, number + 2, &BTreeSet::new()).await.err().unwrap();
    assert_eq!(error.message(), format!("this tenant has no receipt {}", number + 2));
}
