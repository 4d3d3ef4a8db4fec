//! Reads a request of Anthropic's. A member that would change the answer and is not supported is refused by name. Not here: messages
//! (`content`), limits (`services`).

use super::{
    blocks::BlockOptions,
    content::{Conversation, wrong},
    names::Names,
};
use riad_api_types::messages::{
    MessagesOutputConfig, MessagesOutputFormat, MessagesRequest, MessagesThinking, MessagesTool, MessagesToolChoice,
};
use riad_core::{Result, chat::OutputFormat};
use riad_services::chat::{ChatRequest, OfferedTool, ToolChoice};
use serde_json::Value;

/// The request to `services`, how the answer is to be sent, and what errors call the request's parts.
pub(super) struct Read {
    pub request: ChatRequest,
    pub stream: bool,
    pub blocks: BlockOptions,
    pub names: Names,
}

/// # Errors
/// `InvalidRequest` names a member that would change the answer and is not supported, or that is no such member.
pub(super) fn read(body: MessagesRequest) -> Result<Read> {
    reject_unsupported_members(&body)?;
    if body
        .temperature
        .is_some_and(|temperature| !(0.0..=1.0).contains(&temperature))
    {
        return Err(wrong("temperature", "must be at least 0 and at most 1"));
    }
    if body
        .service_tier
        .is_some_and(|tier| tier != "auto" && tier != "standard_only")
    {
        return Err(wrong("service_tier", "must be auto or standard_only"));
    }
    if body.messages.is_empty() {
        return Err(wrong("messages", "must have at least one message"));
    }
    let Conversation { messages, names } = Conversation::read(body.system, body.messages)?;
    let parallel_tool_calls = body
        .tool_choice
        .as_ref()
        .and_then(|choice| choice.disable_parallel_tool_use);
    let tool_choice = body.tool_choice.map(read_tool_choice).transpose()?;
    let blocks = BlockOptions {
        thinking: body.thinking.map_or(Ok(false), read_thinking)?,
        pieces_of_input: matches!(tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))),
    };
    let request = ChatRequest {
        model: body.model,
        messages,
        max_tokens: body.max_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        top_k: body.top_k,
        stop: body.stop_sequences.unwrap_or_default(),
        tools: read_tools(body.tools.unwrap_or_default())?,
        tool_choice,
        parallel_tool_calls: parallel_tool_calls.map(|disabled| !disabled),
        format: read_format(body.output_config, body.output_format)?,
        ..ChatRequest::default()
    };
    Ok(Read {
        request,
        stream: body.stream.unwrap_or(false),
        blocks,
        names,
    })
}

fn reject_unsupported_members(body: &MessagesRequest) -> Result<()> {
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let is_standard = |value: &Value| value == "standard";
    let is_set =
        |value: &Option<Value>, harmless: &dyn Fn(&Value) -> bool| value.as_ref().is_some_and(|value| !harmless(value));
    for (name, is_set) in [
        ("mcp_servers", is_set(&body.mcp_servers, &is_empty)),
        ("container", is_set(&body.container, &|_| false)),
        (
            "context_management",
            is_set(&body.context_management, &clears_only_thinking),
        ),
        ("compaction", is_set(&body.compaction, &|_| false)),
        ("thread", is_set(&body.thread, &|_| false)),
        ("inference_geo", is_set(&body.inference_geo, &|_| false)),
        ("speed", is_set(&body.speed, &is_standard)),
    ] {
        if is_set {
            return Err(wrong(name, "is not supported; leave it out"));
        }
    }
    Ok(())
}

/// No thinking of earlier answers is given to the model in any case. Agents ask for this by default.
fn clears_only_thinking(management: &Value) -> bool {
    let edits = management.get("edits").and_then(Value::as_array);
    let clears_thinking = |edit: &Value| {
        let r#type = edit.get("type").and_then(Value::as_str);
        r#type.is_some_and(|r#type| r#type.starts_with("clear_thinking"))
    };
    edits.is_some_and(|edits| edits.iter().all(clears_thinking))
}

/// Whether the answer shows what the model thinks.
fn read_thinking(thinking: MessagesThinking) -> Result<bool> {
    let shown = match thinking.display.as_deref() {
        None | Some("summarized") => true,
        Some("omitted") => false,
        Some(_) => return Err(wrong("thinking.display", "must be summarized or omitted")),
    };
    match thinking.r#type.as_str() {
        "disabled" => Ok(false),
        "enabled" | "adaptive" | "between_tools" => Ok(shown),
        _ => Err(wrong(
            "thinking.type",
            "must be disabled, enabled, adaptive or between_tools",
        )),
    }
}

fn read_tools(tools: Vec<MessagesTool>) -> Result<Vec<OfferedTool>> {
    let read = |(index, tool): (usize, MessagesTool)| match (tool.r#type.as_deref(), tool.name) {
        (None | Some("custom"), Some(name)) => Ok(OfferedTool {
            name,
            description: tool.description,
            parameters: tool.input_schema,
        }),
        (None | Some("custom"), None) => Err(wrong(&format!("tools[{index}].name"), "is missing")),
        (Some(other), _) => {
            let text = format!("tools of the type {other:?} are not supported; describe it as a custom tool");
            Err(wrong(&format!("tools[{index}].type"), &text))
        }
    };
    tools.into_iter().enumerate().map(read).collect()
}

fn read_tool_choice(choice: MessagesToolChoice) -> Result<ToolChoice> {
    match (choice.r#type.as_str(), choice.name) {
        ("auto", _) => Ok(ToolChoice::Auto),
        ("any", _) => Ok(ToolChoice::Required),
        ("none", _) => Ok(ToolChoice::None),
        ("tool", Some(name)) => Ok(ToolChoice::Named(name)),
        ("tool", None) => Err(wrong("tool_choice.name", "is missing")),
        _ => Err(wrong("tool_choice.type", "must be auto, any, tool or none")),
    }
}

fn read_format(
    config: Option<MessagesOutputConfig>,
    older: Option<MessagesOutputFormat>,
) -> Result<Option<OutputFormat>> {
    let (name, format) = match (config.and_then(|config| config.format), older) {
        (None, None) => return Ok(None),
        (Some(format), None) => ("output_config.format", format),
        (None, Some(format)) => ("output_format", format),
        (Some(_), Some(_)) => {
            let text = "is the older name of output_config.format; send one of them";
            return Err(wrong("output_format", text));
        }
    };
    match (format.r#type.as_str(), format.schema) {
        ("json_schema", Some(schema)) => Ok(Some(OutputFormat::JsonSchema(schema))),
        ("json_schema", None) => Err(wrong(&format!("{name}.schema"), "is missing")),
        _ => Err(wrong(&format!("{name}.type"), "must be json_schema")),
    }
}
