//! One connection: its handshake, its protocol, and every reason for which it ends.
//! Not here: how many there are (`serve`), what a request is given (`request`).

use super::{
    ServeOptions, Stage,
    request::{Activity, Requests, Waiting},
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
const STREAMS_MAX: u32 = 128;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
/// A connection that has no request in flight for so long is closed. Longer than the minute for which load balancers keep
/// theirs: who closes first loses no request.
const IDLE: Duration = Duration::from_secs(120);
/// For a client to take note that its connection ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// What all connections of a listener share.
pub(crate) struct Bounds(ServeOptions);

impl Bounds {
    pub fn new(options: ServeOptions) -> Self {
        Self(options)
    }

    pub fn body_time(&self) -> Duration {
        self.0.body_time
    }

    /// Until when a connection may stay as it is, if nothing happens; `None` while it waits for us.
    fn patience(&self, waiting: Waiting) -> Option<Instant> {
        match waiting {
            Waiting::Us => None,
            Waiting::Head(since) => Some(since + self.0.header_time),
            Waiting::Request(since) => Some(since + IDLE),
            Waiting::Reader(since) => Some(since + self.0.read_time),
        }
    }

    fn builder(&self, tasks: Tasks) -> Builder<Tasks> {
        let head = self.0.header_bytes;
        let mut builder = Builder::new(tasks);
        builder
            .http1()
            .timer(TokioTimer::new())
            // Hyper counts the silence before a head as a part of it. Ours does not, and ends it earlier.
            .header_read_timeout(IDLE + GOODBYE)
            .max_buf_size(head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        builder
    }
}

/// Serves a connection to its end.
pub(crate) async fn run<S>(
    stream: TcpStream,
    requests: Requests<S>,
    bounds: Arc<Bounds>,
    mut stage: watch::Receiver<Stage>,
) where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Some(tls) = &bounds.0.tls else {
        return serve(stream, requests, &bounds, stage).await;
    };
    let stream = tokio::select! {
        _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
        stream = handshake(tls, stream, bounds.0.header_time) => stream,
    };
    if let Some(stream) = stream {
        serve(stream, requests, &bounds, stage).await;
    }
}

async fn handshake(tls: &Tls, stream: TcpStream, time: Duration) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    // Whoever scans ports ends up here many times a day: nothing for a log.
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

async fn serve<I, S>(io: I, requests: Requests<S>, bounds: &Bounds, mut stage: watch::Receiver<Stage>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let activity = requests.connection.clone();
    let builder = bounds.builder(Tasks(stage.clone()));
    let mut connection = pin!(builder.serve_connection(
        TokioIo::new(Heard {
            io,
            activity: activity.clone()
        }),
        requests
    ));
    let mut look = Instant::now() + bounds.0.header_time;
    let mut seen = Stage::Serving;
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
                Ok(Stage::Serving) => {}
                Ok(Stage::Closing) => {
                    seen = Stage::Closing;
                    connection.as_mut().graceful_shutdown();
                }
                Ok(Stage::Cut) | Err(_) => return,
            },
            // Its patience is short, and may end before the next look.
            () = activity.begins() => look = look.min(Instant::now() + bounds.0.header_time),
            () = sleep_until(look) => {
                let (now, waiting) = (Instant::now(), activity.waiting());
                look = match (bounds.patience(waiting), waiting) {
                    // Nothing to watch; the look afterwards may come late by as much.
                    (None, _) => now + bounds.0.header_time,
                    (Some(end), _) if end > now => end,
                    (Some(_), Waiting::Request(_)) if !closing => {
                        connection.as_mut().graceful_shutdown();
                        closing = true;
                        now + GOODBYE
                    }
                    // It has never asked anything, does not read, or does not go when it is told.
                    (Some(_), _) => return,
                };
            }
        }
    }
}

/// Runs the streams of an HTTP/2 connection, each in a task. Hyper ends them after their connection, at some time; these
/// end with the server, and whoever waits for its end waits for them.
#[derive(Clone)]
struct Tasks(watch::Receiver<Stage>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let mut stage = self.0.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = task => {}
                _ = stage.wait_for(|stage| *stage == Stage::Cut) => {}
            }
        });
    }
}

/// A stream that says when something comes.
struct Heard<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Heard<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.activity.hear();
        }
        Poll::Ready(read)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Heard<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
