//! Checks the demo's answers: no fact of the other tenant, and adapter and plugin at work.

use super::{
    answer::DemoAnswer,
    questions::{Expected, ONLY_ACME, ONLY_GLOBEX, QUESTIONS, Question},
    setup::{DemoTenant, PLUGIN, STAGES, Tenants},
};

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
    for passage in &answer.riad.passages {
        if other.document_ids.contains(&passage.document) {
            found.push(format!("a passage is from a document of {}", other.id));
        }
    }
    let passages = serde_json::to_string(&answer.riad.passages).unwrap_or_default();
    let everything = format!("{}\n{passages}", answer.text);
    for mark in marks.iter().filter(|mark| everything.contains(**mark)) {
        found.push(format!("\"{mark}\" belongs to {}", other.id));
    }
    found
}

/// `Unknown` is not checked: a small model may quote a wrong sentence of its own tenant's documents, which leaks nothing.
fn wrong_answer(answer: &DemoAnswer, expected: Expected) -> Option<String> {
    match expected {
        Expected::Fact(fact) if !answer.text.contains(fact) => Some(format!("the answer lacks \"{fact}\"")),
        Expected::Hidden { hidden } if answer.text.contains(hidden) => Some(format!("\"{hidden}\" was not hidden")),
        Expected::Fact(_) | Expected::Hidden { .. } | Expected::Unknown => None,
    }
}

fn wrong_receipt(answer: &DemoAnswer, own: &DemoTenant) -> Vec<String> {
    let receipt = &answer.riad.receipt;
    let mut found = Vec::new();
    if receipt.tenant != own.id {
        found.push(format!("the receipt is for tenant \"{}\"", receipt.tenant));
    }
    for (counter, value) in [
        ("prompt_tokens", receipt.prompt_tokens),
        ("completion_tokens", receipt.completion_tokens),
        ("fuel", receipt.fuel),
        ("index_watermark", receipt.index_watermark),
    ] {
        if value == 0 {
            found.push(format!("the receipt's {counter} is 0"));
        }
    }
    found
}

/// Acme's answers must come from its adapter and its plugin, and Globex's from neither.
fn wrong_room(question: &Question, tenants: &Tenants, acme: &DemoAnswer, globex: &DemoAnswer) -> Vec<String> {
    let (acme, globex) = (&acme.riad.receipt, &globex.riad.receipt);
    let mut found = Vec::new();
    if acme.adapter_tensors == 0 || acme.adapter_generation.as_ref() != Some(&tenants.generation) {
        found.push("acme's adapter was not applied".into());
    }
    if globex.adapter_tensors != 0 || globex.adapter_generation.is_some() {
        found.push("globex was answered with an adapter".into());
    }
    for stage in STAGES {
        if acme.plugins.get(stage.as_str()) != Some(&tenants.plugin) {
            found.push(format!("acme's {stage} was not served by {PLUGIN}"));
        }
        if globex.plugins.get(stage.as_str()) == Some(&tenants.plugin) {
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
    use crate::{client::Client, commands::chat::tests::riad};
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
            riad: riad(
                &json!({"tenant": tenant, "adapter_tensors": if acme { 70 } else { 0 },
                    "adapter_generation": acme.then_some("sha256:aa"),
                    "plugins": {"retrieval": "sha256:cc", "prompting": plugin, "postprocessing": plugin}}),
                &json!([{"document": document, "text": "own"}]),
                &json!([]),
            ),
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
            |answers| answers[0].0.riad.passages[0].document = "doc-g".into(),
            "from a document of globex",
        );
        assert_failure(
            |answers| answers[1].1.text += " 37 months",
            "\"37 months\" belongs to acme",
        );
        assert_failure(
            |answers| answers[2].0.riad.passages[0].text = "by Duisburg".into(),
            "\"Duisburg\" belongs to globex",
        );
    }

    #[test]
    fn an_adapter_or_plugin_that_was_not_used_fails() {
        assert_failure(
            |answers| answers[0].0.riad.receipt.adapter_tensors = 0,
            "adapter was not applied",
        );
        assert_failure(
            |answers| answers[0].1.riad.receipt.adapter_tensors = 70,
            "globex was answered with an adapter",
        );
        assert_failure(
            |answers| {
                drop(
                    answers[0]
                        .0
                        .riad
                        .receipt
                        .plugins
                        .insert("prompting".into(), "sha256:cc".into()),
                )
            },
            "acme's prompting was not served",
        );
        assert_failure(
            |answers| {
                drop(
                    answers[0]
                        .1
                        .riad
                        .receipt
                        .plugins
                        .insert("prompting".into(), "sha256:bb".into()),
                )
            },
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
            |answers| answers[0].0.riad.receipt.tenant.clear(),
            "the receipt is for tenant \"\"",
        );
        assert_failure(|answers| answers[0].1.riad.receipt.fuel = 0, "fuel is 0");
    }
}
