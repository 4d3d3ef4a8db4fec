//! How the demo looks: everything it prints, as text. Not here: what is asked, and whether it is right.

use super::{
    Asked,
    columns::{Column, Tone, beside},
    doors::Door,
    stage::{Cast, Guest, PLUGIN},
};
use crate::{
    commands::chat::sources,
    output::{Output, clean, number, short_digest, text},
};
use riad_core::plugin::Stage;
use serde_json::Value;

/// Fits every usual terminal beside a scroll bar.
const WIDTH: usize = 112;

pub fn opening(url: &str, out: &Output) -> String {
    format!(
        "{}\nOne server at {url}, one base model in memory, two tenants.\n",
        out.bold("Riad demo")
    )
}

pub fn rooms(cast: &Cast, out: &Output) -> String {
    let column = |guest: &Guest, has: [String; 2]| {
        let mut column = Column::default();
        column.add(Tone::Loud, format!("{} ({})", guest.id, guest.name));
        column.add(Tone::Plain, format!("{} documents of its own", guest.documents.len()));
        for line in has {
            column.add(Tone::Plain, line);
        }
        column.add(Tone::Quiet, format!("asks the model {}", guest.model));
        column
    };
    let acme = column(
        &cast.acme,
        [
            format!("a LoRA adapter: {}", short_digest(&cast.generation)),
            format!("a plugin: {PLUGIN} {}", short_digest(&cast.plugin)),
        ],
    );
    let globex = column(
        &cast.globex,
        ["no adapter".into(), "no plugin: the standard pipeline".into()],
    );
    beside(&acme, &globex, WIDTH, out)
}

pub fn question(number: usize, asked: &str, cast: &Cast, acme: &Asked, globex: &Asked, out: &Output) -> String {
    format!(
        "{}\n{}",
        out.bold(&format!("{number}. {asked}")),
        beside(
            &answer(&cast.acme, acme, cast),
            &answer(&cast.globex, globex, cast),
            WIDTH,
            out
        )
    )
}

pub fn doors(cast: &Cast, acme: &[Door], globex: &[Door], out: &Output) -> String {
    let column = |guest: &Guest, doors: &[Door]| {
        let mut column = Column::default();
        for door in doors {
            column.add(Tone::Loud, format!("{} tries: {}", guest.id, door.tried));
            let state = if door.shut { "shut" } else { "OPEN" };
            column.add(Tone::Plain, format!("{state}: {}", clean(&door.got)));
        }
        column
    };
    format!(
        "{}\n{}",
        out.bold("The other tenant's doors"),
        beside(&column(&cast.acme, acme), &column(&cast.globex, globex), WIDTH, out)
    )
}

pub fn ending(answers: usize, faults: &[String], out: &Output) -> String {
    if faults.is_empty() {
        return out.bold(&format!(
            "All {answers} answers checked: no fact of one tenant reached the other; adapter and plugin stand in acme's receipts only."
        ));
    }
    faults
        .iter()
        .map(|fault| out.bold(&format!("WRONG  {}\n", clean(fault))))
        .collect()
}

/// Commands that work as long as the demo stays up.
pub fn try_lines(url: &str, cast: &Cast, out: &Output) -> String {
    let riad = std::env::current_exe().map_or_else(|_| "riad".into(), |path| path.display().to_string());
    let (acme, globex) = (&cast.acme, &cast.globex);
    let title = out.bold("It stays up. Try, in another terminal (Ctrl-C here ends it and deletes its data):");
    format!(
        "\n{title}\n\n\
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

fn answer(guest: &Guest, asked: &Asked, cast: &Cast) -> Column {
    let mut column = Column::default();
    column.add(Tone::Quiet, format!("{} · {}", guest.id, guest.model));
    column.add(Tone::Loud, clean(asked.text.trim()));
    let sources = sources(&asked.riad);
    if sources.is_empty() {
        column.add(Tone::Plain, "no source is cited");
    }
    for source in sources {
        column.add(Tone::Plain, source);
    }
    let receipt = asked.riad.get("receipt").unwrap_or(&Value::Null);
    column.add(
        Tone::Quiet,
        format!(
            "receipt: {} + {} tokens, fuel {}, index {}, {} ms",
            number(receipt, "prompt_tokens"),
            number(receipt, "completion_tokens"),
            number(receipt, "fuel"),
            number(receipt, "index_watermark"),
            asked.took.as_millis()
        ),
    );
    column.add(Tone::Quiet, adapter(receipt));
    for line in served(receipt, &cast.plugin) {
        column.add(Tone::Quiet, line);
    }
    column
}

fn adapter(receipt: &Value) -> String {
    match receipt.get("adapter_generation").and_then(Value::as_str) {
        Some(generation) => format!(
            "adapter {}, {} tensors",
            short_digest(generation),
            number(receipt, "adapter_tensors")
        ),
        None => "no adapter".into(),
    }
}

/// The stages of each component: `prompting, postprocessing: price-desk 0123456789ab`.
fn served(receipt: &Value, plugin: &str) -> Vec<String> {
    let plugins = receipt.get("plugins").unwrap_or(&Value::Null);
    let mut by_digest: Vec<(String, Vec<&str>)> = Vec::new();
    for stage in Stage::ALL {
        let digest = text(plugins, stage.as_str());
        match by_digest.iter_mut().find(|(known, _)| *known == digest) {
            Some((_, stages)) => stages.push(stage.as_str()),
            None => by_digest.push((digest, vec![stage.as_str()])),
        }
    }
    by_digest
        .into_iter()
        .map(|(digest, stages)| {
            let name = if digest == plugin { PLUGIN } else { "standard" };
            let stages = if stages.len() == Stage::ALL.len() {
                "all stages".into()
            } else {
                stages.join(", ")
            };
            format!("{stages}: {name} {}", short_digest(&digest))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stages_are_grouped_by_the_component_that_served_them() {
        let receipt =
            json!({"plugins": {"retrieval": "sha256:cc", "prompting": "sha256:bb", "postprocessing": "sha256:bb"}});
        assert_eq!(
            served(&receipt, "sha256:bb"),
            ["retrieval: standard cc", "prompting, postprocessing: price-desk bb"]
        );
        let receipt =
            json!({"plugins": {"retrieval": "sha256:cc", "prompting": "sha256:cc", "postprocessing": "sha256:cc"}});
        assert_eq!(served(&receipt, "sha256:bb"), ["all stages: standard cc"]);
    }

    #[test]
    fn the_base_model_is_said_to_have_no_adapter() {
        assert_eq!(adapter(&json!({"adapter_generation": null})), "no adapter");
        assert_eq!(
            adapter(&json!({"adapter_generation": "sha256:aa", "adapter_tensors": 70})),
            "adapter aa, 70 tensors"
        );
    }
}
