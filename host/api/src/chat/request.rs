//! Reads a chat request. Not here: members that are refused (`unsupported`), ranges and limits (`services`).

use crate::{file_parts::FilePart, unsupported};
use riad_api_types::chat::{self as types, ChatCompletionRequest, JsonSchemaFormat, ResponseFormat};
use riad_core::{
    Error, Result,
    chat::{OutputFormat, is_function_name},
    policy::Tier,
};
use riad_services::chat::{AttachedFile, ChatMessage, ChatRequest, OfferedTool, ToolCall, ToolChoice};
use serde::Deserialize;
use serde_json::Value;

/// How the answer is to be sent.
pub(super) struct Output {
    pub stream: bool,
    pub logprobs: bool,
    pub include_usage: bool,
}

/// The request to `services`, and how the answer is to be sent.
///
/// # Errors
/// `InvalidRequest` names a field that would change the answer and is not supported.
pub(super) fn read(body: ChatCompletionRequest) -> Result<(ChatRequest, Output)> {
    unsupported::refuse(&body.other, unsupported::CHAT)?;
    let output = Output {
        stream: body.stream.unwrap_or(false),
        logprobs: body.logprobs.unwrap_or(false),
        include_usage: body
            .stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or(false),
    };
    let mut files = Vec::new();
    let messages = body.messages.into_iter().enumerate();
    let messages = messages.map(|(index, message)| read_message(index, message, &mut files));
    let messages = messages.collect::<Result<_>>()?;
    let request = ChatRequest {
        model: body.model,
        messages,
        max_tokens: body.max_completion_tokens.or(body.max_tokens),
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        min_p: body.min_p,
        frequency_penalty: body.frequency_penalty,
        presence_penalty: body.presence_penalty,
        repetition_penalty: body.repetition_penalty,
        stop: body.stop.map(|stop| stop.0).unwrap_or_default(),
        n: body.n,
        // Any 64 bits are a seed.
        seed: body.seed.map(i64::cast_unsigned),
        logprobs: body.logprobs,
        top_logprobs: body.top_logprobs,
        logit_bias: body.logit_bias.unwrap_or_default(),
        tools: read_tools(body.tools.unwrap_or_default())?,
        tool_choice: body.tool_choice.map(read_tool_choice).transpose()?,
        parallel_tool_calls: body.parallel_tool_calls,
        format: body.response_format.map(read_format).transpose()?.flatten(),
        service_tier: read_tier(body.service_tier.as_deref())?,
        kept_as: None,
        file_search: None,
        files,
    };
    Ok((request, output))
}

/// The message, of which the files are added to those of the messages before it.
pub(crate) fn read_message(
    index: usize,
    message: types::ChatMessage,
    files: &mut Vec<AttachedFile>,
) -> Result<ChatMessage> {
    let wrong = |member: &str| {
        let param = format!("messages[{index}].{member}");
        let text = format!("{param} must have a function with a name and arguments");
        Error::invalid(text).with_param(param)
    };
    for (name, is_set) in [
        ("audio", message.audio.is_some()),
        ("prefix", message.prefix.is_some_and(|value| value != false)),
    ] {
        if is_set {
            let param = format!("messages[{index}].{name}");
            return Err(unsupported::leave_out(&param));
        }
    }
    let mut tool_calls = match message.tool_calls {
        None => Vec::new(),
        Some(calls) => {
            let calls: Vec<Call> = serde_json::from_value(calls).map_err(|_| wrong("tool_calls"))?;
            calls
                .into_iter()
                .map(|call| ToolCall {
                    id: call.id,
                    ..call.function.into()
                })
                .collect()
        }
    };
    if let Some(call) = message.function_call {
        let function: Function = serde_json::from_value(call).map_err(|_| wrong("function_call"))?;
        tool_calls.push(function.into());
    }
    let content = message.content;
    for (part, file) in content.iter().flat_map(|content| &content.files) {
        let name = format!("messages[{index}].content[{part}]");
        if message.role != "user" {
            let text = format!("{name}: a file belongs into a message of the user");
            return Err(Error::invalid(text).with_param(name));
        }
        let part = FilePart {
            file_id: file.file_id.as_deref(),
            file_data: file.file_data.as_deref(),
            filename: file.filename.as_deref(),
        };
        files.push(part.read(&format!("{name}.file"))?);
    }
    Ok(ChatMessage {
        role: message.role,
        content: content.map(|content| content.text).or(message.refusal),
        tool_calls,
        tool_call_id: message.tool_call_id,
    })
}

