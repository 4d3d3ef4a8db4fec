//! Everything that the demo prints, as text.

use super::{
    answer::DemoAnswer,
    attempts::Attempt,
    columns::{Column, Emphasis, beside},
    setup::{DemoTenant, PLUGIN, Tenants},
};
use crate::{
    commands::chat::sources,
    output::{bold, clean, short_digest},
};
use riad_api_types::receipts::Receipt;
use riad_core::plugin::Stage;

/// Fits every usual terminal beside a scroll bar.
const WIDTH: usize = 112;

pub fn opening(url: &str) -> String {
    format!(
        "{}\nOne server at {url}, one base model in memory, two tenants.\n",
        bold("Riad demo")
    )
}

pub fn rooms(tenants: &Tenants) -> String {
    let column = |tenant: &DemoTenant, has: [String; 2]| {
        let mut column = Column::default();
        column.add(Emphasis::Strong, format!("{} ({})", tenant.id, tenant.name));
        column.add(
            Emphasis::Normal,
            format!("{} documents of its own", tenant.document_ids.len()),
        );
        for line in has {
            column.add(Emphasis::Normal, line);
        }
        column.add(Emphasis::Faint, format!("uses the model {}", tenant.model));
        column
    };
    let acme = column(
        &tenants.acme,
        [
            format!("a LoRA adapter: {}", short_digest(&tenants.generation)),
            format!("a plugin: {PLUGIN} {}", short_digest(&tenants.plugin)),
        ],
    );
    let globex = column(
        &tenants.globex,
        ["no adapter".into(), "no plugin: the standard pipeline".into()],
    );
    beside(&acme, &globex, WIDTH)
}

pub fn question(number: usize, text: &str, tenants: &Tenants, acme: &DemoAnswer, globex: &DemoAnswer) -> String {
    format!(
        "{}\n{}",
        bold(&format!("{number}. {text}")),
        beside(
            &answer_column(&tenants.acme, acme, tenants),
            &answer_column(&tenants.globex, globex, tenants),
            WIDTH
        )
    )
}

pub fn attempts(tenants: &Tenants, acme: &[Attempt], globex: &[Attempt]) -> String {
    let column = |tenant: &DemoTenant, attempts: &[Attempt]| {
        let mut column = Column::default();
        for attempt in attempts {
            column.add(Emphasis::Strong, format!("{} tries to {}", tenant.id, attempt.action));
            let result = if attempt.prevented { "ok" } else { "WRONG" };
            column.add(Emphasis::Normal, format!("{result}: {}", clean(&attempt.response)));
        }
        column
    };
    format!(
        "{}\n{}",
        bold("Each tenant tries to reach the other's data"),
        beside(&column(&tenants.acme, acme), &column(&tenants.globex, globex), WIDTH)
    )
}

pub fn ending(answers: usize, failures: &[String]) -> String {
    if failures.is_empty() {
        return bold(&format!(
            "All {answers} answers passed: none has a fact of the other tenant, and only acme's receipts name the adapter and \
             the plugin."
        ));
    }
    failures
        .iter()
        .map(|failure| bold(&format!("WRONG  {}\n", clean(failure))))
        .collect()
}

/// The console, and commands, that work while the demo is running.
pub fn commands_to_try(url: &str, tenants: &Tenants) -> String {
    let riad = std::env::current_exe().map_or_else(|_| "riad".into(), |path| path.display().to_string());
    let (acme, globex) = (&tenants.acme, &tenants.globex);
    let title = bold("The demo is still running. Try it (Ctrl-C here stops it and deletes its data):");
    format!(
        "\n{title}\n\n\
         In a browser: {url}/console, with one of the keys below.\n\n\
         export RIAD_URL={url} RIAD_KEY={}    # acme\n\
         {riad} chat --model {} What is the cutting depth of the Merlin saw?\n\
         {riad} search refund window\n\
         {riad} settings set prices='{{\"Kestrel drill\": \"99 euros\"}}'\n\
         {riad} pipeline show\n\n\
         export RIAD_KEY={}    # globex\n\
         {riad} chat What is the alarm limit of the cold chain?\n\
         {riad} document list\n\
         curl -s $RIAD_URL/v1/chat/completions -H \"Authorization: Bearer $RIAD_KEY\" -H 'Content-Type: application/json' \\\n  \
         -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"What is the refund window?\"}}]}}'\n",
        acme.key, acme.model, globex.key, globex.model
    )
}

