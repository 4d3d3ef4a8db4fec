//! What a chat request says. Which of the members that have no field are refused, the server decides (`api`).

use crate::{parts, strings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Members that are not listed:
///
/// - Ignored, because they change nothing here: `user`, `metadata`, `safety_identifier`, `prompt_cache_key`, `prompt_cache_retention`,
///   `stream_options.include_obfuscation`, `name` and `tool_call_id` of a message.
/// - Refused with 400, where ignoring them would change what the client gets: others of OpenAI's (`functions`, `function_call`,
///   `modalities`, `audio`, `prediction`, `reasoning_effort`, `store`, `verbosity`, `web_search_options`), and those of other servers
///   (such as `min_tokens`, `ignore_eos`, `guided_json`, `chat_template_kwargs`). Their defaults are accepted: `store: false`,
///   `verbosity: "medium"`, `modalities: ["text"]`, `min_tokens: 0`.
/// - Ignored, because nobody's request type is known to have them: all others, since clients send many.
#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct ChatCompletionRequest {
    /// `<base>` or `<base>:<adapter alias>`
    pub model: String,
    pub messages: Vec<ChatMessage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// OpenAI's newer name of `max_tokens`; wins if both are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// 0 to 2; the model's own if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// How many of the likeliest tokens are chosen from; 0 and -1 are all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// Texts that end the answer. They do not end the reasoning before it.
    #[schema(schema_with = strings::schema)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// The same seed, prompt and sampling give the same answer; changes nothing at temperature 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Whether the answer has the logarithms of its tokens' probabilities. They are those of the model's own logits: `logit_bias`,
    /// penalties, `temperature`, `top_p`, `top_k` and `min_p` do not change them. Refused where a plugin of the tenant's serves the
    /// stage `postprocessing`, because tokens would show what it takes out of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many of the likeliest tokens are told at each place, 0 to 20. Needs `logprobs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// What is added to the logits of up to 300 tokens, by their numbers in the model's vocabulary: -100 (never) to 100 (always).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, f32>>,
    /// `auto` or `default`, `flex` (uses capacity that others leave), `priority` (if the tenant has it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Functions that the model may ask for: the answer then has `tool_calls`. Up to 128, with 128 KiB together. Refused where a plugin of
    /// the tenant's serves the stage `postprocessing`, which reads the content only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDefinition>>,
    /// `auto` (the model decides), `none`, `required`, or a function's name. Where a call is required, its arguments are written so that
    /// they follow their schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether there may be several calls in one answer; true if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// What the answer must be. It is written so that it cannot be anything else, but may be cut off by `max_tokens`
    /// (`finish_reason` is `length` then). A model's reasoning is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Members that are not listed, so that the server can refuse some of them by name.
    #[schema(ignore)]
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "ReadFormat")]
pub enum ResponseFormat {
    Text,
    /// Any JSON object.
    JsonObject,
    JsonSchema {
        json_schema: JsonSchemaFormat,
    },
}

/// A [`ResponseFormat`] as it is read: serde does not tell where inside of a tagged enum an error is.
#[derive(Deserialize)]
struct ReadFormat {
    r#type: FormatType,
    json_schema: Option<JsonSchemaFormat>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FormatType {
    Text,
    JsonObject,
    JsonSchema,
}

impl TryFrom<ReadFormat> for ResponseFormat {
    type Error = &'static str;

