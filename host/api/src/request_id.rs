//! A name for every request, said back to the client and in the log, and one log line per request.
//! Not here: errors, which are logged where they are turned into a response.

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

/// The request's id, for whoever writes down what the request did.
#[derive(Clone)]
pub(crate) struct RequestId(pub String);

/// Makes a span the child of what a `traceparent` header names. Chosen by the composition root, because only who sends traces
/// knows what the header says.
pub type Follow = fn(&Span, Option<&str>);

pub(crate) async fn name_and_log(State(follow): State<Follow>, mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_sane(id))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    // The route and not the path, which has ids in it.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(String::new, |path| path.as_str().to_owned());
    let span = tracing::info_span!("request", %id, method = %request.method(), route, status = Empty);
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    follow(&span, parent);
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    span.in_scope(|| {
        tracing::info!(duration_ms = begun.elapsed().as_millis(), "answered");
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

/// Ids that come from outside stand in our log: nothing that could break a line or hide in it.
fn is_sane(id: &str) -> bool {
    (1..=LENGTH_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
