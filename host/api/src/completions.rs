//! `POST /v1/completions`: `request` reads OpenAI's older JSON, `response` writes the answer, whole and in chunks. Not here: which values
//! a request may have (`services`).

mod request;
mod response;

use crate::{
    auth::Tenant,
    body::JsonBody,
    error::{ApiResult, Failures},
    sse::{self, Silence},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
pub(crate) use request::read_texts;
use response::CompletionWriter;
use riad_api_types::completions::{Completion, CompletionRequest};

/// Continue a text with the caller's adapter
#[utoipa::path(post, path = "/v1/completions", tag = "openai", security(("tenant_key" = [])),
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "The answer, or with `stream` server-sent events, the last of them `[DONE]`",
            content((Completion = "application/json"), (Completion = "text/event-stream"))),
        Failures
    ))]
pub(crate) async fn create_completion(
    State(state): State<AppState>,
    Tenant(pass): Tenant,
    JsonBody(body): JsonBody<CompletionRequest>,
) -> ApiResult<Response> {
    let (request, output) = request::read(body)?;
    let fingerprint = state.services.fingerprint();
    let writer = CompletionWriter::new(&request.sampling.model, fingerprint, &output);
    // The handler's future, then the response, owns the stream: a client that hangs up drops it, which ends the request.
    let services = state.services.clone();
    let starting = async move { services.chat().complete(&pass, request).await };
    if output.stream {
        let silence = Silence::of(&state.services);
        let write = move |events| writer.stream(events, output.include_usage);
        return sse::respond(starting, silence, write, sse::failure).await;
    }
    let answer = writer.collect(starting.await?).await?;
    Ok(Json(answer).into_response())
}

#[cfg(test)]
mod tests;
