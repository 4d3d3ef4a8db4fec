//! `riad chat`.

use crate::{
    cli::ChatArgs,
    client::Client,
    output::{Output, clean, dim, dim_piece, line, note, piece, short_digest},
};
use riad_api_types::{
    chat::{ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, ChatMessage, Delta, Riad, StreamOptions},
    models::ModelList,
};
use riad_core::{Error, ErrorKind, Result};

pub async fn run(args: &ChatArgs, client: &Client, out: &Output) -> Result<()> {
    let model = match &args.model {
        Some(model) => model.clone(),
        None => base_model(client).await?,
    };
    let request = ChatCompletionRequest {
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        ..request(&model, &args.text.join(" "))
    };
    if args.no_stream || out.is_json() {
        let answer = client.post("/v1/chat/completions", &request).await?;
        out.show(&answer, |answer: &ChatCompletion| {
            let choice = answer.choices.first();
            let text = choice
                .and_then(|choice| choice.message.content.as_deref())
                .unwrap_or_default();
            format!("{}\n{}", clean(text), footer(&answer.riad))
        });
        return Ok(());
    }
    let mut is_reasoning = false;
    let answer = ask(client, request, |delta| {
        if let Some(text) = &delta.reasoning_content {
            is_reasoning = true;
            dim_piece(&clean(text));
        }
        if let Some(text) = delta.content.as_deref().filter(|text| !text.is_empty()) {
            if std::mem::take(&mut is_reasoning) {
                note("\n");
            }
            piece(&clean(text));
        }
    })
    .await?;
    line("");
    line(footer(&answer.riad).trim_end());
    Ok(())
}

/// A request with one question.
pub fn request(model: &str, question: &str) -> ChatCompletionRequest {
    ChatCompletionRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage {
            role: "user".to_owned(),
            content: Some(question.to_owned().into()),
            ..ChatMessage::default()
        }],
        ..ChatCompletionRequest::default()
    }
}

/// A streamed answer when it is complete.
pub struct Answer {
    pub text: String,
    /// Receipt, passages and citations.
    pub riad: Riad,
}

/// Asks for a streamed answer and passes each delta on as it arrives; the demo uses it too.
pub async fn ask(client: &Client, request: ChatCompletionRequest, mut on_delta: impl FnMut(&Delta)) -> Result<Answer> {
    let request = ChatCompletionRequest {
        stream: Some(true),
        stream_options: Some(StreamOptions {
            include_usage: Some(true),
        }),
        ..request
    };
    let mut events = client.stream("/v1/chat/completions", &request).await?;
    let mut text = String::new();
    let mut riad = None;
    while let Some(chunk) = events.next::<ChatCompletionChunk>().await? {
        if let Some(choice) = chunk.choices.first() {
            on_delta(&choice.delta);
            text += choice.delta.content.as_deref().unwrap_or_default();
        }
        riad = chunk.riad.or(riad);
    }
    let riad = riad.ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            format!("the answer of {} has no receipt; is it a Riad server?", client.url()),
        )
    })?;
    Ok(Answer { text, riad })
}

/// The name of the model without any adapter.
pub async fn base_model(client: &Client) -> Result<String> {
    let models = client.get::<ModelList>("/v1/models").await?.body;
    let base = models
        .data
        .into_iter()
        .map(|model| model.id)
        .find(|id| !id.contains(':'));
    base.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server offers no model to this key"))
}

/// The sources of an answer, one a line: number and title of the passage, and whether the citation is grounded in it.
pub fn sources(riad: &Riad) -> Vec<String> {
    let citations = riad.citations.iter().flatten();
    citations
        .map(|citation| {
            let passage = usize::try_from(citation.passage)
                .ok()
                .and_then(|number| riad.passages.get(number.checked_sub(1)?));
            let title = passage.map_or_else(|| "no such passage".into(), |passage| clean(&passage.title));
            let grounded = match citation.grounded {
                true => "grounded",
                false => "NOT grounded",
            };
            format!("[{}] {title}: {grounded}", citation.passage)
        })
        .collect()
}

fn footer(riad: &Riad) -> String {
    let receipt = &riad.receipt;
    let adapter = match &receipt.adapter_generation {
        Some(generation) => format!(
            ", adapter {} ({} tensors)",
            short_digest(generation),
            receipt.adapter_tensors
        ),
        None => String::new(),
    };
    let usage = format!(
        "{}: {} + {} tokens, fuel {}{adapter}",
        clean(&receipt.model),
        receipt.prompt_tokens,
        receipt.completion_tokens,
        receipt.fuel,
    );
    let mut lines = sources(riad);
    lines.push(usage);
    lines.iter().map(|line| dim(line) + "\n").collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What the server says beside an answer, with a few members of the test's own.
    pub fn riad(receipt: &Value, passages: &Value, citations: &Value) -> Riad {
        let mut whole = json!({
            "tenant": "acme", "number": 1, "request": "req", "model": "riad-mini", "adapter_generation": null,
            "adapter_tensors": 0, "plugins": {}, "index_watermark": 9, "prompt_tokens": 9, "cached_tokens": 0, "completion_tokens": 9,
            "embedded_tokens": 0, "fuel": 9, "plan": "standard", "plan_version": 0, "cost_nanos": 0, "jws": "",
        });
        for (name, value) in receipt.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let passages: Vec<_> = passages
            .as_array()
            .unwrap()
            .iter()
            .map(|given| {
                let mut passage =
                    json!({"document": "doc", "chunk": 0, "title": "", "text": "", "score": 1.0, "metadata": {}});
                for (name, value) in given.as_object().unwrap() {
                    passage[name] = value.clone();
                }
                passage
            })
            .collect();
        serde_json::from_value(json!({"receipt": whole, "passages": passages, "citations": citations})).unwrap()
    }

    #[test]
    fn a_citation_is_shown_with_its_passage_and_check() {
        let riad = riad(
            &json!({}),
            &json!([{"title": "Warranty"}, {"title": "Returns"}]),
            &json!([{"passage": 2, "grounded": true}, {"passage": 1, "grounded": false},
                {"passage": 0, "grounded": true}, {"passage": 9, "grounded": false}]),
        );
        assert_eq!(
            sources(&riad),
            [
                "[2] Returns: grounded",
                "[1] Warranty: NOT grounded",
                "[0] no such passage: grounded",
                "[9] no such passage: NOT grounded"
            ]
        );
        let without = super::tests::riad(&json!({}), &json!([]), &Value::Null);
        assert!(sources(&without).is_empty());
    }
}
