//! Answers as server-sent events: the response, its comments while nothing is said, and a start that takes long. Not here: what an event
//! says (`chat`, `completions`).

use crate::error::{ApiError, ApiResult};
use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, StreamExt, future::Either, stream};
use riad_core::{Error, Result};
use riad_services::Services;
use serde::Serialize;
use std::{convert::Infallible, time::Duration};
use tokio::time::timeout;
use tracing::Instrument;

/// Asks nginx and what is made of it to pass each event on as it comes.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// How long an answer may say nothing, and what is said then.
pub(crate) struct Silence {
    longest: Duration,
    say: Box<dyn FnOnce() -> String + Send>,
}

impl Silence {
    /// Says what the request waits for.
    pub(crate) fn of(services: &Services) -> Self {
        let longest = Duration::from_millis(services.limits().stream_silence_ms);
        let scale = services.scale();
        Self {
            longest,
            say: Box::new(move || scale.waiting()),
        }
    }

    #[cfg(test)]
    pub(crate) fn new(longest: Duration, text: &'static str) -> Self {
        Self {
            longest,
            say: Box::new(|| text.to_owned()),
        }
    }
}

/// Answers a request whose generation starts within the silence, or is refused, with the status that fits. A longer wait begins the answer with
/// a comment, because proxies close a connection that says nothing; what goes wrong then is what `fail` makes of it.
pub(crate) async fn respond<S, W>(
    starting: impl Future<Output = Result<S>> + Send + 'static,
    silence: Silence,
    write: impl FnOnce(S) -> W + Send + 'static,
    fail: impl FnOnce(Error) -> Event + Send + 'static,
) -> ApiResult<Response>
where
    S: Send + 'static,
    W: Stream<Item = Event> + Send + 'static,
{
    let write = |started| match started {
        Ok(started) => Either::Left(write(started)),
        Err(error) => Either::Right(stream::iter([fail(error)])),
    };
    respond_to_result(starting, silence, write).await
}

/// As [`respond`], for a stream that also writes what has gone wrong before it began.
pub(crate) async fn respond_to_result<S, W>(
    starting: impl Future<Output = Result<S>> + Send + 'static,
    silence: Silence,
    write: impl FnOnce(Result<S>) -> W + Send + 'static,
) -> ApiResult<Response>
where
    S: Send + 'static,
    W: Stream<Item = Event> + Send + 'static,
{
    // Also when it goes on outside of the handler.
    let mut starting = Box::pin(starting.in_current_span());
    let Silence { longest, say } = silence;
    let events = match timeout(longest, &mut starting).await {
        Ok(started) => Either::Left(write(Ok(started?))),
        Err(_) => {
            let said = Event::default().comment(say());
            let late = async move { write(starting.await) };
            Either::Right(stream::once(async { said }).chain(stream::once(late).flatten()))
        }
    };
    let events = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(longest));
    Ok(([UNBUFFERED], events).into_response())
}

/// An event with a name, which stands in the line before its data.
pub(crate) fn named(name: &str, value: &impl Serialize) -> Event {
    with_data(Event::default().event(name), value)
}

/// An event in OpenAI's older shape, without a name.
pub(crate) fn data(value: &impl Serialize) -> Event {
    with_data(Event::default(), value)
}

/// JSON has no line ends in it, so that it is one `data:` line.
fn with_data(event: Event, value: &impl Serialize) -> Event {
    match serde_json::to_string(value) {
        Ok(json) => event.data(json),
        Err(error) => {
            tracing::error!(%error, "an event could not be written");
            event.comment("an event could not be written")
        }
    }
}

/// An error in OpenAI's shape, as an event.
pub(crate) fn failure(error: Error) -> Event {
    data(&ApiError::from(error).into_body())
}

/// The last event of a stream in OpenAI's older shape.
pub(crate) fn done() -> Event {
    Event::default().data("[DONE]")
}
