//! What lies around the requests that spend tokens: the caller's limits in every answer's headers, and idempotency keys.
//! Not here: counting and refusing (`services`).

use crate::{
    auth::Tenant,
    body::{self, RawBody},
    error::{ApiError, ApiResult},
    state::AppState,
};
use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use riad_core::{Digest, Error, Limits, Result, TenantPass, grants::Scope, ports::StoredResponse};
use riad_services::{
    idempotency::{Begun, Claim},
    metering::{Rate, RateState},
};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const DOCUMENTS: &str = "/v1/documents";
const SEARCH: &str = "/v1/search";
const EVENT_STREAM: &str = "text/event-stream";
/// How a stream ends that has not failed.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Adds the caller's limits to every answer of a metered route, and does a request with an idempotency key once.
pub(crate) async fn metered(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // Searching changes nothing: there is nothing to do once.
    let repeatable = route == Some(SEARCH);
    let is_document = route == Some(DOCUMENTS);
    let limits = state.services.limits();
    let (scope, most) = match (request.method(), route) {
        (&Method::POST, Some("/v1/chat/completions" | "/v1/embeddings")) => (Scope::Chat, limits.request_bytes),
        (&Method::POST, Some(DOCUMENTS)) => (Scope::Documents, body::document_body(limits)),
        (&Method::POST, Some(SEARCH)) => (Scope::Documents, limits.request_bytes),
        _ => return next.run(request).await,
    };
    let (mut parts, body) = request.into_parts();
    let pass = match Tenant::from_request_parts(&mut parts, &state).await {
        Ok(Tenant(pass)) => pass,
        Err(refused) => return refused.into_response(),
    };
    // Before the body is read: documents are held in memory as a whole.
    let _turn = match is_document {
        true => match state.documents.enter(pass.account()).await {
            Ok(turn) => Some(turn),
            Err(refused) => return ApiError::from(refused).into_response(),
        },
        false => None,
    };
    // The handler need not look the key up again.
    parts.extensions.insert(pass.clone());
    let key = parts.headers.get(IDEMPOTENCY_KEY).filter(|_| !repeatable).cloned();
    let request = Request::from_parts(parts, body);
    let mut response = match key {
        None => next.run(request).await,
        Some(key) => once(&state, (&pass, scope), &key, request, next, most)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    };
    tell(response.headers_mut(), &state.services.rates(&pass));
    response
}

/// Runs the request if nobody has under this key, else repeats the answer.
async fn once(
    state: &AppState,
    (pass, scope): (&TenantPass, Scope),
    key: &HeaderValue,
    request: Request,
    next: Next,
    most: u64,
) -> ApiResult<Response> {
    let key = key
        .to_str()
        .map_err(|_| Error::invalid("an Idempotency-Key has visible ASCII characters only"))?;
    let (parts, body) = request.into_parts();
    let mut whole = Request::new(body);
    DefaultBodyLimit::max(usize::try_from(most).unwrap_or(usize::MAX)).apply(&mut whole);
    let RawBody(bytes) = RawBody::from_request(whole, state).await?;
    let digest = Digest::of_parts(&[
        parts.method.as_str().as_bytes(),
        parts.uri.path().as_bytes(),
        parts.uri.query().unwrap_or_default().as_bytes(),
        &bytes,
    ]);
    let claim = match state.services.idempotency().begin(pass, scope, key, digest).await? {
        Begun::Replay(reply) => return Ok(replay(reply)),
        Begun::Run(claim) => claim,
    };
    let (answer, answered) = oneshot::channel();
    let limits = state.services.limits().clone();
    // A task of its own: with a key, the request is done to its end although the client goes away, and its answer waits.
    let work = async move {
        let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
        let (parts, body) = response.into_parts();
        let (sender, receiver) = mpsc::unbounded_channel();
        let content_type = content_type(&parts.headers);
        let status = parts.status;
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        // A client that has gone is not told; the work goes on.
        let _ = answer.send(Response::from_parts(parts, Body::from_stream(stream)));
        keep(claim, digest, status, content_type, body, &sender, &limits).await;
    };
    state.tasks.spawn(work.in_current_span());
    answered
        .await
        .map_err(|_| Error::internal("the task of a request ended without an answer").into())
}

/// Hands the body on while it is read, and keeps it before its end is told.
async fn keep(
    claim: Claim,
    digest: Digest,
    status: StatusCode,
    content_type: String,
    body: Body,
    client: &mpsc::UnboundedSender<Result<Bytes, axum::Error>>,
    limits: &Limits,
) {
    let mut whole = Vec::new();
    let mut chunks = body.into_data_stream();
    let mut complete = status.is_success();
    while let Some(chunk) = chunks.next().await {
        match &chunk {
            Ok(bytes) if whole.len() as u64 <= limits.reply_bytes => whole.extend_from_slice(bytes),
            Ok(_) => {}
            Err(_) => complete = false,
        }
        let _ = client.send(chunk);
    }
    // A stream that failed half-way is not the answer for a day.
    complete &= !content_type.starts_with(EVENT_STREAM) || whole.ends_with(DONE);
    if complete && let Err(error) = claim.keep(digest, status.as_u16(), content_type, whole.into()).await {
        tracing::error!(%error, "an answer could not be kept for its idempotency key");
    }
}

fn replay(reply: StoredResponse) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = (status, Body::from(reply.body)).into_response();
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&reply.content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// OpenAI's headers: limits per minute, what is left of them, and when they are whole again.
fn tell(headers: &mut HeaderMap, rates: &RateState) {
    let names = [
        (
            &rates.requests,
            [
                "x-ratelimit-limit-requests",
                "x-ratelimit-remaining-requests",
                "x-ratelimit-reset-requests",
            ],
        ),
        (
            &rates.tokens,
            [
                "x-ratelimit-limit-tokens",
                "x-ratelimit-remaining-tokens",
                "x-ratelimit-reset-tokens",
            ],
        ),
    ];
    for (rate, [limit, remaining, reset]) in names {
        let Some(Rate {
            limit: most,
            remaining: left,
            reset: after,
        }) = rate
        else {
            continue;
        };
        headers.insert(HeaderName::from_static(limit), HeaderValue::from(*most));
        headers.insert(HeaderName::from_static(remaining), HeaderValue::from(*left));
        if let Ok(text) = HeaderValue::from_str(&format!("{}ms", after.as_millis())) {
            headers.insert(HeaderName::from_static(reset), text);
        }
    }
}
