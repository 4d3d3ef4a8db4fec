//! Work that goes on after its client has gone: requests with an idempotency key. It ends with the server.

use parking_lot::Mutex;
use std::{mem, sync::Arc};
use tokio::task::JoinSet;

/// Clones are one set.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Drops what has not ended, which settles it, and waits until it is gone.
    pub async fn end(&self) {
        let mut tasks = mem::take(&mut *self.0.lock());
        tasks.shutdown().await;
    }
}
