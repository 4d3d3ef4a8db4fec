//! Cases against components that are committed: what a stage answers, what it uses, and what is said of differences.

use super::{case::Case, compare::differences, runner::Runner};
use crate::commands::plugin::project::{self, Project};
use serde_json::{Value, json};
use std::{fs, path::Path};

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
