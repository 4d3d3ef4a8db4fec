//! `POST /v1/chat/completions`: `request` reads OpenAI's JSON, `collect` and `stream` write the answer. Not here: which values
//! a request may have (`services`).

mod collect;
pub(crate) mod request;
pub(crate) mod response;
mod stream;

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    sse::Silence,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
pub(crate) use request::{read_message, read_tier};
use response::AnswerHeader;
pub(crate) use response::{finish_reason, riad, usage};
use riad_api_types::chat::{ChatCompletion, ChatCompletionChunk, ChatCompletionRequest};

/// Answer a conversation with the caller's documents, plugins and adapter
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", security(("tenant_key" = [])),
    request_body = ChatCompletionRequest,
    responses(
        (status = 200, description = "The answer, or with `stream` server-sent events, the last of them `[DONE]`",
            content((ChatCompletion = "application/json"), (ChatCompletionChunk = "text/event-stream"))),
        Failures
    ))]
pub(crate) async fn create_chat_completion(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<ChatCompletionRequest>,
) -> ApiResult<Response> {
    let (request, output) = request::read(body)?;
    let header = AnswerHeader::new(&request.model, state.services.fingerprint());
    let choices = request.n.unwrap_or(1);
    // The handler's future, then the response, owns the stream: a client that hangs up drops it, which ends the request.
    let services = state.services.clone();
    let starting = async move { services.chat().start(&pass, request).await };
    if output.stream {
        let silence = Silence::of(&state.services);
        return stream::respond(starting, silence, header, choices, output.include_usage).await;
    }
    let answer = collect::collect(starting.await?, header, choices, output.logprobs).await?;
    Ok(Json(answer).into_response())
}

#[cfg(test)]
pub(crate) mod tests;
