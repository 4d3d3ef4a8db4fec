//! The items of a request: read one by one, so that an error names the item, and made into the messages of a chat. Members of an item that
//! are not read here change nothing: clients send items back as they were answered, with whatever their libraries add.

use crate::{body::field_error, file_parts::FilePart};
use riad_api_types::responses::{
    ResponseContentPart, ResponseFileSearchCall, ResponseFunctionCall, ResponseFunctionCallOutput,
    ResponseFunctionResult, ResponseInput, ResponseItem, ResponseMessage, ResponseReasoning,
};
use riad_core::{Error, ResponseId, Result};
use riad_services::chat::{AttachedFile, ChatMessage, ToolCall};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Of an item that is not being made.
pub(super) const COMPLETED: &str = "completed";

/// An item of a request.
pub(super) enum GivenItem {
    Item(ResponseItem),
    Reference(Reference),
}

/// To an item of a kept response.
pub(super) struct Reference {
    /// Its place in the request.
    name: String,
    pub response: ResponseId,
    pub id: String,
}

impl GivenItem {
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Item(_) => None,
            Self::Reference(reference) => Some(reference),
        }
    }
}

impl Reference {
    pub fn missing(&self) -> Error {
        missing_item(&self.name, &self.id)
    }

    pub fn wrong(&self, text: &str) -> Error {
        wrong(self.name.clone(), text)
    }
}

fn missing_item(name: &str, id: &str) -> Error {
    Error::not_found(format!(
        "{name}: there is no item {id:?}; its response was not kept, has expired or was deleted, or the item was named before"
    ))
    .with_param(name)
}

/// The items with ids of ours, which end in `suffix`.
///
/// # Errors
/// `InvalidRequest` names the member at fault.
pub(super) fn read(input: ResponseInput, suffix: &str) -> Result<Vec<GivenItem>> {
    match input {
        ResponseInput::Text(text) => Ok(vec![GivenItem::Item(ResponseItem::Message(ResponseMessage {
            id: id("msg", suffix, 0),
            role: "user".into(),
            status: COMPLETED.into(),
            content: vec![ResponseContentPart::InputText { text }],
        }))]),
        ResponseInput::Items(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| read_item(index, item, suffix))
            .collect(),
    }
}

/// An item's messages, each with the number of its item. Calls stand in the message before them, if that is the assistant's.
pub(super) fn messages(items: &[ResponseItem]) -> Vec<(usize, ChatMessage)> {
    let mut messages: Vec<(usize, ChatMessage)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let message = match item {
            ResponseItem::Reasoning(_) | ResponseItem::FileSearchCall(_) => continue,
            ResponseItem::Message(message) => ChatMessage {
                role: message.role.to_string(),
                content: Some(text(&message.content)),
                ..ChatMessage::default()
            },
            ResponseItem::FunctionCallOutput(output) => ChatMessage {
                role: "tool".into(),
                content: Some(match &output.output {
                    ResponseFunctionResult::Text(text) => text.clone(),
                    ResponseFunctionResult::Parts(parts) => text(parts),
                }),
                tool_call_id: output.call_id.clone(),
                ..ChatMessage::default()
            },
            ResponseItem::FunctionCall(call) => {
                let call = ToolCall {
                    id: Some(call.call_id.clone()),
                    name: call.name.clone(),
                    arguments: call.arguments.clone(),
                };
                match messages.last_mut().filter(|(_, last)| last.role == "assistant") {
                    Some((_, last)) => {
                        last.tool_calls.push(call);
                        continue;
                    }
                    None => ChatMessage {
                        role: "assistant".into(),
                        tool_calls: vec![call],
                        ..ChatMessage::default()
                    },
                }
            }
        };
        messages.push((index, message));
    }
    messages
}

