//! `POST /v1/messages` and `POST /v1/messages/count_tokens`: `request` reads Anthropic's JSON, `blocks` makes blocks of an answer, which
//! `collect` and `stream` write. Not here: which values a request may have (`services`), errors of other layers (`anthropic`).

mod blocks;
mod collect;
mod content;
mod names;
mod request;
mod stream;

use crate::{auth::Tenant, body::JsonBody, error::ApiResult, sse::Silence, state::AppState};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use blocks::BlockOptions;
use riad_api_types::messages::{Message, MessageEvent, MessagesError, MessagesRequest, MessagesTokenCount};
use riad_core::Error;
use uuid::Uuid;

/// What all events of an answer have in common.
struct AnswerHeader {
    /// Without its prefix; calls have it in their ids.
    id: String,
    model: String,
    blocks: BlockOptions,
}

impl AnswerHeader {
    fn new(model: &str, blocks: BlockOptions) -> Self {
        Self {
            id: Uuid::now_v7().simple().to_string(),
            model: model.to_owned(),
            blocks,
        }
    }

    fn message_id(&self) -> String {
        format!("msg_{}", self.id)
    }
}

/// Answer a conversation as Anthropic does, with the caller's documents, plugins and adapter
#[utoipa::path(post, path = "/v1/messages", tag = "anthropic", security(("tenant_key" = [])),
    request_body = MessagesRequest,
    responses(
        (status = 200, description = "The answer, or with `stream` server-sent events, the last of them `message_stop`",
            content((Message = "application/json"), (MessageEvent = "text/event-stream"))),
        (status = "4XX", description = "The request cannot be served as it is", body = MessagesError),
        (status = "5XX", description = "The server failed", body = MessagesError),
    ))]
pub(crate) async fn create_message(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<MessagesRequest>,
) -> ApiResult<Response> {
    if body.max_tokens.is_none() {
        return Err(Error::invalid("max_tokens is missing").with_param("max_tokens").into());
    }
    if body.messages.last().is_some_and(|last| last.role == "assistant") {
        let text = "messages: the conversation must end with a message of the user; the beginning of an answer cannot be given";
        return Err(Error::invalid(text).with_param("messages").into());
    }
    let request::Read {
        request,
        stream,
        blocks,
        names,
    } = request::read(body)?;
    let header = AnswerHeader::new(&request.model, blocks);
    // The handler's future, then the response, owns the stream: a client that hangs up drops it, which ends the request.
    let services = state.services.clone();
    let starting = async move {
        let started = services.chat().start(&pass, request).await;
        let events = started.map_err(|error| names.rename(error))?;
        Ok::<_, Error>((u64::from(events.prompt_tokens()), events))
    };
    if stream {
        let silence = Silence::of(&state.services);
        return stream::respond(starting, silence, header).await;
    }
    let (_, events) = starting.await?;
    Ok(Json(collect::collect(events, &header).await?).into_response())
}

/// Count the tokens of a conversation's prompt
#[utoipa::path(post, path = "/v1/messages/count_tokens", tag = "anthropic", security(("tenant_key" = [])),
    request_body = MessagesRequest,
    responses(
        (status = 200, description = "The number of tokens", body = MessagesTokenCount),
        (status = "4XX", description = "The request cannot be served as it is", body = MessagesError),
        (status = "5XX", description = "The server failed", body = MessagesError),
    ))]
pub(crate) async fn count_message_tokens(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<MessagesRequest>,
) -> ApiResult<Json<MessagesTokenCount>> {
    let request::Read { mut request, names, .. } = request::read(body)?;
    // Whether an answer fits too is not asked.
    request.max_tokens = None;
    let counted = state.services.chat().count_tokens(&pass, request).await;
    let input_tokens = counted.map_err(|error| names.rename(error))?;
    Ok(Json(MessagesTokenCount { input_tokens }))
}

#[cfg(test)]
mod tests;
