//! One request: its peer's address, the deadline of its body, and until when it counts as in flight.
//! Not here: the connection it comes on (`connection`), what is answered (the service).

use crate::{anthropic, error};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, Version, header},
    response::Response,
};
use hyper::body::{Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use riad_api_types::error::ErrorBody;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, Sleep, sleep},
};
use tower::{Service, ServiceExt};

/// Bytes of an answer that hyper is given at once. It takes whatever it is given, however much of it waits for the client.
pub(crate) const PIECE_BYTES: usize = 64 << 10;
/// Time for the first request of a connection before it counts as idle.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);

/// Requests of a whole server, from their head until the last byte of their answer has left the server.
#[derive(Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    became_none: Notify,
}

impl InFlight {
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub async fn wait_until_none(&self) {
        loop {
            // Made before the check, so that a request which ends in between wakes it.
            let became_none = self.became_none.notified();
            if self.count() == 0 {
                return;
            }
            became_none.await;
        }
    }
}

/// What happens on a connection, which decides how long it may stay open.
pub(crate) struct Activity {
    state: Mutex<State>,
    /// Requests whose answer has been given to hyper as a whole and not yet been written. `None` when the connection has ended.
    unflushed: Mutex<Option<Vec<InFlightGuard>>>,
    head_began: Notify,
    /// The connection is to be closed.
    closed: Notify,
}

struct State {
    /// Its protocol, known from its first request.
    version: Option<Version>,
    active: usize,
    /// Active requests whose answer goes on as soon as the client has read what was sent.
    unread: usize,
    since: Instant,
    /// When the next request's head began, with no other request active.
    head: Option<Instant>,
    /// Whether one of its requests had a key that opens something.
    authenticated: bool,
    /// It was told to close, because another needs its place.
    closed: bool,
}

/// A connection on which nobody waits for the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    pub since: Instant,
    pub authenticated: bool,
}

/// The connection that a request came on, in its extensions.
#[derive(Clone)]
pub(crate) struct ClientConnection(Arc<Activity>);

impl ClientConnection {
    /// Its client has a key, and may be silent for longer.
    pub fn record_authenticated(&self) {
        self.0.record_authenticated();
    }
}

/// What a connection waits for, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitingFor {
    /// A request is being served.
    Server,
    /// The rest of a head, or the first head.
    Head(Instant),
    NextRequest(Instant),
    /// The client reads nothing of what was sent.
    ClientRead(Instant),
}

