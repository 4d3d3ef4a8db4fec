//! Reads a request for a response. A member that is not supported is refused by name. Not here: the items of the input (`input`), ranges
//! and limits (`services`).

use super::{
    input::{self, GivenItem, read_members},
    list::{self, LOGPROBS, check_include},
};
use crate::{
    body::parse_id,
    chat::request::{read_schema, read_tier},
    unsupported,
    vector_stores::file_search,
};
use riad_api_types::responses::{
    AnyResponseTool, FileSearchTool, ResponseObject, ResponseReasoningOptions, ResponseRequest, ResponseTextFormat,
    ResponseTextOptions, ResponseTool, ResponseToolChoice,
};
use riad_core::{Error, ErrorKind, ResponseId, Result, Timestamp, chat::OutputFormat};
use riad_services::{
    chat::{ChatMessage, ChatRequest, OfferedTool, ToolChoice},
    responses::PREVIOUS_NOT_FOUND,
    vector_stores::FileSearch,
};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// OpenAI's bounds.
const METADATA_MAX: usize = 16;
const METADATA_NAME: usize = 64;
const METADATA_TEXT: usize = 512;

pub(super) struct ReadRequest {
    /// Without its messages.
    pub chat: ChatRequest,
    pub input: Vec<GivenItem>,
    pub previous: Option<ResponseId>,
    /// As it is before anything is answered.
    pub response: ResponseObject,
    /// Whether it has what was found in vector stores.
    pub shows_results: bool,
    pub stream: bool,
}

/// # Errors
/// `InvalidRequest` names a member that is wrong or not supported.
pub(super) fn read(body: ResponseRequest) -> Result<ReadRequest> {
    reject_unsupported_members(&body)?;
    let suffix = Uuid::now_v7().simple().to_string();
    let input = input::read(body.input, &suffix)?;
    let previous = body.previous_response_id.as_deref().map(read_previous).transpose()?;
    let include = body.include.unwrap_or_default();
    let shows_results = list::shows_results(&include);
    check_include(&include)?;
    let logprobs = include.iter().any(|include| include == LOGPROBS);
    if body.top_logprobs.is_some_and(|top| top > 0) && !logprobs {
        return Err(Error::invalid(format!("top_logprobs needs {LOGPROBS} in include")).with_param("top_logprobs"));
    }
    let metadata = body.metadata.unwrap_or_default();
    check_metadata(&metadata)?;
    for (name, text) in [
        ("user", &body.user),
        ("safety_identifier", &body.safety_identifier),
        ("prompt_cache_key", &body.prompt_cache_key),
    ] {
        if text.as_ref().is_some_and(|text| text.chars().count() > METADATA_TEXT) {
            let text = format!("{name} may have up to {METADATA_TEXT} characters");
            return Err(Error::invalid(text).with_param(name));
        }
    }
    let OfferedTools {
        given: tools,
        functions,
        file_search,
    } = read_tools(body.tools.unwrap_or_default())?;
    let tool_choice = body
        .tool_choice
        .unwrap_or_else(|| ResponseToolChoice::Mode("auto".into()));
    let text = body.text.unwrap_or_default();
    check_verbosity(text.verbosity.as_deref())?;
    let chat = ChatRequest {
        model: body.model.clone(),
        max_tokens: body.max_output_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        logprobs: logprobs.then_some(true),
        top_logprobs: body.top_logprobs,
        tool_choice: read_tool_choice(&tool_choice, functions.is_empty(), file_search.is_some())?,
        tools: functions,
        // The documents of the room are searched then, as without the tool.
        file_search: file_search.filter(|_| !is_none(&tool_choice)),
        parallel_tool_calls: body.parallel_tool_calls,
        format: text.format.as_ref().map(read_format).transpose()?.flatten(),
        service_tier: read_tier(body.service_tier.as_deref())?,
        ..ChatRequest::default()
    };
    let response = ResponseObject {
        id: format!("resp_{suffix}"),
        object: "response".into(),
        created_at: Timestamp::now().as_seconds(),
        completed_at: None,
        status: "in_progress".into(),
        error: None,
        incomplete_details: None,
        model: body.model,
        output: Vec::new(),
        usage: None,
        instructions: body.instructions,
        previous_response_id: body.previous_response_id,
        store: body.store.unwrap_or(true),
        max_output_tokens: body.max_output_tokens,
        temperature: body.temperature,
        top_p: body.top_p,
        tools,
        tool_choice,
        parallel_tool_calls: body.parallel_tool_calls.unwrap_or(true),
        text: ResponseTextOptions {
            format: Some(text.format.unwrap_or(ResponseTextFormat::Text)),
            verbosity: text.verbosity,
        },
        reasoning: ResponseReasoningOptions::default(),
        top_logprobs: body.top_logprobs.unwrap_or(0),
        service_tier: body.service_tier,
        metadata,
        truncation: "disabled".into(),
        background: false,
        max_tool_calls: None,
        user: body.user,
        safety_identifier: body.safety_identifier,
        prompt_cache_key: body.prompt_cache_key,
        prompt_cache_retention: body.prompt_cache_retention,
        riad: None,
    };
    Ok(ReadRequest {
        chat,
        input,
        previous,
        response,
        shows_results,
        stream: body.stream.unwrap_or(false),
    })
}

