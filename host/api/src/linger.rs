//! Reads on what is left of a request's body after the answer is decided. A server that closes while the client still
//! writes resets the connection, and the client never reads why it was refused. Not here: how large a body may be.

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

/// Bytes that are read and thrown away, at most: whoever sends more is cut off.
const BYTES_MAX: usize = 64 << 20;
/// As long as a client that goes on sending may take.
const TIME: Duration = Duration::from_secs(10);

pub(crate) async fn read_on(request: Request, next: Next) -> Response {
    next.run(lingering(request)).await
}

/// The request with a body that is read on when it is dropped before its end.
pub(crate) fn lingering(request: Request) -> Request {
    request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::from_stream(Lingering(Some(body.into_data_stream()))),
    })
}

/// A body that is read on when it is dropped before its end.
struct Lingering(Option<BodyDataStream>);

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let piece = ready!(body.poll_next_unpin(context));
        if !matches!(piece, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(piece)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Outside of a runtime nobody waits for an answer.
        if let (Some(body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            // A client that breaks off ends it, as do both bounds; none of them matters to anybody.
            runtime.spawn(timeout(TIME, drain(body)));
        }
    }
}

async fn drain(mut body: BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(piece)) = body.next().await {
        read += piece.len();
        if read > BYTES_MAX {
            return;
        }
    }
}
