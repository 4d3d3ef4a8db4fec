//! async-openai, whose types are strict: an answer that lacks a member, or has another type, is an error. See `python/common.py` for what
//! a script says.

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::{ReqwestService, retry::OpenAIRetryLayer},
    types::{
        chat::{CreateChatCompletionRequest, CreateChatCompletionResponse, FinishReason},
        completions::CreateCompletionRequest,
        embeddings::CreateEmbeddingRequest,
        responses::CreateResponse,
    },
};
use futures::StreamExt;
use serde_json::{Value, from_value, json};
use std::{env, error::Error, process::ExitCode};
use tower::Layer;

type Checked<T = ()> = Result<T, Box<dyn Error>>;

const VERSION: &str = "0.42.2";
const MODEL: &str = "riad-mini";
const EMBEDDER: &str = "static-256";

macro_rules! check {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*).into());
        }
    };
}

fn connect(key: &str, retries: usize) -> Client<OpenAIConfig> {
    let variable = |name: &str| env::var(name).expect(name);
    let config = OpenAIConfig::new()
        .with_api_base(format!("{}/v1", variable("RIAD_URL")))
        .with_api_key(if key.starts_with("RIAD_") {
            variable(key)
        } else {
            key.to_owned()
        });
    let service = ReqwestService::new(reqwest::Client::new());
    Client::with_config(config).with_http_service(OpenAIRetryLayer::new(retries).layer(service))
}

/// The client's type, read from JSON, because each has a builder of its own.
fn chat(more: Value) -> Checked<CreateChatCompletionRequest> {
    let mut body = json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": "What is the refund window?"}],
        "temperature": 0.0,
        "max_completion_tokens": 128,
    });
    body.as_object_mut()
        .ok_or("no object")?
        .extend(more.as_object().cloned().unwrap_or_default());
    Ok(from_value(body)?)
}

fn content(answer: &CreateChatCompletionResponse) -> &str {
    answer.choices[0].message.content.as_deref().unwrap_or_default()
}

fn weather() -> Value {
    json!({
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Bern", "Oslo"]}, "tomorrow": {"type": "boolean"}},
        "required": ["city", "tomorrow"],
        "additionalProperties": false,
    })
}

fn check_weather(text: &str) -> Checked {
    let weather: Value = serde_json::from_str(text)?;
    check!(
        ["Bern", "Oslo"].contains(&weather["city"].as_str().unwrap_or_default()),
        "{text}"
    );
    check!(weather["tomorrow"].is_boolean(), "{text}");
    Ok(())
}

async fn models(client: &Client<OpenAIConfig>) -> Checked {
    let models = client.models().list().await?;
    check!(models.data.iter().any(|model| model.id == MODEL), "{models:?}");
    check!(client.models().retrieve(MODEL).await?.id == MODEL, "another model");
    Ok(())
}

async fn chats(client: &Client<OpenAIConfig>) -> Checked {
    let answer = client
        .chat()
        .create(chat(json!({"user": "somebody", "logprobs": true}))?)
        .await?;
    check!(!content(&answer).is_empty(), "{answer:?}");
    check!(
        answer.usage.as_ref().is_some_and(|usage| usage.completion_tokens > 0),
        "{answer:?}"
    );
    Ok(())
}

async fn streams(client: &Client<OpenAIConfig>) -> Checked {
    let whole = client.chat().create(chat(json!({}))?).await?;
    let request = chat(json!({"stream_options": {"include_usage": true}}))?;
    let mut stream = client.chat().create_stream(request).await?;
    let (mut text, mut usage) = (String::new(), None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        text.extend(
            chunk
                .choices
                .iter()
                .filter_map(|choice| choice.delta.content.as_deref()),
        );
        usage = chunk.usage.or(usage);
    }
    check!(text == content(&whole), "{text:?} and {:?}", content(&whole));
    check!(usage.is_some(), "no usage");
    Ok(())
}