/// OpenAI's custom tools have a text where functions have arguments.
#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    #[serde(alias = "custom")]
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default, alias = "input")]
    arguments: Value,
}

impl From<Function> for ToolCall {
    fn from(function: Function) -> Self {
        let arguments = match function.arguments {
            Value::String(arguments) => arguments,
            // Some clients send the object itself.
            arguments @ (Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_)) => {
                arguments.to_string()
            }
            Value::Null => "{}".to_owned(),
        };
        Self {
            id: None,
            name: function.name,
            arguments,
        }
    }
}

fn read_tools(tools: Vec<types::ToolDefinition>) -> Result<Vec<OfferedTool>> {
    let read = |(index, tool): (usize, types::ToolDefinition)| match (tool.r#type.as_str(), tool.function) {
        ("function", Some(function)) => Ok(OfferedTool {
            name: function.name,
            description: function.description,
            parameters: function.parameters,
        }),
        ("function", None) => {
            let param = format!("tools[{index}].function");
            Err(Error::invalid(format!("{param} is missing")).with_param(param))
        }
        (other, _) => {
            let text = format!("tools of the type {other:?} are not supported; the type must be function");
            Err(Error::invalid(text).with_param(format!("tools[{index}].type")))
        }
    };
    tools.into_iter().enumerate().map(read).collect()
}

fn read_tool_choice(choice: types::ToolChoice) -> Result<ToolChoice> {
    match choice {
        types::ToolChoice::Function { r#type, function } if r#type == "function" => {
            Ok(ToolChoice::Named(function.name))
        }
        types::ToolChoice::Mode(mode) if mode == "none" => Ok(ToolChoice::None),
        types::ToolChoice::Mode(mode) if mode == "auto" => Ok(ToolChoice::Auto),
        types::ToolChoice::Mode(mode) if mode == "required" => Ok(ToolChoice::Required),
        types::ToolChoice::Function { .. } | types::ToolChoice::Mode(_) | types::ToolChoice::Other(_) => {
            Err(Error::invalid("tool_choice must be none, auto, required or a function").with_param("tool_choice"))
        }
    }
}

fn read_format(format: ResponseFormat) -> Result<Option<OutputFormat>> {
    match format {
        ResponseFormat::Text => Ok(None),
        ResponseFormat::JsonObject => Ok(Some(OutputFormat::JsonObject)),
        ResponseFormat::JsonSchema {
            json_schema: JsonSchemaFormat { name, schema, .. },
        } => read_schema(&name, schema, "response_format.json_schema.name").map(Some),
    }
}

/// `param` is what an error calls the name.
pub(crate) fn read_schema(name: &str, schema: Option<Value>, param: &str) -> Result<OutputFormat> {
    if !is_function_name(name) {
        let message = "the name of a schema has 1 to 64 letters, digits, _ and -";
        return Err(Error::invalid(message).with_param(param));
    }
    Ok(schema.map_or(OutputFormat::JsonObject, OutputFormat::JsonSchema))
}

/// OpenAI's names; `auto` leaves the choice to the server.
pub(crate) fn read_tier(name: Option<&str>) -> Result<Option<Tier>> {
    let Some(name) = name.filter(|name| *name != "auto") else {
        return Ok(None);
    };
    Tier::ALL
        .into_iter()
        .find(|tier| tier.as_str() == name)
        .map(Some)
        .ok_or_else(|| {
            Error::invalid("service_tier must be auto, default, flex or priority").with_param("service_tier")
        })
}
