//! `/v1/tools`: the functions of the room's plugin, for clients that run the model's calls themselves.

use crate::{
    auth::Tenant,
    body::{JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State};
use riad_api_types::tools::{RoomFunction, RoomTool, ToolArguments, ToolCallRequest, ToolList, ToolResult};
use riad_core::{Error, json, plugin::ToolOutcome};

/// Of arguments, all parts of them counted.
const VALUES_MAX: usize = 4096;

/// List the tools of the room's plugin
#[utoipa::path(get, path = "/v1/tools", tag = "room", security(("tenant_key" = [])),
    responses((status = 200, body = ToolList), Failures))]
pub(crate) async fn list_tools(State(state): State<AppState>, Tenant(pass): Tenant) -> ApiResult<Json<ToolList>> {
    let tools = state.services.tools().list(&pass).await?;
    let data = tools.into_iter().map(|tool| RoomTool {
        r#type: "function".into(),
        function: RoomFunction {
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters,
        },
    });
    Ok(Json(ToolList {
        object: "list".into(),
        data: data.collect(),
    }))
}

/// Run a tool of the room's plugin
#[utoipa::path(post, path = "/v1/tools/{name}", tag = "room", security(("tenant_key" = [])),
    params(("name" = String, Path, description = "The function's name")),
    request_body = ToolCallRequest, responses((status = 200, body = ToolResult), Failures))]
pub(crate) async fn call_tool(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(name): PathParts<String>,
    JsonBody(body): JsonBody<ToolCallRequest>,
) -> ApiResult<Json<ToolResult>> {
    let arguments = match body.arguments {
        ToolArguments::Object(arguments) => arguments,
        // A text is one value of the body, whatever stands in it.
        ToolArguments::Json(text) if json::count_values(text.as_bytes(), VALUES_MAX).is_none() => {
            let error = Error::invalid(format!("arguments may have up to {VALUES_MAX} values"));
            return Err(error.with_param("arguments").into());
        }
        ToolArguments::Json(text) => serde_json::from_str(&text).map_err(|error| {
            Error::invalid(format!("arguments must be a JSON object: {error}")).with_param("arguments")
        })?,
    };
    let outcome = state.services.tools().call(&pass, &name, &arguments).await?;
    let (content, is_error) = match outcome {
        ToolOutcome::Result(content) => (content, false),
        ToolOutcome::Refused(why) => (why, true),
    };
    Ok(Json(ToolResult {
        object: "tool.result".into(),
        name,
        content,
        is_error,
    }))
}
