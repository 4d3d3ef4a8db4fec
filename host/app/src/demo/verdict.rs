//! Whether the show was right: no fact of the other tenant, the adapter and the plugin really at work. Not here: how
//! answers are shown.

use super::{
    Asked,
    questions::{Expected, ONLY_ACME, ONLY_GLOBEX, QUESTIONS, Question},
    stage::{Cast, Guest, PLUGIN, STAGES},
};
use crate::output::{number, text};
use serde_json::Value;

/// Everything that is wrong, in words; empty if all is right.
pub fn faults(cast: &Cast, asked: &[(Asked, Asked)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (question, (acme, globex)) in QUESTIONS.iter().zip(asked) {
        let sides = [
            (&cast.acme, acme, question.acme, &cast.globex, ONLY_GLOBEX),
            (&cast.globex, globex, question.globex, &cast.acme, ONLY_ACME),
        ];
        for (own, asked, expected, other, marks) in sides {
            let mut found = leaks(asked, other, marks);
            found.extend(wrong_answer(asked, expected));
            found.extend(wrong_receipt(asked, own));
            faults.extend(
                found
                    .into_iter()
                    .map(|fault| format!("{}, \"{}\": {fault}", own.id, question.text)),
            );
        }
        faults.extend(wrong_room(question, cast, acme, globex));
    }
    faults
}

fn leaks(asked: &Asked, other: &Guest, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let passages = asked.riad.get("passages").and_then(Value::as_array);
    for passage in passages.into_iter().flatten() {
        if other.documents.contains(&text(passage, "document")) {
            found.push(format!("a passage is from a document of {}", other.id));
        }
    }
    let everything = format!(
        "{}\n{}",
        asked.text,
        passages.map_or_else(String::new, |all| Value::from(all.clone()).to_string())
    );
    for mark in marks.iter().filter(|mark| everything.contains(**mark)) {
        found.push(format!("\"{mark}\" belongs to {}", other.id));
    }
    found
}

/// Not knowing is shown but not demanded: a small model may quote a wrong sentence of its own room, which harms nobody.
fn wrong_answer(asked: &Asked, expected: Expected) -> Option<String> {
    match expected {
        Expected::Fact(fact) if !asked.text.contains(fact) => Some(format!("the answer lacks \"{fact}\"")),
        Expected::Hidden { hidden } if asked.text.contains(hidden) => Some(format!("\"{hidden}\" was not hidden")),
        Expected::Fact(_) | Expected::Hidden { .. } | Expected::Unknown => None,
    }
}

fn wrong_receipt(asked: &Asked, own: &Guest) -> Vec<String> {
    let receipt = asked.riad.get("receipt").unwrap_or(&Value::Null);
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
fn wrong_room(question: &Question, cast: &Cast, acme: &Asked, globex: &Asked) -> Vec<String> {
    let receipt = |asked: &Asked| asked.riad.get("receipt").cloned().unwrap_or_default();
    let (acme, globex) = (receipt(acme), receipt(globex));
    let plugins = |receipt: &Value| receipt.get("plugins").cloned().unwrap_or_default();
    let mut found = Vec::new();
    if number(&acme, "adapter_tensors") == 0 || text(&acme, "adapter_generation") != cast.generation {
        found.push("acme's adapter was not applied".into());
    }
    if number(&globex, "adapter_tensors") != 0 || !text(&globex, "adapter_generation").is_empty() {
        found.push("globex was answered with an adapter".into());
    }
    for stage in STAGES {
        if text(&plugins(&acme), stage.as_str()) != cast.plugin {
            found.push(format!("acme's {stage} was not served by {PLUGIN}"));
        }
        if text(&plugins(&globex), stage.as_str()) == cast.plugin {
            found.push(format!("globex's {stage} was served by acme's {PLUGIN}"));
        }
    }
    found
        .into_iter()
        .map(|fault| format!("\"{}\": {fault}", question.text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use riad_core::Secret;
    use serde_json::json;
    use std::time::Duration;

    fn cast() -> Cast {
        let guest = |id: &'static str, document: &str| Guest {
            id,
            name: id,
            key: String::new(),
            client: Client::new("http://127.0.0.1:1", Secret::new(String::new())).unwrap(),
            model: String::new(),
            documents: vec![document.to_owned()],
        };
        Cast {
            acme: guest("acme", "doc-a"),
            globex: guest("globex", "doc-g"),
            generation: "sha256:aa".into(),
            plugin: "sha256:bb".into(),
        }
    }

    fn asked(tenant: &str, text: &str, document: &str) -> Asked {
        let acme = tenant == "acme";
        let plugin = if acme { "sha256:bb" } else { "sha256:cc" };
        Asked {
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

    fn right() -> Vec<(Asked, Asked)> {
        let answer = |expected| match expected {
            Expected::Fact(fact) => fact,
            Expected::Unknown => "I don't know",
            Expected::Hidden { .. } => "[hidden]",
        };
        QUESTIONS
            .iter()
            .map(|q| {
                (
                    asked("acme", answer(q.acme), "doc-a"),
                    asked("globex", answer(q.globex), "doc-g"),
                )
            })
            .collect()
    }

    fn assert_fault(change: impl Fn(&mut Vec<(Asked, Asked)>), fault: &str) {
        let mut show = right();
        change(&mut show);
        let found = faults(&cast(), &show);
        assert!(found.iter().any(|f| f.contains(fault)), "{fault:?} is not in {found:?}");
    }

    #[test]
    fn a_right_show_has_no_fault() {
        assert_eq!(faults(&cast(), &right()), Vec::<String>::new());
    }

    #[test]
    fn whatever_comes_from_the_other_room_is_seen() {
        assert_fault(
            |show| show[0].0.riad["passages"][0]["document"] = "doc-g".into(),
            "from a document of globex",
        );
        assert_fault(|show| show[1].1.text += " 37 months", "\"37 months\" belongs to acme");
        assert_fault(
            |show| show[2].0.riad["passages"][0]["text"] = "by Duisburg".into(),
            "\"Duisburg\" belongs to globex",
        );
    }

    #[test]
    fn an_adapter_or_plugin_that_did_not_work_is_seen() {
        assert_fault(
            |show| show[0].0.riad["receipt"]["adapter_tensors"] = 0.into(),
            "adapter was not applied",
        );
        assert_fault(
            |show| show[0].1.riad["receipt"]["adapter_tensors"] = 70.into(),
            "globex was answered with an adapter",
        );
        assert_fault(
            |show| show[0].0.riad["receipt"]["plugins"]["prompting"] = "sha256:cc".into(),
            "acme's prompting was not served",
        );
        assert_fault(
            |show| show[0].1.riad["receipt"]["plugins"]["prompting"] = "sha256:bb".into(),
            "globex's prompting was served by acme's",
        );
        assert_fault(
            |show| show[4].0.text = "help@acme-tools.example".into(),
            "was not hidden",
        );
    }

    #[test]
    fn a_missing_fact_or_receipt_is_seen() {
        assert_fault(|show| show[0].0.text = "no".into(), "lacks \"41 days\"");
        assert_fault(|show| show[0].0.riad = Value::Null, "the receipt is for tenant \"\"");
        assert_fault(|show| show[0].1.riad["receipt"]["fuel"] = 0.into(), "fuel is 0");
    }
}