async fn tools(client: &Client<OpenAIConfig>) -> Checked {
    let tool = json!({"type": "function", "function": {"name": "weather", "parameters": weather(), "strict": true}});
    for choice in [
        json!("required"),
        json!({"type": "function", "function": {"name": "weather"}}),
    ] {
        let request = chat(json!({"tools": [tool], "tool_choice": choice, "parallel_tool_calls": false}))?;
        let answer = serde_json::to_value(client.chat().create(request).await?)?;
        let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
        check!(call["name"] == "weather", "{answer}");
        check_weather(call["arguments"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

async fn structured(client: &Client<OpenAIConfig>) -> Checked {
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "weather", "schema": weather(), "strict": true}});
    let answer = client.chat().create(chat(json!({"response_format": format}))?).await?;
    check!(
        answer.choices[0].finish_reason == Some(FinishReason::Stop),
        "{answer:?}"
    );
    check_weather(content(&answer))
}

async fn embeddings(client: &Client<OpenAIConfig>) -> Checked {
    let request = |format: &str| -> Checked<CreateEmbeddingRequest> {
        let input = ["a lamp", "a light"];
        Ok(from_value(
            json!({"model": EMBEDDER, "input": input, "encoding_format": format}),
        )?)
    };
    let made = client.embeddings().create(request("float")?).await?;
    check!(made.data.len() == 2 && made.data[0].embedding.len() == 256, "{made:?}");
    let packed = client.embeddings().create_base64(request("base64")?).await?;
    check!(packed.data.len() == 2, "{packed:?}");
    Ok(())
}

async fn completions(client: &Client<OpenAIConfig>) -> Checked {
    let body = json!({"model": MODEL, "prompt": "The refund window is", "temperature": 0.0, "max_tokens": 8});
    let request: CreateCompletionRequest = from_value(body)?;
    let whole = client.completions().create(request.clone()).await?;
    let mut stream = client.completions().create_stream(request).await?;
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        text.extend(chunk?.choices.into_iter().map(|choice| choice.text));
    }
    check!(
        !text.is_empty() && text == whole.choices[0].text,
        "{text:?} and {whole:?}"
    );
    Ok(())
}

async fn responses(client: &Client<OpenAIConfig>) -> Checked {
    let body = json!({"model": MODEL, "input": "What is the refund window?", "temperature": 0.0, "max_output_tokens": 128, "store": false});
    let request: CreateResponse = from_value(body)?;
    let whole = client
        .responses()
        .create(request.clone())
        .await?
        .output_text()
        .unwrap_or_default();
    let mut stream = client.responses().create_stream(request).await?;
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        let event = serde_json::to_value(event?)?;
        if event["type"] == "response.output_text.delta" {
            text += event["delta"].as_str().unwrap_or_default();
        }
    }
    check!(!text.is_empty() && text == whole, "{text:?} and {whole:?}");
    Ok(())
}

/// The code of the error that the API tells.
async fn refused(client: &Client<OpenAIConfig>, more: Value) -> Checked<String> {
    match client.chat().create(chat(more)?).await {
        Ok(answer) => Err(format!("it was served: {answer:?}").into()),
        Err(OpenAIError::ApiError(error)) => Ok(error.to_string()),
        Err(error) => Err(error.into()),
    }
}

async fn errors(client: &Client<OpenAIConfig>) -> Checked {
    let stranger = connect("riad_sk_wrong", 0);
    for (client, more, word) in [
        (&stranger, json!({}), "invalid_api_key"),
        (client, json!({"model": "gpt-none"}), "model_not_found"),
        (client, json!({"temperature": 3.0}), "temperature"),
    ] {
        let error = refused(client, more).await?;
        check!(error.contains(word), "{error} lacks {word}");
    }
    Ok(())
}

async fn retries(_: &Client<OpenAIConfig>) -> Checked {
    // A budget that is spent is no matter of waiting.
    let spent = connect("RIAD_SPENT_KEY", 3);
    drop(spent.chat().create(chat(json!({}))?).await);
    let error = refused(&spent, json!({})).await?;
    check!(error.contains("insufficient_quota"), "{error}");
    // More than a minute allows at once.
    let patient = connect("RIAD_LIMITED_KEY", 8);
    for _ in 0..24 {
        let request = chat(json!({"max_completion_tokens": 2}))?;
        patient.chat().create(request).await?;
    }
    let hasty = connect("RIAD_LIMITED_KEY", 0);
    for _ in 0..24 {
        match hasty.chat().create(chat(json!({"max_completion_tokens": 2}))?).await {
            Err(OpenAIError::ApiError(error)) if error.status_code == 429 => return Ok(()),
            answered => drop(answered?),
        }
    }
    Err("24 requests and no limit".into())
}

#[tokio::main]
async fn main() -> ExitCode {
    println!("@ version {VERSION}");
    let client = connect("RIAD_KEY", 0);
    let mut code = ExitCode::SUCCESS;
    let mut say = |name: &str, checked: Checked| match checked {
        Ok(()) => println!("@ {name} ok"),
        Err(error) => {
            println!("{name}: {error}\n@ {name} failed");
            code = ExitCode::FAILURE;
        }
    };
    say("models", models(&client).await);
    say("chat", chats(&client).await);
    say("stream", streams(&client).await);
    say("tools", tools(&client).await);
    say("structured", structured(&client).await);
    say("embeddings", embeddings(&client).await);
    say("completions", completions(&client).await);
    say("responses", responses(&client).await);
    say("errors", errors(&client).await);
    say("retries", retries(&client).await);
    code
}
