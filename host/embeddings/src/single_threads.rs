//! Bounds what computes with rayon to one processor per call.

use parking_lot::Mutex;
use rayon::{ThreadPool, ThreadPoolBuilder};
use riad_core::{Error, Result};

/// Pools of one thread: as many as there have been calls at the same time. In rayon's global pool, calls would take each other's processors and
/// those of the engine, and wait for each other's parts.
#[derive(Default)]
pub(crate) struct SingleThreads {
    idle: Mutex<Vec<ThreadPool>>,
}

impl SingleThreads {
    /// The caller waits meanwhile. A panic in the work goes on in the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let idle = self.idle.lock().pop();
        let pool = match idle {
            Some(pool) => pool,
            None => ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(|_| "riad-bert".to_owned())
                .build()
                .map_err(Error::internal)?,
        };
        let done = pool.install(work);
        self.idle.lock().push(pool);
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::{collections::HashSet, thread};

    #[test]
    fn a_call_has_one_thread_and_two_calls_have_two() {
        let threads = SingleThreads::default();
        let used = || {
            let used: HashSet<_> = (0..64).into_par_iter().map(|_| thread::current().id()).collect();
            (used.len(), used.into_iter().next().unwrap())
        };
        let (count, first) = threads.run(used).unwrap();
        assert_eq!((count, first), threads.run(used).unwrap(), "the pool is used again");
        assert_eq!(count, 1);
        let (outer, inner) = threads.run(|| (used(), threads.run(used).unwrap())).unwrap();
        assert_eq!((outer.0, inner.0), (1, 1));
        assert_ne!(outer.1, inner.1);
    }
}