impl Activity {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                version: None,
                active: 0,
                unread: 0,
                since: Instant::now(),
                head: None,
                authenticated: false,
                closed: false,
            }),
            unflushed: Mutex::new(Some(Vec::new())),
            head_began: Notify::new(),
            closed: Notify::new(),
        }
    }

    /// Whether it waits for its client to send a request, or the rest of one's head.
    pub fn idle(&self) -> Option<Idle> {
        self.state.lock().idle()
    }

    /// Tells the connection to close, unless a request is active.
    pub fn close_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        if state.idle().is_none() {
            return false;
        }
        state.closed = true;
        self.closed.notify_one();
        true
    }

    /// Returns when the connection was told to close.
    pub async fn closed(&self) {
        self.closed.notified().await;
    }

    pub fn record_authenticated(&self) {
        self.state.lock().authenticated = true;
    }

    pub fn is_authenticated(&self) -> bool {
        self.state.lock().authenticated
    }

    pub fn waiting_for(&self) -> WaitingFor {
        let state = self.state.lock();
        match (state.active, state.unread, state.head) {
            (0, _, _) if state.version.is_none() => WaitingFor::Head(state.since),
            (0, _, Some(since)) => WaitingFor::Head(since),
            (0, _, None) => WaitingFor::NextRequest(state.since),
            (active, unread, _) if active == unread => WaitingFor::ClientRead(state.since),
            _ => WaitingFor::Server,
        }
    }

    /// The client has sent something.
    pub fn record_received(&self) {
        let mut state = self.state.lock();
        // Bytes on HTTP/2 may be a ping.
        let is_http1 = state.version.is_some_and(|version| version <= Version::HTTP_11);
        if is_http1 && state.active == 0 && state.head.is_none() {
            state.head = Some(Instant::now());
            self.head_began.notify_one();
        }
    }

    /// Bytes have been written, so the client reads. Those of HTTP/2 may be a ping; there, the windows of its streams tell, which
    /// decide when hyper takes the next piece of an answer.
    pub fn record_sent(&self) {
        let mut state = self.state.lock();
        if state.version.is_some_and(|version| version <= Version::HTTP_11) {
            state.since = Instant::now();
        }
    }

    /// Everything that hyper was given has been written: the requests whose answers were a part of it have ended.
    pub fn record_flushed(&self) {
        // Dropped without the lock: a guard changes the state.
        let ended = self.unflushed.lock().as_mut().map(std::mem::take);
        drop(ended);
    }

    /// Nothing will be written any more.
    pub fn record_closed(&self) {
        let ended = self.unflushed.lock().take();
        drop(ended);
    }

    /// Keeps a request in flight until its answer, which has been given to hyper, is written.
    fn end_when_flushed(&self, mut guard: InFlightGuard) {
        guard.set_unread(true);
        let mut unflushed = self.unflushed.lock();
        match unflushed.as_mut() {
            Some(guards) => guards.push(guard),
            None => {
                drop(unflushed);
                drop(guard);
            }
        }
    }

    /// Returns when another head has begun.
    pub async fn head_began(&self) {
        self.head_began.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.since = Instant::now();
        state.head = None;
    }
}

impl State {
    fn idle(&self) -> Option<Idle> {
        // A newcomer could not have sent anything yet: without this, newcomers would close each other in a flood of them.
        let is_new = self.version.is_none() && !self.authenticated && self.since.elapsed() < HANDSHAKE_GRACE;
        (self.active == 0 && !self.closed && !is_new).then(|| Idle {
            since: self.head.unwrap_or(self.since),
            authenticated: self.authenticated,
        })
    }
}

/// For tests of what has connections.
#[cfg(test)]
impl Activity {
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// As if it had been opened earlier.
    pub fn end_grace_for_test(&self) {
        self.state.lock().since -= HANDSHAKE_GRACE;
    }

    /// A request that is served until the guard is dropped.
    pub fn request_for_test(self: &Arc<Self>) -> impl Drop + use<> {
        InFlightGuard::new(Arc::default(), Arc::clone(self), Version::HTTP_11)
    }
}

/// Counts a request as in flight until it is dropped.
struct InFlightGuard {
    server: Arc<InFlight>,
    connection: Arc<Activity>,
    unread: bool,
}

impl InFlightGuard {
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

    /// Whether the client has something to read before the answer goes on.
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

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.set_unread(false);
        self.connection.change(|state| state.active -= 1);
        if self.server.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.server.became_none.notify_waiters();
        }
    }
}

/// Serves the requests of one connection with `service`.
#[derive(Clone)]
pub(crate) struct RequestService<S> {
    service: S,
    peer: SocketAddr,
    body_timeout: Duration,
    server: Arc<InFlight>,
    pub connection: Arc<Activity>,
}

impl<S> RequestService<S> {
    pub fn new(service: S, peer: SocketAddr, body_timeout: Duration, server: Arc<InFlight>) -> Self {
        let connection = Arc::new(Activity::new());
        Self {
            service,
            peer,
            body_timeout,
            server,
            connection,
        }
    }
}

