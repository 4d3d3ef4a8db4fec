//! The listener: accepts connections, bounds them in number and in time, and ends them in order.
//!
//! An accept loop of our own over hyper, because a router sees none of what is bounded here: how many connections are open, how
//! long a head may take, what happens to a request when the server stops. It has a thread of its own: behind the requests of a busy
//! server it would leave new connections in the system's queue, which drops what is over its length, and a client comes back a second later.
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
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, thread, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    runtime::{Builder, Handle},
    sync::watch,
    time::{sleep, timeout},
};
use tower::Service;

/// Wait after an error of `accept` that does not concern one connection: most likely too many open files, until connections end.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);
/// Time for the last bytes when all requests have ended, and for aborted connections to go.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that the system keeps until they are accepted. It may keep fewer (Linux: `net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// A listener on this address, `HOST:PORT`.
///
/// # Errors
/// The address cannot be read, or is in use.
pub async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the address has no number");
    for address in lookup_host(address).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A server that is started again can have its address at once. On Windows it would be a second one on the same address.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// A listener that serves. Dropping it aborts every connection.
pub struct Serving {
    stage: watch::Sender<ShutdownStage>,
    in_flight: Arc<InFlight>,
}

/// Serves connections of `listener` with `service` until [`Serving::drain`]. Each request carries its peer's address as
/// axum's `ConnectInfo<SocketAddr>`. Must be called in a runtime, which serves them.
///
/// # Errors
/// The system has no thread or no handles left.
pub fn serve<S>(listener: TcpListener, service: S, options: ServeOptions) -> io::Result<Serving>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let (stage, watched) = watch::channel(ShutdownStage::Serving);
    let in_flight = Arc::new(InFlight::default());
    let accepting = Builder::new_current_thread().enable_all().build()?;
    let listener = listener.into_std()?;
    let connections = accept(
        listener,
        service,
        options,
        in_flight.clone(),
        watched,
        Handle::current(),
    );
    thread::Builder::new().name("accept".into()).spawn(move || {
        if let Err(error) = accepting.block_on(connections) {
            tracing::error!(%error, "connections cannot be accepted");
        }
    })?;
    Ok(Serving { stage, in_flight })
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
    listener: std::net::TcpListener,
    service: S,
    options: ServeOptions,
    in_flight: Arc<InFlight>,
    mut stage: watch::Receiver<ShutdownStage>,
    serving: Handle,
) -> io::Result<()>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let connections = Connections::new(options.max_connections, options.max_connections_per_address);
    let bounds = Arc::new(Bounds::new(options));
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, peer) = tokio::select! {
            _ = stage.wait_for(|stage| *stage != ShutdownStage::Serving) => return Ok(()),
            accepted = accept_one(&listener) => accepted,
        };
        let requests = request::RequestService::new(service.clone(), peer, bounds.body_timeout(), in_flight.clone());
        let activity = Arc::clone(&requests.connection);
        // Those after it stay in the system's queue while it waits.
        let open = tokio::select! {
            _ = stage.wait_for(|stage| *stage != ShutdownStage::Serving) => return Ok(()),
            open = connections.open(peer.ip(), &activity) => open,
        };
        let Some(open) = open else { continue };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "Nagle's algorithm could not be switched off for a connection");
        }
        // Its events go to the runtime that serves it, not to this one.
        let stream = stream.into_std();
        let (bounds, stage) = (bounds.clone(), stage.clone());
        serving.spawn(async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => connection::run(stream, requests, bounds, stage).await,
                Err(error) => tracing::warn!(%error, "a connection could not be served"),
            }
            drop(open);
        });
    }
}

/// The next connection. Errors before it are logged and survived.
async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
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