fn answer_column(tenant: &DemoTenant, answer: &DemoAnswer, tenants: &Tenants) -> Column {
    let mut column = Column::default();
    column.add(Emphasis::Faint, format!("{} · {}", tenant.id, tenant.model));
    column.add(Emphasis::Strong, clean(answer.text.trim()));
    let sources = sources(&answer.riad);
    if sources.is_empty() {
        column.add(Emphasis::Normal, "cites no source");
    }
    for source in sources {
        column.add(Emphasis::Normal, source);
    }
    let receipt = &answer.riad.receipt;
    column.add(
        Emphasis::Faint,
        format!(
            "receipt: {} + {} tokens, fuel {}, index {}, {} ms",
            receipt.prompt_tokens,
            receipt.completion_tokens,
            receipt.fuel,
            receipt.index_watermark,
            answer.took.as_millis()
        ),
    );
    column.add(Emphasis::Faint, adapter(receipt));
    for line in served(receipt, &tenants.plugin) {
        column.add(Emphasis::Faint, line);
    }
    column
}

fn adapter(receipt: &Receipt) -> String {
    match &receipt.adapter_generation {
        Some(generation) => format!(
            "adapter {}, {} tensors",
            short_digest(generation),
            receipt.adapter_tensors
        ),
        None => "no adapter".into(),
    }
}

/// The stages of each component: `prompting, postprocessing: price-desk 0123456789ab`.
fn served(receipt: &Receipt, plugin: &str) -> Vec<String> {
    let mut by_digest: Vec<(&str, Vec<&str>)> = Vec::new();
    for stage in Stage::STANDARD {
        let digest = receipt.plugins.get(stage.as_str()).map_or("", String::as_str);
        match by_digest.iter_mut().find(|(known, _)| *known == digest) {
            Some((_, stages)) => stages.push(stage.as_str()),
            None => by_digest.push((digest, vec![stage.as_str()])),
        }
    }
    by_digest
        .into_iter()
        .map(|(digest, stages)| {
            let name = if digest == plugin { PLUGIN } else { "standard" };
            let stages = if stages.len() == Stage::STANDARD.len() {
                "all stages".into()
            } else {
                stages.join(", ")
            };
            format!("{stages}: {name} {}", short_digest(digest))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::chat::tests::riad;
    use serde_json::{Value, json};

    fn receipt(members: &Value) -> Receipt {
        riad(members, &json!([]), &json!([])).receipt
    }

    #[test]
    fn stages_are_grouped_by_the_component_that_served_them() {
        let mixed = receipt(
            &json!({"plugins": {"retrieval": "sha256:cc", "prompting": "sha256:bb", "postprocessing": "sha256:bb"}}),
        );
        assert_eq!(
            served(&mixed, "sha256:bb"),
            ["retrieval: standard cc", "prompting, postprocessing: price-desk bb"]
        );
        let standard = receipt(
            &json!({"plugins": {"retrieval": "sha256:cc", "prompting": "sha256:cc", "postprocessing": "sha256:cc"}}),
        );
        assert_eq!(served(&standard, "sha256:bb"), ["all stages: standard cc"]);
    }

    #[test]
    fn an_answer_of_the_base_model_has_no_adapter() {
        assert_eq!(adapter(&receipt(&json!({"adapter_generation": null}))), "no adapter");
        assert_eq!(
            adapter(&receipt(
                &json!({"adapter_generation": "sha256:aa", "adapter_tensors": 70})
            )),
            "adapter aa, 70 tensors"
        );
    }
}
