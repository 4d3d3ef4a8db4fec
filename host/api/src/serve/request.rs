//! One request: where it comes from, how long its body may take, and until when it counts as in flight.
//! Not here: the connection it comes on (`connection`), what is answered (the service).

use axum::{
    Json,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use serde_json::json;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, Sleep, sleep},
};
use tower::{Service, ServiceExt};

/// Requests of a whole server, from their head to the last byte of their answer.
#[derive(Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    none: Notify,
}

impl InFlight {
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns when there is none.
    pub async fn ended(&self) {
        loop {
            // Made before the look, so that a request which ends in between wakes it.
            let none = self.none.notified();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }
}

/// What a connection has had and has. It decides how long it may stay as it is.
pub(crate) struct Activity {
    state: Mutex<State>,
    begun: Notify,
}

struct State {
    /// Its protocol, known from its first request.
    version: Option<Version>,
    active: usize,
    /// Of the active ones, those whose answer goes on as soon as the client has read what there is.
    unread: usize,
    since: Instant,
    /// When the next request's head began, with no other request active.
    head: Option<Instant>,
}

/// What a connection waits for, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waiting {
    /// For us: a request is being served.
    Us,
    /// For the rest of a head, or for the first one.
    Head(Instant),
    /// For another request.
    Request(Instant),
    /// For the client to read.
    Reader(Instant),
}

impl Activity {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                version: None,
                active: 0,
                unread: 0,
                since: Instant::now(),
                head: None,
            }),
            begun: Notify::new(),
        }
    }

    pub fn waiting(&self) -> Waiting {
        let state = self.state.lock();
        match (state.active, state.unread, state.head) {
            (0, _, _) if state.version.is_none() => Waiting::Head(state.since),
            (0, _, Some(since)) => Waiting::Head(since),
            (0, _, None) => Waiting::Request(state.since),
            (active, unread, _) if active == unread => Waiting::Reader(state.since),
            _ => Waiting::Us,
        }
    }

    /// The client has sent something.
    pub fn hear(&self) {
        let mut state = self.state.lock();
        // What comes on HTTP/2 may be a ping as well.
        let is_http1 = state.version.is_some_and(|version| version <= Version::HTTP_11);
        if is_http1 && state.active == 0 && state.head.is_none() {
            state.head = Some(Instant::now());
            self.begun.notify_one();
        }
    }

    /// Returns when another head has begun.
    pub async fn begins(&self) {
        self.begun.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.since = Instant::now();
        state.head = None;
    }
}

/// One request in flight, until it is dropped.
struct Ticket {
    server: Arc<InFlight>,
    connection: Arc<Activity>,
    unread: bool,
}

impl Ticket {
    fn new(server: Arc<InFlight>, connection: Arc<Activity>, version: Version) -> Self {
        server.count.fetch_add(1, Ordering::SeqCst);
        connection.change(|state| {
            state.version = Some(version);
            state.active += 1;
        });
        Self {
            server,
            connection,
            unread: false,
        }
    }

    /// Whether there is something for the client to read before the answer goes on.
    fn set_unread(&mut self, unread: bool) {
        if self.unread != unread {
            self.unread = unread;
            self.connection.change(|state| match unread {
                true => state.unread += 1,
                false => state.unread -= 1,
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.set_unread(false);
        self.connection.change(|state| state.active -= 1);
        if self.server.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.server.none.notify_waiters();
        }
    }
}

/// The requests of one connection.
#[derive(Clone)]
pub(crate) struct Requests<S> {
    service: S,
    peer: SocketAddr,
    body_time: Duration,
    server: Arc<InFlight>,
    pub connection: Arc<Activity>,
}

impl<S> Requests<S> {
    pub fn new(service: S, peer: SocketAddr, body_time: Duration, server: Arc<InFlight>) -> Self {
        let connection = Arc::new(Activity::new());
        Self {
            service,
            peer,
            body_time,
            server,
            connection,
        }
    }
}

impl<S> hyper::service::Service<hyper::Request<Incoming>> for Requests<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let mut ticket = Ticket::new(self.server.clone(), self.connection.clone(), request.version());
        let (service, time) = (self.service.clone(), self.body_time);
        let late = Arc::new(AtomicBool::new(false));
        let mut request = request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Timed::new(body, time, late.clone())),
        });
        request.extensions_mut().insert(ConnectInfo(self.peer));
        Box::pin(async move {
            let response = service.oneshot(request).await?;
            // The handler has seen a body that broke off and says so in its words; this is the reason.
            let response = match late.load(Ordering::SeqCst) && !response.status().is_success() {
                true => too_slow(time),
                false => response,
            };
            ticket.set_unread(true);
            Ok(response.map(|body| Body::new(Ticketed { body, ticket })))
        })
    }
}

fn too_slow(time: Duration) -> Response {
    let message = format!(
        "the request's body has not come within {} ms; send it faster, or in smaller parts",
        time.as_millis()
    );
    let body = json!({"error": {
        "message": message, "type": "invalid_request_error", "param": null, "code": "request_timeout",
    }});
    let mut response = (StatusCode::REQUEST_TIMEOUT, Json(body)).into_response();
    // The rest of the body may still come: nothing else can be read from this connection. HTTP/2 ends the stream alone,
    // and hyper takes the header away there.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// A request's body that fails when it takes too long.
struct Timed {
    body: Incoming,
    time: Duration,
    /// Begins with the first read: that a handler waits for something else before is not the client's fault.
    end: Option<Pin<Box<Sleep>>>,
    late: Arc<AtomicBool>,
}

impl Timed {
    fn new(body: Incoming, time: Duration, late: Arc<AtomicBool>) -> Self {
        Self {
            body,
            time,
            end: None,
            late,
        }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let time = self.time;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(time)));
        // Asked before the body, so that one that always has a byte is cut off too.
        if end.as_mut().poll(context).is_ready() {
            self.late.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(axum::Error::new("the request's body takes too long"))));
        }
        Pin::new(&mut self.body)
            .poll_frame(context)
            .map(|frame| frame.map(|frame| frame.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that keeps its request in flight.
struct Ticketed {
    body: Body,
    ticket: Ticket,
}

impl HttpBody for Ticketed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Asked for more: what there was has gone out.
        self.ticket.set_unread(false);
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.ticket.set_unread(matches!(frame, Poll::Ready(Some(Ok(_)))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
