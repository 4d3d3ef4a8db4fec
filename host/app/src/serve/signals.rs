//! SIGINT and SIGTERM, received even if the runtime's threads hang. (`riad_api::reload` handles SIGHUP.)

use riad_core::{Error, Result};
use std::{io, process::ExitCode};
use tokio::sync::{mpsc, oneshot};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// 128 and the signal's number, as a shell reports it.
    fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Receives signals; from its creation on they no longer end the process by themselves.
pub(super) struct Signals(mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// Starts a thread of its own, because the runtime's threads may hang.
    ///
    /// # Errors
    /// `Internal` when the system allows no thread or no signal handler.
    pub async fn listen() -> Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (ready, is_ready) = oneshot::channel();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || listen(&sender, ready))
            .map_err(Error::internal)?;
        is_ready.await.map_err(Error::internal)?.map_err(Error::internal)?;
        Ok(Self(receiver))
    }

    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            // The thread has ended, so no signal can arrive.
            None => std::future::pending().await,
        }
    }
}

fn listen(sender: &mpsc::UnboundedSender<Signal>, ready: oneshot::Sender<io::Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let mut sources = match Sources::open() {
            Ok(sources) => sources,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        loop {
            tokio::select! {
                signal = sources.next() => {
                    if sender.send(signal).is_err() {
                        return;
                    }
                }
                () = sender.closed() => return,
            }
        }
    });
}

#[cfg(unix)]
struct Sources {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Sources {
    fn open() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            else => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Sources;

#[cfg(not(unix))]
impl Sources {
    fn open() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