/// The messages of the whole conversation, and what each is called in the request.
pub(super) fn join(
    instructions: Option<String>,
    before: Vec<ChatMessage>,
    own: Vec<(usize, ChatMessage)>,
) -> (Vec<ChatMessage>, Vec<String>) {
    let instructions = instructions
        .filter(|text| !text.trim().is_empty())
        .map(|text| ChatMessage {
            role: "system".into(),
            content: Some(text),
            ..ChatMessage::default()
        });
    let instructions = instructions
        .into_iter()
        .map(|message| (message, "instructions".to_owned()));
    let before = before
        .into_iter()
        .map(|message| (message, "previous_response_id".to_owned()));
    let own = own
        .into_iter()
        .map(|(index, message)| (message, format!("input[{index}]")));
    instructions.chain(before).chain(own).unzip()
}

/// `services` names the members of a chat; `sources` are the names of its messages here.
pub(super) fn rename(error: Error, sources: &[String]) -> Error {
    let (Some(param), ErrorKind::InvalidRequest | ErrorKind::ContextTooLong) = (error.param(), error.kind()) else {
        return error;
    };
    let renamed = match param {
        "messages" => "input".to_owned(),
        "max_tokens" => "max_output_tokens".to_owned(),
        "response_format" => "text.format".to_owned(),
        "logprobs" => "include".to_owned(),
        _ => match message_at(param) {
            Some((index, member)) => match sources.get(index) {
                Some(source) if source.starts_with("input") => format!("{source}.{member}"),
                Some(source) => source.clone(),
                None => "input".to_owned(),
            },
            None => param.replace("].function.", "]."),
        },
    };
    let mut text = error.message().replace("max_tokens", "max_output_tokens");
    // A word of its own only there.
    if param.contains(['[', '_']) {
        text = text.replace(param, &renamed);
    }
    Error::new(error.kind(), text).with_param(renamed)
}

/// The number of a message, and its member.
fn message_at(param: &str) -> Option<(usize, &str)> {
    let (index, member) = param.strip_prefix("messages[")?.split_once("].")?;
    Some((index.parse().ok()?, member))
}