/// The files of items, each with its place among them.
///
/// # Errors
/// `InvalidRequest` or `NotFound` names the member at fault.
pub(super) fn files(items: &[ResponseItem]) -> Result<Vec<AttachedFile>> {
    let mut files = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let parts = match item {
            ResponseItem::Message(message) => message.content.as_slice(),
            ResponseItem::FunctionCall(_)
            | ResponseItem::FunctionCallOutput(_)
            | ResponseItem::Reasoning(_)
            | ResponseItem::FileSearchCall(_) => continue,
        };
        for (number, part) in parts.iter().enumerate() {
            if let ResponseContentPart::InputFile {
                file_id,
                filename,
                file_data,
            } = part
            {
                let part = FilePart {
                    file_id: file_id.as_deref(),
                    file_data: file_data.as_deref(),
                    filename: filename.as_deref(),
                };
                files.push(part.read(&format!("input[{index}].content[{number}]"))?);
            }
        }
    }
    Ok(files)
}

/// As the parts of a chat's message are joined.
fn text(parts: &[ResponseContentPart]) -> String {
    let texts: Vec<_> = parts.iter().filter_map(ResponseContentPart::text).collect();
    texts.join("\n")
}

fn id(kind: &str, suffix: &str, index: usize) -> String {
    format!("{kind}_{suffix}_in{index}")
}

#[derive(Deserialize)]
struct GivenMessage {
    role: String,
    content: Value,
}

#[derive(Deserialize)]
struct GivenCall {
    call_id: String,
    name: String,
    arguments: String,
}

#[derive(Deserialize)]
struct GivenOutput {
    call_id: Option<String>,
    output: Value,
}

#[derive(Deserialize)]
struct GivenReference {
    id: String,
}

fn read_item(index: usize, item: Value, suffix: &str) -> Result<GivenItem> {
    let name = format!("input[{index}]");
    let Value::Object(members) = &item else {
        return Err(wrong(name, "must be an object"));
    };
    // Messages are commonly sent without one.
    let r#type = match members.get("type") {
        None | Some(Value::Null) => "message",
        Some(Value::String(r#type)) => r#type,
        Some(_) => return Err(wrong(format!("{name}.type"), "must be a string")),
    };
    let item = match r#type {
        "message" => ResponseItem::Message(read_message(
            &name,
            read_members(&name, item)?,
            id("msg", suffix, index),
        )?),
        "item_reference" => {
            let GivenReference { id } = read_members(&name, item)?;
            let response = response_of(&id).ok_or_else(|| missing_item(&name, &id))?;
            return Ok(GivenItem::Reference(Reference { name, response, id }));
        }
        "function_call" => {
            let call: GivenCall = read_members(&name, item)?;
            ResponseItem::FunctionCall(ResponseFunctionCall {
                id: id("fc", suffix, index),
                call_id: call.call_id,
                name: call.name,
                arguments: call.arguments,
                status: COMPLETED.into(),
            })
        }
        "function_call_output" => {
            let output: GivenOutput = read_members(&name, item)?;
            let result = match output.output.as_str() {
                Some(text) => ResponseFunctionResult::Text(text.to_owned()),
                None => ResponseFunctionResult::Parts(read_parts(
                    &format!("{name}.output"),
                    output.output,
                    PartsOf::Others,
                )?),
            };
            ResponseItem::FunctionCallOutput(ResponseFunctionCallOutput {
                id: id("fco", suffix, index),
                call_id: output.call_id,
                output: result,
                status: COMPLETED.into(),
            })
        }
        "reasoning" => ResponseItem::Reasoning(ResponseReasoning {
            id: id("rs", suffix, index),
            summary: Vec::new(),
            content: Vec::new(),
            status: COMPLETED.into(),
        }),
        "file_search_call" => ResponseItem::FileSearchCall(ResponseFileSearchCall {
            id: id("fs", suffix, index),
            queries: Vec::new(),
            results: None,
            status: COMPLETED.into(),
        }),
        other => {
            let text = format!(
                "items of the type {other:?} are not supported; the type must be message, function_call, function_call_output, \
                 reasoning, file_search_call or item_reference"
            );
            return Err(wrong(format!("{name}.type"), &text));
        }
    };
    Ok(GivenItem::Item(item))
}

