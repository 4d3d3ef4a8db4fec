//! Says that the server begins to drain, for answers that would go on for as long as somebody reads them. Not here: what ends the others
//! (`serve`).

use std::sync::Arc;
use tokio::sync::watch;

/// Clones share one signal. `Lifecycle` puts it into the extensions of each request.
#[derive(Debug, Clone, Default)]
pub struct DrainSignal(Arc<watch::Sender<bool>>);

impl DrainSignal {
    pub(crate) fn send(&self) {
        self.0.send_replace(true);
    }

    /// Resolves when the server drains; at once if it does already.
    pub async fn received(&self) {
        // It fails only without the sender, which is here.
        drop(self.0.subscribe().wait_for(|is_draining| *is_draining).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_signal_is_received_before_and_after_it_is_sent() {
        let signal = DrainSignal::default();
        let clone = signal.clone();
        let waiting = clone.received();
        assert!(signal.received().now_or_never().is_none());
        signal.send();
        assert!(waiting.now_or_never().is_some());
        assert!(signal.received().now_or_never().is_some());
    }
}
