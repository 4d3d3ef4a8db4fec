//! The listener: accepts connections, bounds them in number and in time, and ends them in order.
//!
//! An accept loop of our own over hyper, because a router sees none of what is bounded here: how many connections are open, how
//! long a head may take, what happens to a request when the server stops.
//! Not here: one connection (`connection`), one request (`request`), certificates (`tls`), what is answered (`lifecycle`, `router`).

mod connection;
mod connections;
mod options;
mod request;
mod shutdown;
pub mod tls;

pub use options::ServeOptions;
pub(crate) use request::ClientConnection;

use axum::{body::Body, extract::Request, response::Response};
use connection::Bounds;
use connections::Connections;
use request::InFlight;
use shutdown::ShutdownStage;
use std::{convert::Infallible, io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use tower::Service;

/// Wait after an error of `accept` that does not concern one connection: most likely too many open files, until connections end.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);
/// Time for the last bytes when all requests have ended, and for aborted connections to go.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A listener that serves. Dropping it aborts every connection.
pub struct Serving {
    stage: watch::Sender<ShutdownStage>,
    in_flight: Arc<InFlight>,
}

/// Serves connections of `listener` with `service` until [`Serving::drain`]. Each request carries its peer's address as
/// axum's `ConnectInfo<SocketAddr>`. Must be called in a runtime.
pub fn serve<S>(listener: TcpListener, service: S, options: ServeOptions) -> Serving
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (stage, watched) = watch::channel(ShutdownStage::Serving);
    let in_flight = Arc::new(InFlight::default());
    tokio::spawn(accept(listener, service, options, in_flight.clone(), watched));
    Serving { stage, in_flight }
}

impl Serving {
    /// Requests whose answer has not been written to its end.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.count()
    }

    /// Waits until no request is in flight, for `time` at most, then closes the listener and every connection. What is
    /// still in flight then is dropped. Returns the number of dropped requests.
    ///
    /// Until then requests go to the service as before. This ends early only if the service refuses them
    /// (`Lifecycle::start_draining`).
    pub async fn drain(self, time: Duration) -> usize {
        if timeout(time, self.in_flight.wait_until_none()).await.is_ok() {
            self.stage.send_replace(ShutdownStage::Closing);
            // A client that does not read its last answer in this time will not read it.
            let _ = timeout(FLUSH_TIMEOUT, self.stage.closed()).await;
        }
        let left = self.in_flight.count();
        self.stage.send_replace(ShutdownStage::Aborting);
        // A future that blocks its thread cannot be dropped; shutdown goes on without it.
        if timeout(FLUSH_TIMEOUT, self.stage.closed()).await.is_err() {
            tracing::warn!("a connection could not be aborted: something blocks its thread");
        }
        left
    }
}

async fn accept<S>(
    listener: TcpListener,
    service: S,
    options: ServeOptions,
    in_flight: Arc<InFlight>,
    mut stage: watch::Receiver<ShutdownStage>,
) where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let connections = Connections::new(options.max_connections, options.max_connections_per_address);
    let bounds = Arc::new(Bounds::new(options));
    loop {
        let (stream, peer) = tokio::select! {
            _ = stage.wait_for(|stage| *stage != ShutdownStage::Serving) => return,
            accepted = accept_one(&listener) => accepted,
        };
        let requests = request::RequestService::new(service.clone(), peer, bounds.body_timeout(), in_flight.clone());
        let activity = Arc::clone(&requests.connection);
        // Those after it stay in the system's queue while it waits.
        let open = tokio::select! {
            _ = stage.wait_for(|stage| *stage != ShutdownStage::Serving) => return,
            open = connections.open(peer.ip(), &activity) => open,
        };
        let Some(open) = open else { continue };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "Nagle's algorithm could not be switched off for a connection");
        }
        let serving = connection::run(stream, requests, bounds.clone(), stage.clone());
        tokio::spawn(async move {
            serving.await;
            drop(open);
        });
    }
}

/// The next connection. Errors before it are logged and survived.
async fn accept_one(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted for now");
                sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