fn reject_unsupported_members(body: &ResponseRequest) -> Result<()> {
    for (name, member) in [
        ("access_programs", &body.access_programs),
        ("background_options", &body.background_options),
        ("context_management", &body.context_management),
        ("conversation", &body.conversation),
        ("image", &body.image),
        ("max_tool_calls", &body.max_tool_calls),
        ("moderation", &body.moderation),
        ("prompt", &body.prompt),
        ("prompt_cache_options", &body.prompt_cache_options),
    ] {
        if member.is_some() {
            return Err(unsupported::leave_out(name));
        }
    }
    let reasoning = body.reasoning.as_ref();
    for (name, is_set) in [
        ("background", body.background == Some(true)),
        (
            "stream_options.include_obfuscation",
            body.stream_options
                .as_ref()
                .is_some_and(|options| options.include_obfuscation == Some(true)),
        ),
        (
            "reasoning.effort",
            reasoning.is_some_and(|reasoning| reasoning.effort.is_some()),
        ),
        (
            "reasoning.summary",
            reasoning.is_some_and(|reasoning| reasoning.summary.is_some()),
        ),
        (
            "reasoning.generate_summary",
            reasoning.is_some_and(|reasoning| reasoning.generate_summary.is_some()),
        ),
        (
            "reasoning.context",
            reasoning.is_some_and(|reasoning| reasoning.context.is_some()),
        ),
        (
            "reasoning.mode",
            reasoning.is_some_and(|reasoning| reasoning.mode.is_some()),
        ),
    ] {
        if is_set {
            return Err(unsupported::leave_out(name));
        }
    }
    match body.truncation.as_deref() {
        None | Some("disabled") => Ok(()),
        Some(other) => {
            let text = format!(
                "truncation {other:?} is not supported; leave it out: the room's pipeline decides what it leaves out of a long conversation"
            );
            Err(Error::invalid(text).with_param("truncation"))
        }
    }
}

fn read_previous(id: &str) -> Result<ResponseId> {
    let missing = |_| {
        Error::invalid(format!("there is no response {id:?}"))
            .with_param("previous_response_id")
            .with_code(PREVIOUS_NOT_FOUND)
    };
    id.parse().map_err(missing)
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<()> {
    let fits = |(name, text): (&String, &String)| {
        name.chars().count() <= METADATA_NAME && text.chars().count() <= METADATA_TEXT
    };
    match metadata.len() <= METADATA_MAX && metadata.iter().all(fits) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "metadata may have up to {METADATA_MAX} texts of up to {METADATA_TEXT} characters, under names of up to {METADATA_NAME}"
        ))
        .with_param("metadata")),
    }
}

fn check_verbosity(verbosity: Option<&str>) -> Result<()> {
    match verbosity {
        None | Some("low" | "medium" | "high") => Ok(()),
        Some(_) => Err(Error::invalid("text.verbosity must be low, medium or high").with_param("text.verbosity")),
    }
}

/// The tools of a request.
#[derive(Default)]
struct OfferedTools {
    /// As they were sent.
    given: Vec<AnyResponseTool>,
    functions: Vec<OfferedTool>,
    file_search: Option<FileSearch>,
}

fn read_tools(tools: Vec<Value>) -> Result<OfferedTools> {
    let mut offered_tools = OfferedTools::default();
    for (index, tool) in tools.into_iter().enumerate() {
        let name = format!("tools[{index}]");
        // First: tools of other types have other members.
        match tool.get("type").and_then(Value::as_str) {
            Some("file_search") => {
                let tool: FileSearchTool = read_members(&name, tool)?;
                if offered_tools.file_search.is_some() {
                    return Err(Error::invalid("a response has one file_search at most").with_param(name));
                }
                offered_tools.file_search = Some(read_file_search(&name, tool.clone())?);
                offered_tools.given.push(AnyResponseTool::FileSearch(Box::new(tool)));
            }
            None | Some("function") => {
                let tool = read_function(&name, tool)?;
                offered_tools.functions.push(offered(&tool));
                offered_tools.given.push(AnyResponseTool::Function(Box::new(tool)));
            }
            Some(r#type) => {
                let text =
                    format!("tools of the type {type:?} are not supported; the type must be function or file_search");
                return Err(Error::invalid(text).with_param(format!("{name}.type")));
            }
        }
    }
    Ok(offered_tools)
}

