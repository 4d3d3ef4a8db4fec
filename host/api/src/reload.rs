//! Files that are read again while the server runs: when they change, and at once on SIGHUP. Not here: what is in them.

use riad_core::Result;
use std::{sync::Arc, time::Duration};

/// How often files are read for changes.
pub const INTERVAL: Duration = Duration::from_secs(3);

/// Calls `reload` after each `interval`, and on SIGHUP, as long as the future is polled. `reload` says whether the files had changed; if it
/// fails, what was in use stays in use. `what` names it in the log.
pub async fn watch(what: &'static str, interval: Duration, reload: impl Fn() -> Result<bool> + Send + Sync + 'static) {
    let reload = Arc::new(reload);
    let mut hangup = HangupSignal::new();
    let mut unreadable = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = hangup.next() => {}
        }
        let reload = Arc::clone(&reload);
        // Files may lie on a slow disk.
        let result = tokio::task::spawn_blocking(move || reload()).await;
        match result {
            Ok(Ok(true)) => tracing::info!("{what} was reloaded"),
            Ok(Ok(false)) => {}
            // Unreadable files have no contents to compare: logged once.
            Ok(Err(error)) if !unreadable => {
                tracing::error!(%error, "{what} has changed and cannot be used; the old one stays in use");
                unreadable = true;
                continue;
            }
            Ok(Err(_)) => continue,
            Err(error) => tracing::error!(%error, "{what} could not be read for changes"),
        }
        unreadable = false;
    }
}

/// SIGHUP; never where the system has no such signal.
struct HangupSignal {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl HangupSignal {
    #[cfg(unix)]
    fn new() -> Self {
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        Self { signal: signal.ok() }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
