//! `riad chat`.

use crate::{
    cli::ChatArgs,
    client::Client,
    output::{Output, clean, data, dim, line, number, piece, short_digest, text},
};
use riad_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

pub async fn run(args: &ChatArgs, client: &Client, out: &Output) -> Result<()> {
    let model = match &args.model {
        Some(model) => model.clone(),
        None => base_model(client).await?,
    };
    let mut body = request(&model, &args.text.join(" "));
    if let Some(max_tokens) = args.max_tokens {
        body.insert("max_tokens".into(), max_tokens.into());
    }
    if let Some(temperature) = args.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    if args.no_stream || out.is_json() {
        let answer = client.post("/v1/chat/completions", &body.into()).await?;
        out.show(&answer, |answer| {
            let riad = answer.get("riad").unwrap_or(&Value::Null);
            format!("{}\n{}", clean(content(answer)), footer(riad))
        });
        return Ok(());
    }
    let answer = ask(client, body, |text| piece(&clean(text))).await?;
    line("");
    line(footer(&answer.riad).trim_end());
    Ok(())
}

/// The body of a request with one question.
pub fn request(model: &str, question: &str) -> Map<String, Value> {
    let messages = json!([{"role": "user", "content": question}]);
    [("model".to_owned(), model.into()), ("messages".to_owned(), messages)]
        .into_iter()
        .collect()
}

/// A streamed answer when it is complete.
pub struct Answer {
    pub text: String,
    /// Receipt, passages and citations.
    pub riad: Value,
}

/// Asks for a streamed answer and passes each piece on as it arrives; the demo uses it too.
pub async fn ask(client: &Client, mut body: Map<String, Value>, mut on_piece: impl FnMut(&str)) -> Result<Answer> {
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    let mut events = client.stream("/v1/chat/completions", &body.into()).await?;
    let mut answer = Answer {
        text: String::new(),
        riad: Value::Null,
    };
    while let Some(event) = events.next().await? {
        if let Some(text) = event.pointer("/choices/0/delta/content").and_then(Value::as_str) {
            on_piece(text);
            answer.text += text;
        }
        if let Some(said) = event.get("riad").filter(|said| !said.is_null()) {
            answer.riad = said.clone();
        }
    }
    Ok(answer)
}

/// The text of a whole answer.
fn content(answer: &Value) -> &str {
    answer
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The name of the model without any adapter.
pub async fn base_model(client: &Client) -> Result<String> {
    let models = client.get("/v1/models").await?;
    let base = data(&models)
        .iter()
        .map(|model| text(model, "id"))
        .find(|id| !id.contains(':'));
    base.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server offers no model to this key"))
}

/// The sources of an answer, one a line: number and title of the passage, and whether the citation is grounded in it.
pub fn sources(riad: &Value) -> Vec<String> {
    let list = |key: &str| riad.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let passages = list("passages");
    list("citations")
        .iter()
        .map(|citation| {
            let passage = number(citation, "passage");
            let title = usize::try_from(passage)
                .ok()
                .and_then(|number| passages.get(number.checked_sub(1)?))
                .map_or_else(|| "no such passage".into(), |passage| text(passage, "title"));
            let grounded = citation.get("grounded").and_then(Value::as_bool).unwrap_or_default();
            let word = if grounded { "grounded" } else { "NOT grounded" };
            format!("[{passage}] {title}: {word}")
        })
        .collect()
}

fn footer(riad: &Value) -> String {
    let receipt = riad.get("receipt").unwrap_or(&Value::Null);
    let adapter = match receipt.get("adapter_generation").and_then(Value::as_str) {
        Some(generation) => format!(
            ", adapter {} ({} tensors)",
            short_digest(generation),
            number(receipt, "adapter_tensors")
        ),
        None => String::new(),
    };
    let used = format!(
        "{}: {} + {} tokens, fuel {}{adapter}",
        text(receipt, "model"),
        number(receipt, "prompt_tokens"),
        number(receipt, "completion_tokens"),
        number(receipt, "fuel"),
    );
    let mut lines = sources(riad);
    lines.push(used);
    lines.iter().map(|line| dim(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_is_shown_with_its_passage_and_what_was_checked() {
        let riad = json!({
            "passages": [{"title": "Warranty"}, {"title": "Returns"}],
            "citations": [{"passage": 2, "grounded": true}, {"passage": 1, "grounded": false}, {"passage": 0, "grounded": true},
                {"passage": 9, "grounded": false}],
        });
        assert_eq!(
            sources(&riad),
            [
                "[2] Returns: grounded",
                "[1] Warranty: NOT grounded",
                "[0] no such passage: grounded",
                "[9] no such passage: NOT grounded"
            ]
        );
        assert!(sources(&Value::Null).is_empty());
    }
}