    fn try_from(format: ReadFormat) -> Result<Self, Self::Error> {
        match (format.r#type, format.json_schema) {
            (FormatType::Text, _) => Ok(Self::Text),
            (FormatType::JsonObject, _) => Ok(Self::JsonObject),
            (FormatType::JsonSchema, Some(json_schema)) => Ok(Self::JsonSchema { json_schema }),
            // In serde's words, of which the server makes the name of the member.
            (FormatType::JsonSchema, None) => Err("missing field `json_schema`"),
        }
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct JsonSchemaFormat {
    /// 1 to 64 letters, digits, `_` and `-`; changes nothing.
    pub name: String,
    /// Changes nothing: tell the model in a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of up to 64 KiB; any object if it is not given. Keywords that cannot be followed are refused by name. An object has
    /// the properties that its schema names and no others, unless `additionalProperties` says otherwise.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Changes nothing: every schema is followed strictly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ToolDefinition {
    #[schema(example = "function")]
    pub r#type: String,
    #[schema(required)]
    pub function: Option<FunctionDefinition>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct FunctionDefinition {
    /// 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema of an object; no arguments if it is not given.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Changes nothing: a required call follows its schema in any case, and the model's own does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ToolChoice {
    /// `none`, `auto` or `required`.
    Mode(String),
    Function {
        #[schema(example = "function")]
        r#type: String,
        function: FunctionName,
    },
    /// Refused.
    #[schema(value_type = Object)]
    Other(Value),
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct FunctionName {
    pub name: String,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct ChatMessage {
    /// `system` (or `developer`), `user`, `assistant`, `tool` (or `function`)
    pub role: String,
    /// An assistant's message and a tool's may have none. Only the user's has files, whose text the model reads before the question.
    #[schema(schema_with = parts::with_files)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Of an assistant's message, as it was answered: accepted, and not given to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Functions that an assistant's message called: the model reads them as text.
    #[schema(value_type = Option<Vec<Object>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Value>,
    /// Of a tool's message: the call that it answers. Results are given to the model in the order of their calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_call: Option<Value>,
    /// Of an assistant's message, as OpenAI answers it: the model reads it where there is no content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// OpenAI's, for an answer that was spoken. Refused.
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Value>,
    /// Of other servers: whether the answer goes on where this message ends. Refused.
    #[schema(ignore)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Value>,
}

#[derive(Default, Serialize, Deserialize, ToSchema)]
pub struct StreamOptions {
    pub include_usage: Option<bool>,
}

/// Texts that end the answer. Read from a string or a list of strings.
#[derive(Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Stop(pub Vec<String>);

impl TryFrom<Value> for Stop {
    type Error = &'static str;
    fn try_from(value: Value) -> Result<Self, Self::Error> {
        strings::read(value).map(Self)
    }
}

/// A message's text and files. Read from a string, or from a list of parts: texts, which are joined by line ends, and files.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Content {
    pub text: String,
    /// With their numbers among the parts.
    pub files: Vec<(usize, ContentFile)>,
}

/// A file of a message: one that is kept, or its bytes.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ContentFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// Base64, perhaps as a `data:` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    file: Option<ContentFile>,
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self {
            text,
            files: Vec::new(),
        }
    }
}

impl From<Content> for Value {
    fn from(content: Content) -> Self {
        if content.files.is_empty() {
            return Self::String(content.text);
        }
        let files = content.files.into_iter();
        let files = files.map(|(_, file)| json!({"type": "file", "file": file}));
        files.chain([json!({"type": "text", "text": content.text})]).collect()
    }
}

impl TryFrom<Value> for Content {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const WRONG: &str = "must be a string or a list of {\"type\": \"text\", \"text\": …} and {\"type\": \"file\", \"file\": …}; only text and files with text can be read";
        match value {
            Value::String(text) => Ok(text.into()),
            Value::Array(parts) => {
                let (mut texts, mut files) = (Vec::new(), Vec::new());
                for (index, part) in parts.into_iter().enumerate() {
                    let part: Part = serde_json::from_value(part).map_err(|_| WRONG)?;
                    match part.r#type.as_str() {
                        "text" => texts.push(part.text.ok_or(WRONG)?),
                        // Of an assistant's message, as OpenAI answers it.
                        "refusal" => texts.push(part.refusal.ok_or(WRONG)?),
                        "file" => files.push((index, part.file.ok_or(WRONG)?)),
                        _ => return Err(WRONG),
                    }
                }
                Ok(Self {
                    text: texts.join("\n"),
                    files,
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(WRONG),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = ChatCompletionRequest {
            model: "base".into(),
            messages: vec![ChatMessage {
                role: "user".into(),
                content: Some(String::from("Hello").into()),
                ..ChatMessage::default()
            }],
            stop: Some(Stop(vec!["a".into(), "b".into()])),
            ..ChatCompletionRequest::default()
        };
        let written = serde_json::to_value(&request).unwrap();
        let expected = json!({
            "model": "base", "messages": [{"role": "user", "content": "Hello"}], "stop": ["a", "b"],
        });
        assert_eq!(written, expected);
        let read: ChatCompletionRequest = serde_json::from_value(written).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    }

    #[test]
    fn text_parts_are_joined_and_other_parts_refused() {
        let text = |value| Content::try_from(value).map(|content| content.text);
        let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
        assert_eq!(text(parts).unwrap(), "a\nb");
        let with_file = json!([{"type": "file", "file": {"file_id": "file-1"}}, {"type": "text", "text": "a"}]);
        let content = Content::try_from(with_file.clone()).unwrap();
        let file = content.files.first().unwrap();
        assert_eq!(
            (content.text.as_str(), file.0, file.1.file_id.as_deref()),
            ("a", 0, Some("file-1"))
        );
        assert_eq!(Value::from(content), with_file);
        for bad in [
            json!([{"type": "image_url"}]),
            json!([{"type": "file"}]),
            json!([1]),
            json!({}),
            json!(null),
        ] {
            assert!(text(bad).is_err());
        }
    }
}
