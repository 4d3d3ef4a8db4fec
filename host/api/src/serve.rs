//! The listener: accepts connections, bounds them in number and in time, and ends them in order.
//!
//! An accept loop of our own over hyper, because each bound belongs to a place that a router cannot see: how many
//! connections are open, how long a head may take, what happens to a request when the server stops.
//! Not here: one connection (`connection`), one request (`request`), certificates (`tls`), what is answered (`lifecycle`, `router`).

mod connection;
mod request;
pub mod tls;

use axum::{body::Body, extract::Request, response::Response};
use connection::Bounds;
use request::InFlight;
use riad_core::Limits;
use std::{convert::Infallible, io, sync::Arc, time::Duration};
use tls::Tls;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tower::Service;

/// After an error of `accept` that is not one connection's: too many open files, most likely. Other connections will end.
const PAUSE: Duration = Duration::from_millis(500);
/// For last bytes on their way when all requests have ended, and for what is cut off to be gone.
const FLUSH: Duration = Duration::from_secs(2);

/// As long as a client may read nothing of what it has asked for.
const READ_TIME: Duration = Duration::from_secs(60);

/// The bounds of a listener.
#[derive(Clone)]
pub struct ServeOptions {
    /// Connections that are open at the same time; more wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's head; at least 8192.
    pub header_bytes: usize,
    /// In which a request's head must have come, and a TLS handshake must have ended.
    pub header_time: Duration,
    /// In which a request's body must have come, from the moment when somebody reads it.
    pub body_time: Duration,
    /// For which a client may read nothing while all of its answers wait for that.
    pub read_time: Duration,
    /// Without it, plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl ServeOptions {
    #[must_use]
    pub fn new(limits: &Limits, tls: Option<Arc<Tls>>) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            connections: size(limits.connections.into()).min(Semaphore::MAX_PERMITS),
            // What hyper needs at least; less would be a panic there.
            header_bytes: size(limits.header_bytes).max(8192),
            header_time: Duration::from_millis(limits.header_ms),
            body_time: Duration::from_millis(limits.body_ms),
            read_time: READ_TIME,
            tls,
        }
    }
}

/// How far the listener is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Serving,
    /// Nothing is in flight: close what is idle.
    Closing,
    /// Drop everything.
    Cut,
}

/// A listener that serves. Dropping it cuts everything off.
pub struct Serving {
    stage: watch::Sender<Stage>,
    in_flight: Arc<InFlight>,
}

/// Serves connections of `listener` with `service` until [`Serving::drain`]. Each request carries its peer's address as
/// axum's `ConnectInfo<SocketAddr>`. Must be called in a runtime.
pub fn serve<S>(listener: TcpListener, service: S, options: ServeOptions) -> Serving
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (stage, watched) = watch::channel(Stage::Serving);
    let in_flight = Arc::new(InFlight::default());
    tokio::spawn(accept(listener, service, options, in_flight.clone(), watched));
    Serving { stage, in_flight }
}

impl Serving {
    /// Requests whose answer has not been given to its end.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    /// Waits until no request is in flight, for `time` at most, then closes the listener and every connection. What is
    /// still in flight then is dropped; returns how many requests that were.
    ///
    /// Until then requests go to the service as before: it has to refuse them (`Lifecycle::start_draining`) for this to end early.
    pub async fn drain(self, time: Duration) -> usize {
        if timeout(time, self.in_flight.ended()).await.is_ok() {
            self.stage.send_replace(Stage::Closing);
            // Who does not read its last answer in this time will not read it.
            let _ = timeout(FLUSH, self.stage.closed()).await;
        }
        let left = self.in_flight.count();
        self.stage.send_replace(Stage::Cut);
        // A future that blocks its thread cannot be dropped; it does not hold up the rest.
        if timeout(FLUSH, self.stage.closed()).await.is_err() {
            tracing::warn!("a connection could not be ended: something blocks its thread");
        }
        left
    }
}

async fn accept<S>(
    listener: TcpListener,
    service: S,
    options: ServeOptions,
    in_flight: Arc<InFlight>,
    mut stage: watch::Receiver<Stage>,
) where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(options.connections));
    let bounds = Arc::new(Bounds::new(options));
    let next = async |stage: &mut watch::Receiver<Stage>| {
        tokio::select! {
            _ = stage.wait_for(|stage| *stage != Stage::Serving) => None,
            // The place first: a connection without one stays in the system's queue.
            next = async { Some((places.clone().acquire_owned().await.ok()?, one(&listener).await)) } => next,
        }
    };
    while let Some((place, (stream, peer))) = next(&mut stage).await {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays with Nagle's algorithm");
        }
        let requests = request::Requests::new(service.clone(), peer, bounds.body_time(), in_flight.clone());
        let serving = connection::run(stream, requests, bounds.clone(), stage.clone());
        tokio::spawn(async move {
            serving.await;
            drop(place);
        });
    }
}

/// The next connection, whatever goes wrong before it comes.
async fn one(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted for now");
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
