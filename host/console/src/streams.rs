//! Pages that follow the server by server-sent events: how many there are, and when their streams end. Not here: what they say.

use crate::sessions::{Owner, Session};
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
use riad_core::{
    Result,
    pass::{KeyHash, hash_key},
    resources,
};
use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Of one key: `resources::CONSOLE_STREAMS`.
const PER_KEY: usize = 8;
/// Of one account, and of the operator.
const PER_OWNER: usize = 32;
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

/// How many streams each key has. Clones share the numbers.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<Holder, usize>>>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Holder {
    owner: Owner,
    key: KeyHash,
}

/// A stream, until it is dropped.
pub(crate) struct OpenStream {
    streams: Streams,
    holder: Holder,
    drain: DrainSignal,
    end: Instant,
}

impl Streams {
    /// # Errors
    /// `Busy` if the key, its owner, or all together, have as many as they may have.
    pub fn open(&self, session: &Session, drain: DrainSignal) -> Result<OpenStream> {
        let holder = Holder {
            owner: session.owner,
            key: hash_key(&session.key),
        };
        let mut open = self.0.lock();
        let of_key = open.get(&holder).copied().unwrap_or(0);
        let of_owner = open.iter().filter(|(other, _)| other.owner == holder.owner);
        let of_owner: usize = of_owner.map(|(_, number)| number).sum();
        if of_key >= PER_KEY || of_owner >= PER_OWNER || open.values().sum::<usize>() >= MOST {
            return Err(resources::CONSOLE_STREAMS.refuse_for(LONGEST));
        }
        open.insert(holder, of_key + 1);
        Ok(OpenStream {
            streams: self.clone(),
            holder,
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
        match open.get_mut(&self.holder) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => {
                open.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::Sessions;
    use riad_core::{Account, ErrorKind, Secret};

    fn session(owner: Owner, key: &str) -> Session {
        let sessions = Sessions::default();
        let id = sessions.begin(owner, Secret::new(key.to_owned())).unwrap();
        sessions.find(&id).unwrap()
    }

    fn tenant(number: usize, key: &str) -> Session {
        session(Owner::Tenant(Account::new(number as u64)), key)
    }

    #[tokio::test]
    async fn streams_are_bounded_by_key_owner_and_in_all() {
        let streams = Streams::default();
        let open = |session: &Session| streams.open(session, DrainSignal::default());
        let operator = session(Owner::Operator, "one");
        let mut kept: Vec<_> = (0..PER_KEY).map(|_| open(&operator).unwrap()).collect();
        let refused = open(&operator).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        kept.pop();
        kept.push(open(&operator).unwrap());
        // Another key of an account has streams of its own, up to the account's bound.
        for number in 0..PER_OWNER {
            kept.push(open(&tenant(1, &(number / PER_KEY).to_string())).unwrap());
        }
        assert!(open(&tenant(1, "other")).is_err());
        let left = MOST - kept.len();
        kept.extend((0..left).map(|number| open(&tenant(2 + number, "one")).unwrap()));
        assert!(open(&tenant(2 + MOST, "one")).is_err());
        kept.clear();
        assert!(
            streams.0.lock().is_empty(),
            "nothing is left of an owner without streams"
        );
    }

    #[tokio::test]
    async fn a_stream_ends_after_its_time() {
        let streams = Streams::default();
        let operator = session(Owner::Operator, "one");
        let mut stream = streams.open(&operator, DrainSignal::default()).unwrap();
        assert!(stream.wait(Duration::ZERO).await);
        stream.end = Instant::now();
        assert!(!stream.wait(LONGEST).await);
    }
}
