//! One connection: its handshake, its protocol, and every reason for which it ends.
//! Not here: how many there are (`serve`), what a request is given (`request`).

use super::{
    options::ServeOptions,
    request::{Activity, PIECE_BYTES, RequestService, WaitingFor},
    shutdown::ShutdownStage,
    tls::Tls,
};
use axum::{body::Body, extract::Request, response::Response};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tower::Service;

/// Requests at the same time on one HTTP/2 connection. A client that needs more opens another connection.
const MAX_STREAMS: u32 = 128;
/// Interval of pings to a silent HTTP/2 client, and time for it to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A connection that had an authenticated request and has none in flight is closed after this. Longer than the minute for which load balancers keep theirs:
/// whichever side closes first loses no request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Time for a client to see that its connection closes.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What all connections of a listener share.
pub(crate) struct Bounds(ServeOptions);

impl Bounds {
    pub fn new(options: ServeOptions) -> Self {
        Self(options)
    }

    pub fn body_timeout(&self) -> Duration {
        self.0.body_timeout
    }

    /// When a connection is closed if nothing happens until then; `None` while it waits for the server.
    fn deadline(&self, waiting: WaitingFor, authenticated: bool) -> Option<Instant> {
        match waiting {
            WaitingFor::Server => None,
            WaitingFor::Head(since) => Some(since + self.0.header_timeout),
            WaitingFor::NextRequest(since) if authenticated => Some(since + IDLE_TIMEOUT),
            WaitingFor::NextRequest(since) => Some(since + self.0.anonymous_idle_timeout),
            WaitingFor::ClientRead(since) => Some(since + self.0.read_timeout),
        }
    }

    /// How often a connection is looked at that has no deadline.
    fn check_interval(&self) -> Duration {
        self.0.header_timeout.min(self.0.anonymous_idle_timeout)
    }

    fn builder(&self, tasks: StreamExecutor) -> Builder<StreamExecutor> {
        let head = self.0.max_header_bytes;
        let mut builder = Builder::new(tasks);
        builder
            .http1()
            .timer(TokioTimer::new())
            // Hyper counts the silence before a head as a part of it. Ours does not, and ends it earlier.
            .header_read_timeout(IDLE_TIMEOUT + CLOSE_GRACE)
            .max_buf_size(head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            // What is given to hyper at once, and no more of a stream waits in it.
            .max_send_buf_size(PIECE_BYTES)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_INTERVAL);
        builder
    }
}

/// Serves a connection to its end.
pub(crate) async fn run<S>(
    stream: TcpStream,
    requests: RequestService<S>,
    bounds: Arc<Bounds>,
    mut stage: watch::Receiver<ShutdownStage>,
) where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Some(tls) = &bounds.0.tls else {
        return serve(stream, requests, &bounds, stage).await;
    };
    let stream = tokio::select! {
        _ = stage.wait_for(|stage| *stage != ShutdownStage::Serving) => return,
        () = requests.connection.closed() => return,
        stream = handshake(tls, stream, bounds.0.header_timeout) => stream,
    };
    if let Some(stream) = stream {
        serve(stream, requests, &bounds, stage).await;
    }
}

async fn handshake(tls: &Tls, stream: TcpStream, time: Duration) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    // Port scanners fail here many times a day: not worth a warning.
    match timeout(time, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

async fn serve<I, S>(io: I, requests: RequestService<S>, bounds: &Bounds, mut stage: watch::Receiver<ShutdownStage>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let activity = requests.connection.clone();
    let builder = bounds.builder(StreamExecutor(stage.clone()));
    let mut connection = pin!(builder.serve_connection(
        TokioIo::new(ObservedIo {
            io,
            activity: activity.clone()
        }),
        requests
    ));
    let mut next_check = Instant::now() + bounds.check_interval();
    let mut seen = ShutdownStage::Serving;
    let mut closing = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(error, "a connection broke off");
                }
                return;
            }
            changed = stage.wait_for(|stage| *stage != seen) => match changed.map(|stage| *stage) {
                Ok(ShutdownStage::Serving) => {}
                Ok(ShutdownStage::Closing) => {
                    seen = ShutdownStage::Closing;
                    connection.as_mut().graceful_shutdown();
                }
                Ok(ShutdownStage::Aborting) | Err(_) => return,
            },
            // Another needs its place. What its client has sent since then is lost, as with any server that closes an idle connection.
            () = activity.closed() => return,
            // A head has a short deadline, which may be before the next check.
            () = activity.head_began() => next_check = next_check.min(Instant::now() + bounds.0.header_timeout),
            () = sleep_until(next_check) => {
                let (now, waiting) = (Instant::now(), activity.waiting_for());
                next_check = match (bounds.deadline(waiting, activity.is_authenticated()), waiting) {
                    // Nothing to watch; a deadline that begins meanwhile is checked late by as much.
                    (None, _) => now + bounds.check_interval(),
                    (Some(end), _) if end > now => end,
                    (Some(_), WaitingFor::NextRequest(_)) if !closing => {
                        connection.as_mut().graceful_shutdown();
                        closing = true;
                        now + CLOSE_GRACE
                    }
                    // It never sent a head, does not read, or does not close when asked to.
                    (Some(_), _) => return,
                };
            }
        }
    }
}

/// Runs the streams of an HTTP/2 connection, each in a task. Hyper ends its tasks some time after their connection; these end
/// with the server, and `Serving::drain` waits for them.
#[derive(Clone)]
struct StreamExecutor(watch::Receiver<ShutdownStage>);

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let mut stage = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = task => {}
                _ = stage.wait_for(|stage| *stage == ShutdownStage::Aborting) => {}
            }
        });
    }
}

/// A stream that records in `activity` when bytes arrive, when some have been written and when all have, and its end.
struct ObservedIo<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I> ObservedIo<I> {
    fn record_sent(&self, written: io::Result<usize>) -> io::Result<usize> {
        if written.as_ref().is_ok_and(|bytes| *bytes > 0) {
            self.activity.record_sent();
        }
        written
    }
}

impl<I> Drop for ObservedIo<I> {
    fn drop(&mut self) {
        self.activity.record_closed();
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for ObservedIo<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.activity.record_received();
        }
        Poll::Ready(read)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for ObservedIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        Poll::Ready(self.record_sent(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(context, pieces));
        Poll::Ready(self.record_sent(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Hyper calls it when it has no bytes left that it could write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        self.activity.record_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
