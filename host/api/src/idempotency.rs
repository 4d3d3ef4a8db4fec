//! Layer: a request with an `Idempotency-Key` runs once; the same request under the same key gets the stored answer.
//! Not here: where answers are stored, and for how long (`services`).

use crate::{body::RawBody, documents, error::ApiResult, memory::AnswerBytes, tasks::Tasks};
use axum::{
    Extension,
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use riad_core::{Digest, Error, TenantPass, grants::Scope, ports::StoredResponse};
use riad_services::{
    Services, digest_of_parts,
    idempotency::{Claim, IdempotentStart},
};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const EVENT_STREAM: &str = "text/event-stream";
/// How the last event of a stream begins that has not failed: OpenAI's older one, OpenAI's newer one, Anthropic's.
const LAST_EVENTS: [&[u8]; 4] = [
    b"data: [DONE]",
    b"event: response.completed\n",
    b"event: response.incomplete\n",
    b"event: message_stop\n",
];

/// Runs a request without the header as usual.
pub(crate) async fn run_once(
    State((services, tasks, scope)): State<(Services, Tasks, Scope)>,
    Extension(pass): Extension<TenantPass>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else {
        return Ok(next.run(request).await);
    };
    let key = key
        .to_str()
        .map_err(|_| Error::invalid("an Idempotency-Key may have visible ASCII characters only"))?
        .to_owned();
    let (mut parts, body) = request.into_parts();
    // The clone carries the route's limit on bodies.
    let RawBody(bytes) = RawBody::from_request(Request::from_parts(parts.clone(), body), &()).await?;
    let [method, path, query] = [
        parts.method.as_str(),
        parts.uri.path(),
        parts.uri.query().unwrap_or_default(),
    ]
    .map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let digest = digest_of_parts(&mut services.work(&pass), [method, path, query, bytes.clone()]).await?;
    let claim = match services.idempotency().begin(&pass, scope, &key, digest).await? {
        IdempotentStart::Replay(stored) => return Ok(replay(stored)),
        IdempotentStart::Stored(object) => {
            return Ok(marked(documents::created(&services, &pass, &object).await?));
        }
        IdempotentStart::Run(claim) => claim,
    };
    parts.extensions.insert(claim.mark(digest));
    let (answer, answered) = oneshot::channel();
    let max_bytes = services.limits().idempotency_bytes;
    // In a task of its own, which ends although the client goes away: a later request gets the answer.
    let work = async move {
        let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
        let (mut parts, body) = response.into_parts();
        if let Some(bytes) = body.size_hint().exact() {
            parts.extensions.insert(AnswerBytes(bytes));
        }
        // resources::ANSWERS
        let (sender, receiver) = mpsc::unbounded_channel();
        let kept = KeptResponse {
            status: parts.status,
            content_type: content_type(&parts.headers),
            body,
        };
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        // Fails if the client has gone; the work goes on.
        let _ = answer.send(Response::from_parts(parts, Body::from_stream(stream)));
        kept.forward_and_store(claim, digest, &sender, max_bytes).await;
    };
    tasks.spawn(work.in_current_span());
    answered
        .await
        .map_err(|_| Error::internal("the task of a request ended without an answer").into())
}

/// An answer that is to be stored.
struct KeptResponse {
    status: StatusCode,
    content_type: String,
    body: Body,
}

impl KeptResponse {
    /// Forwards the body to the client while it is produced, and stores it before the client sees its end.
    async fn forward_and_store(
        self,
        claim: Claim,
        digest: Digest,
        client: &mpsc::UnboundedSender<Result<Bytes, axum::Error>>,
        max_bytes: u64,
    ) {
        let mut whole = Vec::new();
        let mut last = Bytes::new();
        let mut chunks = self.body.into_data_stream();
        let mut complete = self.status.is_success();
        while let Some(chunk) = chunks.next().await {
            if let Ok(bytes) = &chunk {
                last = bytes.clone();
            }
            match &chunk {
                // The store refuses what is longer than its limit: nothing beyond that needs to be in memory.
                Ok(bytes) if whole.len() as u64 <= max_bytes => whole.extend_from_slice(bytes),
                Ok(_) => {}
                Err(_) => complete = false,
            }
            let _ = client.send(chunk);
        }
        // A stream that failed half-way must not be repeated for a day.
        let end = match whole.len() as u64 > max_bytes {
            // It may have been cut. Each chunk of a stream is one event at least.
            true => &last[..],
            false => &whole,
        };
        complete &= !self.content_type.starts_with(EVENT_STREAM) || has_ended(end);
        if !complete {
            return;
        }
        let stored = claim.store(digest, self.status.as_u16(), self.content_type, whole.into());
        if let Err(error) = stored.await {
            tracing::error!(%error, "an answer could not be stored for its idempotency key");
        }
    }
}

fn replay(stored: StoredResponse) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let mut response = (status, Body::from(stored.body)).into_response();
    let headers = response.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&stored.content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    marked(response)
}

/// Says that the request was not run again.
fn marked(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

/// Whether a stream of events has its last one.
fn has_ended(stream: &[u8]) -> bool {
    let Some(events) = stream.strip_suffix(b"\n\n") else {
        return false;
    };
    let begin = events.windows(2).rposition(|end| end == b"\n\n").map_or(0, |at| at + 2);
    let last = events.get(begin..).unwrap_or_default();
    LAST_EVENTS.iter().any(|event| last.starts_with(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_ended_with_its_last_event() {
        for (stream, ended) in [
            (&b"data: {}\n\ndata: [DONE]\n\n"[..], true),
            (b"data: [DONE]\n\n", true),
            (b"event: x\ndata: {}\n\nevent: response.completed\ndata: {}\n\n", true),
            (b"event: response.incomplete\ndata: {}\n\n", true),
            (b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true),
            (b"data: {\"text\": \"data: [DONE]\"}\n\n", false),
            (b"event: response.failed\ndata: {}\n\n", false),
            (b"data: [DONE]\n\nevent: error\ndata: {}\n\n", false),
            (b"data: [DO", false),
            (b"", false),
        ] {
            assert_eq!(has_ended(stream), ended, "{}", String::from_utf8_lossy(stream));
        }
    }
}
