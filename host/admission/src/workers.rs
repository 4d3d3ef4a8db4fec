//! Threads for work that keeps a processor busy.
//!
//! They are shared by account, by the processor time that each has had. Work is done in slices of a few milliseconds; each slice waits
//! for a thread of its own, so that a neighbor waits for one slice, and work whose caller has gone ends with the slice that runs.

use crate::{Bounds, Limiter, ProcessorTime, Request, Slice};
use parking_lot::Mutex;
use riad_core::{Account, Error, Result, resources::Resource};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// Of a thread. Compilers of schemas and templates recurse.
const STACK_BYTES: usize = 16 << 20;
/// For which it may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// When less of an account's work may be waiting.
const RETRY: Duration = Duration::from_secs(1);

/// What work keeps until it has ended, such as an upload's permit, also when its caller has gone.
pub type Kept = Arc<dyn Any + Send + Sync>;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of such threads.
pub struct Workers {
    limiter: Limiter<ProcessorTime>,
    jobs: mpsc::Sender<Job>,
}

/// Work for one account, slice after slice.
#[derive(Clone)]
pub struct Work {
    workers: Arc<Workers>,
    account: Account,
    weight: u32,
    begun: bool,
    kept: Vec<Kept>,
}

impl Workers {
    /// A thread per processor, but at least two, because one is kept for other accounts than the one that has the others. Their names
    /// begin with `name`. So much work of one account may wait to begin.
    ///
    /// # Errors
    /// `Internal` if the system starts no more threads.
    pub fn new(resource: &'static Resource, name: &str, waiting_per_account: usize) -> Result<Arc<Self>> {
        let threads = thread::available_parallelism().map_or(2, |threads| threads.get().max(2));
        let threads = u32::try_from(threads).unwrap_or(u32::MAX);
        Self::with_threads(resource, name, threads, waiting_per_account)
    }

    /// With so many threads, for work that waits for something else than a processor.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn with_threads(
        resource: &'static Resource,
        name: &str,
        threads: u32,
        waiting_per_account: usize,
    ) -> Result<Arc<Self>> {
        let bounds = Bounds {
            per_account: threads.saturating_sub(1).max(1),
            waiting: waiting_per_account.saturating_mul(4),
            waiting_per_account,
            ..Bounds::of(threads)
        };
        let (jobs, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let receiver = Arc::clone(&receiver);
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    // Ends when the workers are dropped.
                    while let Some(job) = next(&receiver) {
                        // The caller of a job that panicked gets no result, which is an error of its own.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                })
                .map_err(Error::internal)?;
        }
        Ok(Arc::new(Self {
            limiter: Limiter::new(resource, bounds, ProcessorTime::default()),
            jobs,
        }))
    }

    /// Work that this account pays for.
    pub fn work_of(self: &Arc<Self>, account: Account, weight: u32) -> Work {
        Work {
            workers: Arc::clone(self),
            account,
            weight,
            begun: false,
            kept: Vec::new(),
        }
    }
}

fn next(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    jobs.lock().recv().ok()
}

impl Work {
    /// Work of something that was admitted before: none of its slices is refused.
    #[must_use]
    pub fn of_admitted(mut self) -> Self {
        self.begun = true;
        self
    }

    /// The same work, done by others.
    #[must_use]
    pub fn by(&self, workers: &Arc<Workers>) -> Self {
        Self {
            workers: Arc::clone(workers),
            ..self.clone()
        }
    }

    /// Keeps something until the work has ended.
    #[must_use]
    pub fn keep(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept.push(Arc::new(kept));
        self
    }

