//! One thread with one connection to the control database, for what authentication must know: no list, report or change of a tenant can
//! occupy it, nor fill the pool of threads that it would wait for.

use crate::{
    error::{Failure, StoreResult, closed},
    sqlite,
};
use parking_lot::Mutex;
use riad_core::{Error, ErrorKind, Result};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

/// Look-ups that wait (`resources::KEY_LOOKUPS`). The thread does some ten thousand a second.
const WAITING: usize = 1024;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(crate) struct IdentityReader {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl IdentityReader {
    pub(crate) fn open(path: &Path) -> StoreResult<Self> {
        let connection = sqlite::open_reader(path)?;
        let (sender, jobs) = mpsc::sync_channel(WAITING);
        let thread = thread::Builder::new()
            .name("identity".into())
            .spawn(move || run(&connection, &jobs))?;
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Reads one state of the database. The work must be short: everybody's requests wait for it. `Unavailable` if too many wait.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A caller that has gone away needs no answer.
            if !done.is_closed() {
                let _gone = done.send(read(connection, work));
            }
        });
        let sent = self.jobs.lock().as_ref().map(|jobs| jobs.try_send(job));
        match sent {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => return Err(too_many()),
            Some(Err(TrySendError::Disconnected(_))) | None => return Err(closed().into()),
        }
        result.await.map_err(|_| closed())?.map_err(Error::from)
    }

    /// Answers what waits. Calls that come later fail.
    pub(crate) fn close(&self) {
        drop(self.jobs.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks up keys panicked");
        }
    }
}

impl Drop for IdentityReader {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(connection: &Connection, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(connection);
    }
}

fn read<T>(connection: &Connection, work: impl FnOnce(&Connection) -> StoreResult<T>) -> Result<T, Failure> {
    let transaction = connection.unchecked_transaction()?;
    work(&transaction)
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "too many keys are being looked up; send the request again in a second",
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    /// Lets a future begin what it does.
    pub(crate) fn begin<F: Future>(future: F) -> Pin<Box<F>> {
        let mut future = Box::pin(future);
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Pending), "the future has ended already");
        future
    }

    #[tokio::test]
    async fn too_many_look_ups_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let reader = IdentityReader::open(&folder.path().join("test.db")).unwrap();
        let (finish, finished) = mpsc::channel::<()>();
        let (busy, is_busy) = oneshot::channel();
        let blocked = begin(reader.read(move |_| {
            let _ = busy.send(());
            let _ = finished.recv();
            Ok(())
        }));
        is_busy.await.unwrap();
        let waiting: Vec<_> = (0..WAITING).map(|_| begin(reader.read(|_| Ok(())))).collect();
        let refused = reader.read(|_| Ok(())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        finish.send(()).unwrap();
        blocked.await.unwrap();
        for waiting in waiting {
            waiting.await.unwrap();
        }
        reader.read(|_| Ok(())).await.unwrap();
        reader.close();
        assert!(reader.read(|_| Ok(())).await.is_err());
    }
}