/// The response that has an item, by the item's id, which [`id`] or an answer has made.
fn response_of(id: &str) -> Option<ResponseId> {
    let mut parts = id.split('_');
    let (_kind, suffix, _number) = (parts.next()?, parts.next()?, parts.next()?);
    format!("resp_{suffix}").parse().ok()
}

fn read_message(name: &str, message: GivenMessage, id: String) -> Result<ResponseMessage> {
    if !["user", "assistant", "system", "developer"].contains(&message.role.as_str()) {
        return Err(wrong(
            format!("{name}.role"),
            "a role is user, assistant, system or developer",
        ));
    }
    let is_answer = message.role == "assistant";
    let part = |text: String| match is_answer {
        true => ResponseContentPart::output(text, Vec::new()),
        false => ResponseContentPart::InputText { text },
    };
    let content = match message.content.as_str() {
        Some(text) => vec![part(text.to_owned())],
        None => {
            let parts = match message.role.as_str() {
                "user" => PartsOf::User,
                "assistant" => PartsOf::Assistant,
                _ => PartsOf::Others,
            };
            read_parts(&format!("{name}.content"), message.content, parts)?
        }
    };
    Ok(ResponseMessage {
        id,
        role: message.role.into(),
        status: COMPLETED.into(),
        content,
    })
}

#[derive(Deserialize)]
struct GivenPart {
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    file_id: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
    filename: Option<String>,
}

/// Who says the parts of a content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PartsOf {
    User,
    Assistant,
    Others,
}

fn read_parts(name: &str, parts: Value, of: PartsOf) -> Result<Vec<ResponseContentPart>> {
    let Value::Array(parts) = parts else {
        return Err(wrong(name.to_owned(), "must be a string or a list of parts"));
    };
    let read = |(index, part): (usize, Value)| {
        let name = format!("{name}[{index}]");
        let part: GivenPart = read_members(&name, part)?;
        let missing = |member: &str| wrong(format!("{name}.{member}"), "is missing");
        match part.r#type.as_str() {
            "input_text" | "output_text" => {
                let text = part.text.ok_or_else(|| missing("text"))?;
                Ok(match of {
                    PartsOf::Assistant => ResponseContentPart::output(text, Vec::new()),
                    PartsOf::User | PartsOf::Others => ResponseContentPart::InputText { text },
                })
            }
            "input_file" if of != PartsOf::User => Err(wrong(name, "a file belongs into a message of the user")),
            "input_file" if part.file_url.is_some() => {
                let text = "is not fetched; send the file as file_data, or keep it at /v1/files and send its file_id";
                Err(wrong(format!("{name}.file_url"), text))
            }
            "input_file" => Ok(ResponseContentPart::InputFile {
                file_id: part.file_id,
                filename: part.filename,
                file_data: part.file_data,
            }),
            "refusal" => Ok(ResponseContentPart::Refusal {
                refusal: part.refusal.ok_or_else(|| missing("refusal"))?,
            }),
            other => {
                let text =
                    format!("parts of the type {other:?} are not supported; only text and files with text can be read");
                Err(wrong(format!("{name}.type"), &text))
            }
        }
    };
    parts.into_iter().enumerate().map(read).collect()
}

/// Reads an object of which `name` is the place in the request.
pub(super) fn read_members<T: DeserializeOwned>(name: &str, value: Value) -> Result<T> {
    // serde would read a list as an object's members in their order, which no client means.
    if !value.is_object() {
        return Err(wrong(name.to_owned(), "must be an object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = format!("{name}.{}", error.path());
        field_error(&path, &error.inner().to_string())
    })
}

fn wrong(param: String, what: &str) -> Error {
    Error::invalid(format!("{param}: {what}")).with_param(param)
}