fn read_file_search(name: &str, tool: FileSearchTool) -> Result<FileSearch> {
    let id = |id: String| {
        let param = format!("{name}.vector_store_ids");
        parse_id("vector store", &id).map_err(|error: Error| Error::invalid(error.message()).with_param(param))
    };
    let stores = tool.vector_store_ids.into_iter().map(id).collect::<Result<_>>()?;
    let search = file_search(
        stores,
        tool.max_num_results,
        tool.filters,
        tool.ranking_options.as_ref(),
    );
    search.map_err(|error| {
        let param = format!("{name}.{}", error.param().unwrap_or_default());
        Error::new(error.kind(), error.message()).with_param(param)
    })
}

fn read_function(name: &str, tool: Value) -> Result<ResponseTool> {
    let tool: ResponseTool = read_members(name, tool)?;
    let is_direct = |callers: &Value| *callers == serde_json::json!(["direct"]);
    let is_false = |value: &Value| *value == Value::Bool(false);
    for (member, is_set) in [
        (
            "allowed_callers",
            tool.allowed_callers.as_ref().is_some_and(|callers| !is_direct(callers)),
        ),
        ("async", tool.r#async.as_ref().is_some_and(|value| !is_false(value))),
        (
            "defer_loading",
            tool.defer_loading.as_ref().is_some_and(|value| !is_false(value)),
        ),
        ("output_schema", tool.output_schema.is_some()),
    ] {
        if is_set {
            return Err(unsupported::leave_out(&format!("{name}.{member}")));
        }
    }
    Ok(tool)
}

fn offered(tool: &ResponseTool) -> OfferedTool {
    OfferedTool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.clone(),
    }
}

fn is_none(choice: &ResponseToolChoice) -> bool {
    matches!(choice, ResponseToolChoice::Mode(mode) if mode == "none")
}

/// The model's choice among functions. A `file_search` has been made before it chooses, so that it is there whenever it is required.
fn read_tool_choice(
    choice: &ResponseToolChoice,
    without_functions: bool,
    searches_files: bool,
) -> Result<Option<ToolChoice>> {
    let unless_searched = |choice| Ok((!(without_functions && searches_files)).then_some(choice));
    match choice {
        // It is what holds without tools, too.
        ResponseToolChoice::Mode(mode) if mode == "auto" => Ok((!without_functions).then_some(ToolChoice::Auto)),
        ResponseToolChoice::Mode(mode) if mode == "none" => Ok(Some(ToolChoice::None)),
        ResponseToolChoice::Mode(mode) if mode == "required" => unless_searched(ToolChoice::Required),
        ResponseToolChoice::Function { r#type, name } if r#type == "function" => {
            Ok(Some(ToolChoice::Named(name.clone())))
        }
        ResponseToolChoice::Other(other) if *other == serde_json::json!({"type": "file_search"}) => {
            match searches_files {
                true => Ok((!without_functions).then_some(ToolChoice::Auto)),
                false => Err(
                    Error::invalid("tool_choice names file_search, which is not among the tools")
                        .with_param("tool_choice"),
                ),
            }
        }
        ResponseToolChoice::Mode(_) | ResponseToolChoice::Function { .. } | ResponseToolChoice::Other(_) => Err(
            Error::invalid("tool_choice must be none, auto, required, a function or file_search")
                .with_param("tool_choice"),
        ),
    }
}

fn read_format(format: &ResponseTextFormat) -> Result<Option<OutputFormat>> {
    match format {
        ResponseTextFormat::Text => Ok(None),
        ResponseTextFormat::JsonObject => Ok(Some(OutputFormat::JsonObject)),
        ResponseTextFormat::JsonSchema { name, schema, .. } => {
            read_schema(name, schema.clone(), "text.format.name").map(Some)
        }
    }
}
