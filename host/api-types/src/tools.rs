//! `/v1/tools`: the functions of the room's plugin, in the shape of OpenAI's `tools`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use utoipa::ToSchema;

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ToolList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// May be sent as `tools` of a chat as it is.
    pub data: Vec<RoomTool>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RoomTool {
    #[schema(example = "function")]
    pub r#type: Cow<'static, str>,
    pub function: RoomFunction,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RoomFunction {
    /// 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the arguments, which are an object.
    #[schema(value_type = Object)]
    pub parameters: Value,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolCallRequest {
    pub arguments: ToolArguments,
}

/// An object, or its JSON as a string, as the model's calls have it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ToolArguments {
    #[schema(value_type = Object)]
    Object(Map<String, Value>),
    Json(String),
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct ToolResult {
    #[schema(example = "tool.result")]
    pub object: Cow<'static, str>,
    pub name: String,
    /// What goes to the model, as the content of a message with the role `tool`.
    pub content: String,
    /// Whether the tool refused the call: the content says why, and the model may try again.
    pub is_error: bool,
}
