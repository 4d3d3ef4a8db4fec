//! `/v1/responses`: OpenAI's newer shape of a chat, which the room can keep. `request` and `input` read the JSON, `answer` makes the
//! response and its events, `stream` sends them, `kept` reads and writes what the room keeps. Not here: which values a request may have
//! (`services`).

mod answer;
mod input;
mod kept;
mod list;
mod request;
mod stream;

use crate::{
    auth::Tenant,
    body::{JsonBody, PathParts, parse_id},
    error::{ApiResult, Failures},
    query::QueryParts,
    sse::Silence,
    state::AppState,
};
use answer::AnswerWriter;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use kept::Keeper;
use request::ReadRequest;
use riad_api_types::responses::{
    DeletedResponse, NumberedResponseEvent, ResponseItem, ResponseItemList, ResponseItemParams, ResponseObject,
    ResponseParams, ResponseRequest,
};
use riad_core::{Result, chat::Message};
use riad_services::chat::ChatRequest;

/// Answer a conversation, and keep it so that it can go on
#[utoipa::path(post, path = "/v1/responses", tag = "openai", security(("tenant_key" = [])),
    request_body = ResponseRequest,
    responses(
        (status = 200, description = "The response, or with `stream` server-sent events, the last of them `response.completed`, \
            `response.incomplete` or `response.failed`",
            content((ResponseObject = "application/json"), (NumberedResponseEvent = "text/event-stream"))),
        Failures
    ))]
pub(crate) async fn create_response(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<ResponseRequest>,
) -> ApiResult<Response> {
    let ReadRequest {
        chat,
        input,
        previous,
        response,
        shows_results,
        stream,
    } = request::read(body)?;
    let silence = Silence::of(&state.services);
    let input = kept::resolve(&state, &pass, input).await?;
    let own = input::messages(&input);
    let own_files = input::files(&input)?;
    let keeps = response.store;
    let kept_as = keeps.then(|| response.id.parse()).transpose()?;
    let instructions = response.instructions.clone();
    let keeper = keeps.then(|| Keeper::new(&state.services, &pass, input, previous.clone()));
    // The handler's future, then the response, owns the stream: a client that hangs up drops it, which ends the request.
    let starting = async move {
        let before = match &previous {
            Some(previous) => kept::conversation(&state, &pass, previous).await?,
            None => (Vec::new(), Vec::new()),
        };
        let (before, mut files) = before;
        files.extend(own_files);
        if keeps {
            state.services.responses().check_storage(&pass).await?;
        }
        let (messages, sources) = request::join(instructions, before, own);
        let chat = ChatRequest {
            messages,
            kept_as,
            files,
            ..chat
        };
        let started = state.services.chat().start(&pass, chat).await;
        let mut started = started.map_err(|error| request::rename(error, &sources))?;
        Ok((started.take_searched_files(), started))
    };
    let writer = AnswerWriter::new(response, shows_results);
    if stream {
        return stream::respond(starting, silence, writer, keeper).await;
    }
    let response = stream::collect(starting.await?, writer, keeper).await?;
    Ok(Json(response).into_response())
}

/// A response that was kept
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path), ResponseParams), responses((status = 200, body = ResponseObject), Failures))]
pub(crate) async fn get_response(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    QueryParts(query): QueryParts<ResponseParams>,
) -> ApiResult<Json<ResponseObject>> {
    list::check_response_params(&query)?;
    let id = parse_id("response", &id)?;
    let mut response = kept::response(&state.services, &pass, &id).await?;
    if !list::shows_results(&query.include) {
        answer::hide_results(&mut response.output);
    }
    Ok(Json(response))
}

/// Delete a response. Those that go on from it are kept, and no conversation goes on from them.
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = DeletedResponse), Failures))]
pub(crate) async fn delete_response(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<DeletedResponse>> {
    let response = parse_id("response", &id)?;
    state.services.responses().delete(&pass, &response).await?;
    Ok(Json(DeletedResponse {
        id,
        object: "response".into(),
        deleted: true,
    }))
}

/// What the request of a kept response said, without the conversation before it
#[utoipa::path(get, path = "/v1/responses/{id}/input_items", tag = "openai", security(("tenant_key" = [])),
    params(("id" = String, Path), ResponseItemParams), responses((status = 200, body = ResponseItemList), Failures))]
pub(crate) async fn list_input_items(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    PathParts(id): PathParts<String>,
    QueryParts(query): QueryParts<ResponseItemParams>,
) -> ApiResult<Json<ResponseItemList>> {
    let page = list::Page::read(&query)?;
    let id = parse_id("response", &id)?;
    let items = kept::input(&state.services, &pass, &id).await?;
    Ok(Json(page.of(items)?))
}

/// What the stages of a request read, as it was kept: from its instructions and the items of its conversation, in parts as they were kept.
///
/// # Errors
/// `InvalidRequest` names what no request can have said.
pub fn stage_messages(instructions: Option<String>, parts: &[Vec<ResponseItem>]) -> Result<Vec<Message>> {
    let said = parts.iter().flat_map(|items| input::messages(items));
    let before = said.map(|(_, message)| message).collect();
    let (messages, _) = request::join(instructions, before, Vec::new());
    riad_services::chat::asked(messages)
}

#[cfg(test)]
mod tests;