impl<S> hyper::service::Service<hyper::Request<Incoming>> for RequestService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let mut guard = InFlightGuard::new(self.server.clone(), self.connection.clone(), request.version());
        let (service, timeout) = (self.service.clone(), self.body_timeout);
        let timed_out = Arc::new(AtomicBool::new(false));
        let mut request = request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(DeadlineBody::new(body, timeout, timed_out.clone())),
        });
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request
            .extensions_mut()
            .insert(ClientConnection(Arc::clone(&self.connection)));
        let is_anthropics = anthropic::is_route(request.uri().path());
        Box::pin(async move {
            let response = service.oneshot(request).await?;
            // The handler saw a body that broke off, and its answer says only that; this is the reason.
            let response = match timed_out.load(Ordering::SeqCst) && !response.status().is_success() {
                true if is_anthropics => anthropic::shape(body_timeout_response(timeout), None),
                true => body_timeout_response(timeout),
                false => response,
            };
            guard.set_unread(true);
            Ok(response.map(|body| Body::new(InFlightBody::new(body, guard))))
        })
    }
}

fn body_timeout_response(timeout: Duration) -> Response {
    let message = format!(
        "the request's body did not arrive within {} ms; send it faster, or in smaller parts",
        timeout.as_millis()
    );
    let body = ErrorBody::new(message, "invalid_request_error", "request_timeout");
    let mut response = error::respond(StatusCode::REQUEST_TIMEOUT, body);
    // The rest of the body may still arrive, so no other request can be read from this connection. On HTTP/2 only the stream
    // ends, and hyper removes the header.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// A request's body that fails when it does not arrive in time.
struct DeadlineBody {
    body: Incoming,
    timeout: Duration,
    /// Set by the first read: the client is not at fault if the handler waits for something else before.
    deadline: Option<Pin<Box<Sleep>>>,
    timed_out: Arc<AtomicBool>,
}

impl DeadlineBody {
    fn new(body: Incoming, timeout: Duration, timed_out: Arc<AtomicBool>) -> Self {
        Self {
            body,
            timeout,
            deadline: None,
            timed_out,
        }
    }
}

impl HttpBody for DeadlineBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        // Checked before the body, so that a body which always has one more byte is cut off too.
        if deadline.as_mut().poll(context).is_ready() {
            self.timed_out.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(axum::Error::new("the request's body did not arrive in time"))));
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

/// An answer's body. Its request is in flight until the body's end has been written, or until it is dropped before its end.
struct InFlightBody {
    body: Body,
    /// The rest of the last piece.
    rest: Bytes,
    /// `None` when the end has been given to hyper.
    guard: Option<InFlightGuard>,
}

impl InFlightBody {
    fn new(body: Body, guard: InFlightGuard) -> Self {
        let mut body = Self {
            body,
            rest: Bytes::new(),
            guard: Some(guard),
        };
        body.end_if_taken();
        body
    }

    /// Hyper does not ask for more of a body that says that it has ended.
    fn end_if_taken(&mut self) {
        if self.is_end_stream() {
            self.end();
        }
    }

    /// Called before hyper gets the last piece: it may be written before hyper asks again.
    fn end(&mut self) {
        if let Some(guard) = self.guard.take() {
            let connection = guard.connection.clone();
            connection.end_when_flushed(guard);
        }
    }

    fn set_unread(&mut self, unread: bool) {
        if let Some(guard) = &mut self.guard {
            guard.set_unread(unread);
        }
    }
}

impl HttpBody for InFlightBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // hyper asks for more: what there was has been sent.
        self.set_unread(false);
        let mut frame = match self.rest.is_empty() {
            true => ready!(Pin::new(&mut self.body).poll_frame(context)),
            false => Some(Ok(Frame::data(std::mem::take(&mut self.rest)))),
        };
        if let Some(Ok(piece)) = &mut frame
            && let Some(data) = piece.data_mut()
            && data.len() > PIECE_BYTES
        {
            self.rest = data.split_off(PIECE_BYTES);
        }
        match &frame {
            Some(Ok(_)) => {
                self.set_unread(true);
                self.end_if_taken();
            }
            None => self.end(),
            // The connection or its stream is reset.
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
