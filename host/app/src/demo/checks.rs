//! Checks the demo's answers: no fact of the other tenant, and adapter and plugin at work.

use super::{
    answer::DemoAnswer,
    questions::{Expected, ONLY_ACME, ONLY_GLOBEX, QUESTIONS, Question},
    setup::{DemoTenant, PLUGIN, STAGES, Tenants},
};
use crate::output::{number, text};
use serde_json::Value;

/// What is wrong, in sentences; empty if every check passes.
pub fn failures(tenants: &Tenants, answer: &[(DemoAnswer, DemoAnswer)]) -> Vec<String> {
    let mut failures = Vec::new();
    for (question, (acme, globex)) in QUESTIONS.iter().zip(answer) {
        let sides = [
            (&tenants.acme, acme, question.acme, &tenants.globex, ONLY_GLOBEX),
            (&tenants.globex, globex, question.globex, &tenants.acme, ONLY_ACME),
        ];
        for (own, answer, expected, other, marks) in sides {
            let mut found = leaks(answer, other, marks);
            found.extend(wrong_answer(answer, expected));
            found.extend(wrong_receipt(answer, own));
            failures.extend(
                found
                    .into_iter()
                    .map(|failure| format!("{}, \"{}\": {failure}", own.id, question.text)),
            );
        }
        failures.extend(wrong_room(question, tenants, acme, globex));
    }
    failures
}

fn leaks(answer: &DemoAnswer, other: &DemoTenant, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let passages = answer.riad.get("passages").and_then(Value::as_array);
    for passage in passages.into_iter().flatten() {
        if other.document_ids.contains(&text(passage, "document")) {
            found.push(format!("a passage is from a document of {}", other.id));
        }
    }
    let everything = format!(
        "{}\n{}",
        answer.text,
        passages.map_or_else(String::new, |all| Value::from(all.clone()).to_string())
    );
    for mark in marks.iter().filter(|mark| everything.contains(**mark)) {
        found.push(format!("\"{mark}\" belongs to {}", other.id));
    }
    found
}

/// Not knowing is shown but not demanded: a small model may quote a wrong sentence of its own room, which harms nobody.
fn wrong_answer(answer: &DemoAnswer, expected: Expected) -> Option<String> {
    match expected {
        Expected::Fact(fact) if !answer.text.contains(fact) => Some(format!("the answer lacks \"{fact}\"")),
        Expected::Hidden { hidden } if answer.text.contains(hidden) => Some(format!("\"{hidden}\" was not hidden")),
        Expected::Fact(_) | Expected::Hidden { .. } | Expected::Unknown => None,
    }
}

fn wrong_receipt(answer: &DemoAnswer, own: &DemoTenant) -> Vec<String> {
    let receipt = answer.riad.get("receipt").unwrap_or(&Value::Null);
    let mut found = Vec::new();
    if text(receipt, "tenant") != own.id {
        found.push(format!("the receipt is for tenant \"{}\"", text(receipt, "tenant")));
    }
    for counter in ["prompt_tokens", "completion_tokens", "fuel", "index_watermark"] {
        if number(receipt, counter) == 0 {
            found.push(format!("the receipt's {counter} is 0"));
        }
    }
    found
}

