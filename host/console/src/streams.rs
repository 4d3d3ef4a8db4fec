//! Pages that follow the server by server-sent events: how many there are, and when their streams end. Not here: what they say.

use crate::sessions::Owner;
use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::Stream;
use parking_lot::Mutex;
use riad_api::pages::DrainSignal;
use riad_core::{Result, resources};
use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Of one account, and of the operator: `resources::CONSOLE_STREAMS`.
const PER_OWNER: usize = 8;
/// Of all.
const MOST: usize = 256;
/// Then the browser asks again, if the page is still open.
const LONGEST: Duration = Duration::from_secs(60);
/// After which something is said, because proxies close a connection that says nothing.
const SILENCE: Duration = Duration::from_secs(15);
/// Asks nginx and what is made of it to pass each event on as it comes.
const UNBUFFERED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

pub(crate) fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> impl IntoResponse {
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(SILENCE));
    ([UNBUFFERED], events)
}

/// How many streams each owner has. Clones share the numbers.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<Owner, usize>>>);

/// A stream, until it is dropped.
pub(crate) struct OpenStream {
    streams: Streams,
    owner: Owner,
    drain: DrainSignal,
    end: Instant,
}

impl Streams {
    /// # Errors
    /// `Busy` if the owner, or all together, have as many as they may have.
    pub fn open(&self, owner: Owner, drain: DrainSignal) -> Result<OpenStream> {
        let mut open = self.0.lock();
        let own = open.get(&owner).copied().unwrap_or(0);
        if own >= PER_OWNER || open.values().sum::<usize>() >= MOST {
            return Err(resources::CONSOLE_STREAMS.refuse_for(LONGEST));
        }
        open.insert(owner, own + 1);
        Ok(OpenStream {
            streams: self.clone(),
            owner,
            drain,
            end: Instant::now() + LONGEST,
        })
    }
}

impl OpenStream {
    /// Waits until it is time to look again. False if the stream has lasted for long enough, or the server drains, which waits for no page that is
    /// open.
    pub async fn wait(&self, period: Duration) -> bool {
        if Instant::now() >= self.end {
            return false;
        }
        tokio::select! {
            () = self.drain.received() => false,
            () = sleep(period) => true,
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        match open.get_mut(&self.owner) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => {
                open.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{Account, ErrorKind};

    fn tenant(number: u64) -> Owner {
        Owner::Tenant(Account::new(number))
    }

    #[tokio::test]
    async fn streams_are_bounded_by_owner_and_in_all() {
        let streams = Streams::default();
        let open = |owner| streams.open(owner, DrainSignal::default());
        let mut kept: Vec<_> = (0..PER_OWNER).map(|_| open(Owner::Operator).unwrap()).collect();
        let refused = open(Owner::Operator).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        kept.pop();
        kept.push(open(Owner::Operator).unwrap());
        kept.extend((PER_OWNER as u64..MOST as u64).map(|number| open(tenant(number)).unwrap()));
        assert!(open(tenant(1)).is_err());
        kept.clear();
        assert!(
            streams.0.lock().is_empty(),
            "nothing is left of an owner without streams"
        );
    }

    #[tokio::test]
    async fn a_stream_ends_after_its_time() {
        let streams = Streams::default();
        let mut stream = streams.open(Owner::Operator, DrainSignal::default()).unwrap();
        assert!(stream.wait(Duration::ZERO).await);
        stream.end = Instant::now();
        assert!(!stream.wait(LONGEST).await);
    }
}
