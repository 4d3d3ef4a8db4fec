//! OpenAI's JSON of a chat request. Fields that would change the answer and cannot be honored are refused by name; the rest
//! that is not known is ignored, because clients send much. Not here: ranges and limits (`services`).

use crate::body;
use riad_core::{Error, Result, policy::Tier};
use riad_services::chat::{ChatMessage, ChatRequest};
use serde::Deserialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema,
        schema::{OneOfBuilder, Type},
    },
};

/// Fields that are not listed are ignored, or refused if ignoring them would change the answer (such as `tools`).
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChatCompletionRequest {
    /// `<base>` or `<base>:<adapter alias>`
    model: String,
    messages: Vec<MessageIn>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    /// OpenAI's newer name of `max_tokens`; wins if both are given.
    max_completion_tokens: Option<u32>,
    /// 0 to 2; the model's own if it is not given.
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<u32>,
    min_p: Option<f32>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    repetition_penalty: Option<f32>,
    #[schema(schema_with = body::strings_schema)]
    stop: Option<Stop>,
    n: Option<u32>,
    /// The same seed, prompt and sampling give the same answer; changes nothing at temperature 0.
    seed: Option<i64>,
    /// `auto` or `default`, `flex` (waits for what others leave), `priority` (if the tenant has it).
    service_tier: Option<String>,
    #[schema(ignore)]
    tools: Option<Value>,
    #[schema(ignore)]
    tool_choice: Option<Value>,
    #[schema(ignore)]
    functions: Option<Value>,
    #[schema(ignore)]
    function_call: Option<Value>,
    #[schema(ignore)]
    response_format: Option<Value>,
    #[schema(ignore)]
    logprobs: Option<Value>,
    #[schema(ignore)]
    top_logprobs: Option<Value>,
    #[schema(ignore)]
    logit_bias: Option<Value>,
    #[schema(ignore)]
    modalities: Option<Value>,
    #[schema(ignore)]
    audio: Option<Value>,
    #[schema(ignore)]
    web_search_options: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
pub(crate) struct MessageIn {
    /// `system` (or `developer`), `user` or `assistant`
    role: String,
    #[schema(schema_with = content_schema)]
    content: Content,
    #[schema(ignore)]
    tool_calls: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    include_usage: Option<bool>,
}

/// How the answer is to be sent.
pub(super) struct Output {
    pub stream: bool,
    pub include_usage: bool,
}

#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Stop(Vec<String>);

impl TryFrom<Value> for Stop {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        body::strings(value).map(Self)
    }
}

/// A string, or a list of text parts, which are joined by line ends.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Content(String);

#[derive(Deserialize)]
struct Part {
    r#type: String,
    text: Option<String>,
}

impl TryFrom<Value> for Content {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const WRONG: &str = "must be a string or a list of {\"type\": \"text\", \"text\": …}; only text can be read";
        match value {
            Value::String(text) => Ok(Self(text)),
            Value::Array(parts) => {
                let texts = parts
                    .into_iter()
                    .map(|part| {
                        let part: Part = serde_json::from_value(part).map_err(|_| WRONG)?;
                        part.text.filter(|_| part.r#type == "text").ok_or(WRONG)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(Self(texts.join("\n")))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(WRONG),
        }
    }
}

impl ChatCompletionRequest {
    /// What `services` is asked, and how the answer is to be sent.
    pub(super) fn split(self) -> Result<(ChatRequest, Output)> {
        self.refuse_what_cannot_be_honored()?;
        let output = Output {
            stream: self.stream.unwrap_or(false),
            include_usage: self
                .stream_options
                .and_then(|options| options.include_usage)
                .unwrap_or(false),
        };
        let message = |message: MessageIn| ChatMessage {
            role: message.role,
            content: message.content.0,
        };
        let request = ChatRequest {
            model: self.model,
            messages: self.messages.into_iter().map(message).collect(),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            repetition_penalty: self.repetition_penalty,
            stop: self.stop.map(|stop| stop.0).unwrap_or_default(),
            n: self.n,
            // Any 64 bits are a seed.
            seed: self.seed.map(i64::cast_unsigned),
            service_tier: self.service_tier.as_deref().map(tier).transpose()?.flatten(),
        };
        Ok((request, output))
    }

    fn refuse_what_cannot_be_honored(&self) -> Result<()> {
        let is_none = |value: &Value| value == "none" || is_empty(value);
        let is_text = |value: &Value| value.get("type").is_some_and(|kind| kind == "text");
        let only_text = |value: &Value| *value == serde_json::json!(["text"]) || is_empty(value);
        let asked = |value: &Option<Value>, harmless: &dyn Fn(&Value) -> bool| {
            value.as_ref().is_some_and(|value| !harmless(value))
        };
        for (name, asked) in [
            ("tools", asked(&self.tools, &is_empty)),
            ("tool_choice", asked(&self.tool_choice, &|v| is_none(v) || v == "auto")),
            ("functions", asked(&self.functions, &is_empty)),
            (
                "function_call",
                asked(&self.function_call, &|v| is_none(v) || v == "auto"),
            ),
            ("response_format", asked(&self.response_format, &is_text)),
            ("logprobs", asked(&self.logprobs, &|v| *v == Value::Bool(false))),
            ("top_logprobs", asked(&self.top_logprobs, &|v| *v == 0)),
            ("logit_bias", asked(&self.logit_bias, &is_empty)),
            ("modalities", asked(&self.modalities, &only_text)),
            ("audio", asked(&self.audio, &is_empty)),
            ("web_search_options", asked(&self.web_search_options, &|_| false)),
        ] {
            if asked {
                return Err(unsupported(name));
            }
        }
        match self.messages.iter().position(|m| asked(&m.tool_calls, &is_empty)) {
            Some(index) => Err(unsupported(&format!("messages[{index}].tool_calls"))),
            None => Ok(()),
        }
    }
}

/// OpenAI's words; `auto` leaves it to the server.
fn tier(word: &str) -> Result<Option<Tier>> {
    if word == "auto" {
        return Ok(None);
    }
    Tier::ALL
        .into_iter()
        .find(|tier| tier.as_str() == word)
        .map(Some)
        .ok_or_else(|| Error::invalid("service_tier is auto, default, flex or priority").with_param("service_tier"))
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn unsupported(name: &str) -> Error {
    Error::invalid(format!("{name} is not supported; leave it out")).with_param(name)
}

fn content_schema() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let part = ObjectBuilder::new()
        .property(
            "type",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(["text"])),
        )
        .property("text", text())
        .required("type")
        .required("text")
        .build();
    OneOfBuilder::new()
        .item(text())
        .item(ArrayBuilder::new().items(part).build())
        .into()
}
