//! Layer: gives every request an id, which its answer and its log lines carry, and logs one line per request. Errors are logged
//! where they become a response (`error`).

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use std::time::Instant;
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const LENGTH_MAX: usize = 128;

/// The request's id, which the audit log records.
#[derive(Clone)]
pub(crate) struct RequestId(pub String);

/// Makes a span the child of the one that a `traceparent` header names. The composition root passes it in: only the tracing
/// backend can read the header.
pub type SetSpanParent = fn(&Span, Option<&str>);

pub(crate) async fn identify_and_log(
    State(set_span_parent): State<SetSpanParent>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_safe_for_log(id))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    // The route and not the path, which has ids in it.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(String::new, |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", %id, method = %request.method(), route, status = Empty);
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    set_span_parent(&span, parent);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    span.in_scope(|| {
        tracing::info!(duration_ms = started.elapsed().as_millis(), "answered");
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

/// A client's id is written into our log: it must not break a line or hide in it.
fn is_safe_for_log(id: &str) -> bool {
    (1..=LENGTH_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