    /// Does a slice. Dropping the future while the slice waits forgets it; a slice that runs is finished, and keeps its thread and what is
    /// kept until then. There is no further slice, because it would have to be asked for.
    ///
    /// # Errors
    /// The slice's own; `Busy` if too much of the account's work waits, or it waits for too long.
    pub async fn run<T: Send + 'static>(&mut self, slice: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let limiter = &self.workers.limiter;
        let (detail, expires) = match self.begun {
            true => (Slice::Further, None),
            false => (Slice::First, limiter.now().checked_add(LONGEST_WAIT)),
        };
        let request = Request {
            weight: self.weight,
            expires,
            // What has begun is not refused half-way.
            continuation: self.begun,
            ..Request::new(self.account, detail)
        };
        let permit = limiter.acquire(request).await;
        let permit = permit.map_err(|_| limiter.resource().refuse_for(RETRY))?;
        self.begun = true;
        let (sender, receiver) = oneshot::channel();
        let kept = self.kept.clone();
        let job = move || {
            // The order matters: when the caller learns the result, nothing is held for it any more.
            let result = slice();
            drop(kept);
            drop(permit);
            let _ = sender.send(result);
        };
        self.workers
            .jobs
            .send(Box::new(job))
            .map_err(|_| Error::internal("the workers have ended"))?;
        receiver.await.map_err(Error::internal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{ErrorKind, resources};

    const ONE: u32 = 1;

    fn workers(threads: u32, waiting_per_account: usize) -> Arc<Workers> {
        Workers::with_threads(&resources::WORKERS, "riad-worker", threads, waiting_per_account).unwrap()
    }

    /// A slice that has begun and ends when it is told to.
    struct Blocked {
        end: mpsc::Sender<()>,
    }

    /// Starts a slice that blocks its thread, and waits until it runs.
    async fn block(mut work: Work) -> (Blocked, tokio::task::JoinHandle<Result<()>>) {
        let (end, ends) = mpsc::channel();
        let (begin, began) = oneshot::channel();
        let task = tokio::spawn(async move {
            work.run(move || {
                let _ = begin.send(());
                let _ = ends.recv();
                Ok(())
            })
            .await
        });
        began.await.unwrap();
        (Blocked { end }, task)
    }

    /// Queues a slice that notes its name.
    fn note(
        workers: &Arc<Workers>,
        account: u64,
        name: &'static str,
        notes: &Arc<Mutex<Vec<&'static str>>>,
    ) -> tokio::task::JoinHandle<Result<()>> {
        let (mut work, notes) = (workers.work_of(Account::new(account), ONE), Arc::clone(notes));
        tokio::spawn(async move {
            work.run(move || {
                notes.lock().push(name);
                Ok(())
            })
            .await
        })
    }

    async fn until_waiting(workers: &Workers, count: usize) {
        while workers.limiter.inspect(|queue| queue.waiting()) != count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_neighbors_work_comes_before_more_of_ones_own() {
        let workers = workers(1, 16);
        let notes = Arc::default();
        let (blocked, running) = block(workers.work_of(Account::new(1), ONE)).await;
        let mut tasks = Vec::new();
        for (index, (account, name)) in [(1, "own"), (1, "own"), (1, "own"), (2, "neighbor's")]
            .into_iter()
            .enumerate()
        {
            tasks.push(note(&workers, account, name, &notes));
            until_waiting(&workers, index + 1).await;
        }
        blocked.end.send(()).unwrap();
        running.await.unwrap().unwrap();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(*notes.lock(), ["neighbor's", "own", "own", "own"]);
    }

    #[tokio::test]
    async fn one_account_never_has_all_threads() {
        let workers = workers(2, 16);
        let notes = Arc::default();
        let (blocked, running) = block(workers.work_of(Account::new(1), ONE)).await;
        let more = note(&workers, 1, "own", &notes);
        until_waiting(&workers, 1).await;
        // The first thread is still blocked.
        note(&workers, 2, "neighbor's", &notes).await.unwrap().unwrap();
        assert_eq!(*notes.lock(), ["neighbor's"]);
        blocked.end.send(()).unwrap();
        running.await.unwrap().unwrap();
        more.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_waits_for_nobody_never_runs() {
        let workers = workers(1, 16);
        let notes: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let (blocked, running) = block(workers.work_of(Account::new(1), ONE)).await;
        let left = note(&workers, 1, "left", &notes);
        until_waiting(&workers, 1).await;
        left.abort();
        until_waiting(&workers, 0).await;
        blocked.end.send(()).unwrap();
        running.await.unwrap().unwrap();
        note(&workers, 2, "next", &notes).await.unwrap().unwrap();
        assert_eq!(*notes.lock(), ["next"]);
    }

    #[tokio::test]
    async fn abandoned_work_keeps_what_it_holds_until_its_slice_ends() {
        struct Dropped(Option<oneshot::Sender<()>>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                let _ = self.0.take().unwrap().send(());
            }
        }
        let workers = workers(1, 16);
        let (sender, mut dropped) = oneshot::channel();
        let work = workers.work_of(Account::new(1), ONE).keep(Dropped(Some(sender)));
        let (blocked, running) = block(work).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert!(dropped.try_recv().is_err(), "its slice still runs");
        assert_eq!(workers.limiter.inspect(|queue| queue.running()), 1);
        blocked.end.send(()).unwrap();
        dropped.await.unwrap();
    }

    #[tokio::test]
    async fn too_much_of_one_account_is_refused() {
        let workers = workers(1, 2);
        let notes = Arc::default();
        let (blocked, running) = block(workers.work_of(Account::new(1), ONE)).await;
        let waiting: Vec<_> = (0..2).map(|_| note(&workers, 1, "own", &notes)).collect();
        until_waiting(&workers, 2).await;
        let refused = note(&workers, 1, "refused", &notes).await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(refused.retry_after().is_some());
        let neighbor = note(&workers, 2, "neighbor's", &notes);
        blocked.end.send(()).unwrap();
        running.await.unwrap().unwrap();
        neighbor.await.unwrap().unwrap();
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        assert!(!notes.lock().contains(&"refused"));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_costs_no_thread() {
        let workers = workers(1, 2);
        let mut work = workers.work_of(Account::new(1), ONE);
        let failed: Result<()> = work.run(|| panic!("this test lets a slice panic")).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
        let name = work
            .run(|| Ok(thread::current().name().map(str::to_owned)))
            .await
            .unwrap();
        assert_eq!(name.as_deref(), Some("riad-worker-0"), "the only thread lives on");
    }
}