/// Acme's answers must come from its adapter and its plugin, and Globex's from neither.
fn wrong_room(question: &Question, tenants: &Tenants, acme: &DemoAnswer, globex: &DemoAnswer) -> Vec<String> {
    let receipt = |answer: &DemoAnswer| answer.riad.get("receipt").cloned().unwrap_or_default();
    let (acme, globex) = (receipt(acme), receipt(globex));
    let plugins = |receipt: &Value| receipt.get("plugins").cloned().unwrap_or_default();
    let mut found = Vec::new();
    if number(&acme, "adapter_tensors") == 0 || text(&acme, "adapter_generation") != tenants.generation {
        found.push("acme's adapter was not applied".into());
    }
    if number(&globex, "adapter_tensors") != 0 || !text(&globex, "adapter_generation").is_empty() {
        found.push("globex was answered with an adapter".into());
    }
    for stage in STAGES {
        if text(&plugins(&acme), stage.as_str()) != tenants.plugin {
            found.push(format!("acme's {stage} was not served by {PLUGIN}"));
        }
        if text(&plugins(&globex), stage.as_str()) == tenants.plugin {
            found.push(format!("globex's {stage} was served by acme's {PLUGIN}"));
        }
    }
    found
        .into_iter()
        .map(|failure| format!("\"{}\": {failure}", question.text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use riad_core::Secret;
    use serde_json::json;
    use std::time::Duration;

    fn tenants() -> Tenants {
        let tenant = |id: &'static str, document: &str| DemoTenant {
            id,
            name: id,
            key: String::new(),
            client: Client::new("http://127.0.0.1:1", Secret::new(String::new())).unwrap(),
            model: String::new(),
            document_ids: vec![document.to_owned()],
        };
        Tenants {
            acme: tenant("acme", "doc-a"),
            globex: tenant("globex", "doc-g"),
            generation: "sha256:aa".into(),
            plugin: "sha256:bb".into(),
        }
    }

    fn answer(tenant: &str, text: &str, document: &str) -> DemoAnswer {
        let acme = tenant == "acme";
        let plugin = if acme { "sha256:bb" } else { "sha256:cc" };
        DemoAnswer {
            text: text.into(),
            took: Duration::ZERO,
            riad: json!({
                "receipt": {"tenant": tenant, "adapter_tensors": if acme { 70 } else { 0 },
                    "adapter_generation": if acme { json!("sha256:aa") } else { Value::Null },
                    "plugins": {"retrieval": "sha256:cc", "prompting": plugin, "postprocessing": plugin},
                    "prompt_tokens": 9, "completion_tokens": 9, "fuel": 9, "index_watermark": 9},
                "passages": [{"document": document, "text": "own"}],
            }),
        }
    }

    fn right() -> Vec<(DemoAnswer, DemoAnswer)> {
        let text = |expected| match expected {
            Expected::Fact(fact) => fact,
            Expected::Unknown => "I don't know",
            Expected::Hidden { .. } => "[hidden]",
        };
        QUESTIONS
            .iter()
            .map(|q| {
                (
                    answer("acme", text(q.acme), "doc-a"),
                    answer("globex", text(q.globex), "doc-g"),
                )
            })
            .collect()
    }

    fn assert_failure(change: impl Fn(&mut Vec<(DemoAnswer, DemoAnswer)>), failure: &str) {
        let mut answers = right();
        change(&mut answers);
        let found = failures(&tenants(), &answers);
        assert!(
            found.iter().any(|f| f.contains(failure)),
            "{failure:?} is not in {found:?}"
        );
    }

    #[test]
    fn correct_answers_pass_every_check() {
        assert_eq!(failures(&tenants(), &right()), Vec::<String>::new());
    }

    #[test]
    fn anything_from_the_other_room_fails() {
        assert_failure(
            |answers| answers[0].0.riad["passages"][0]["document"] = "doc-g".into(),
            "from a document of globex",
        );
        assert_failure(
            |answers| answers[1].1.text += " 37 months",
            "\"37 months\" belongs to acme",
        );
        assert_failure(
            |answers| answers[2].0.riad["passages"][0]["text"] = "by Duisburg".into(),
            "\"Duisburg\" belongs to globex",
        );
    }

    #[test]
    fn an_adapter_or_plugin_that_was_not_used_fails() {
        assert_failure(
            |answers| answers[0].0.riad["receipt"]["adapter_tensors"] = 0.into(),
            "adapter was not applied",
        );
        assert_failure(
            |answers| answers[0].1.riad["receipt"]["adapter_tensors"] = 70.into(),
            "globex was answered with an adapter",
        );
        assert_failure(
            |answers| answers[0].0.riad["receipt"]["plugins"]["prompting"] = "sha256:cc".into(),
            "acme's prompting was not served",
        );
        assert_failure(
            |answers| answers[0].1.riad["receipt"]["plugins"]["prompting"] = "sha256:bb".into(),
            "globex's prompting was served by acme's",
        );
        assert_failure(
            |answers| answers[4].0.text = "help@acme-tools.example".into(),
            "was not hidden",
        );
    }

    #[test]
    fn a_missing_fact_or_receipt_fails() {
        assert_failure(|answers| answers[0].0.text = "no".into(), "lacks \"41 days\"");
        assert_failure(
            |answers| answers[0].0.riad = Value::Null,
            "the receipt is for tenant \"\"",
        );
        assert_failure(|answers| answers[0].1.riad["receipt"]["fuel"] = 0.into(), "fuel is 0");
    }
}
