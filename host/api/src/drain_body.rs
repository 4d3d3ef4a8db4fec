//! Layer: reads and drops what is left of a request's body after the answer is decided. A server that closes the connection
//! while the client still writes resets it, and the client never reads why it was refused.

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// Bytes that are read and dropped at most; a client that sends more is cut off.
const MAX_DRAINED_BYTES: usize = 64 << 20;
/// Time that a client which goes on sending may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn drain_body(request: Request, next: Next) -> Response {
    next.run(with_drained_body(request)).await
}

/// The request with a body that is drained when it is dropped before its end.
pub(crate) fn with_drained_body(request: Request) -> Request {
    request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::from_stream(DrainBody(Some(body.into_data_stream()))),
    })
}

/// A body that is drained when it is dropped before its end.
struct DrainBody(Option<BodyDataStream>);

impl Stream for DrainBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let chunk = ready!(body.poll_next_unpin(context));
        if !matches!(chunk, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(chunk)
    }
}

impl Drop for DrainBody {
    fn drop(&mut self) {
        // Outside of a runtime no client waits for an answer.
        if let (Some(body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            // It also ends when the client disconnects or a bound is reached; neither needs handling.
            runtime.spawn(timeout(DRAIN_TIMEOUT, drain(body)));
        }
    }
}

async fn drain(mut body: BodyDataStream) {
    let mut bytes = 0;
    while let Some(Ok(chunk)) = body.next().await {
        bytes += chunk.len();
        if bytes > MAX_DRAINED_BYTES {
            return;
        }
    }
}
