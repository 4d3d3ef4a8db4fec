//! Where guests compute. A call begins on its caller's thread, because most calls end before their guest yields for the first time. One that
//! does not goes on on threads of its own (`resources::GUEST_THREADS`), one slice after the other, so that guests delay no other request,
//! and each other by account. Waiting for a turn is not guest time: the clock pauses.
//!
//! A future that wakes itself while it is polled has yielded; one that does not waits for something: a guest that sleeps uses up its
//! time. Not here: when a guest yields (`guest.rs`).

use crate::clock::GuestClock;
use futures::{future::BoxFuture, task::AtomicWaker};
use riad_admission::{Work, Workers};
use riad_core::{Limits, Result, resources};
use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use tokio::runtime::Handle;

pub(crate) fn start(limits: &Limits) -> Result<Arc<Workers>> {
    // Not reached: what waits here has instances, which are limited.
    Workers::new(&resources::GUEST_THREADS, "riad-guest", limits.guest_instances as usize)
}

/// What a call did when it was polled.
enum Polled<T> {
    Ended(T),
    Yielded,
    Waits,
}

/// Runs a call of a guest, and counts its slices. If this is dropped, the call ends with its slice.
///
/// # Errors
/// The call's own.
pub(crate) async fn run<T: Send + 'static>(
    work: Work,
    clock: &Arc<GuestClock>,
    slices: &AtomicU64,
    call: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let mut call: BoxFuture<'static, _> = Box::pin(call);
    let woken = Arc::new(Woken::default());
    loop {
        match poll(&mut call, &woken) {
            Polled::Ended(result) => return result,
            Polled::Yielded => {
                slices.fetch_add(1, Ordering::Relaxed);
                break;
            }
            Polled::Waits => woken.wait().await,
        }
    }
    let mut work = work.of_admitted();
    let mut waiting = Some(clock.pause());
    loop {
        let pause = waiting.take().unwrap_or_else(|| clock.pause());
        let (runtime, waker, guest_clock) = (Handle::current(), Arc::clone(&woken), Arc::clone(clock));
        let slice = move || {
            // Host calls use the runtime's timers and threads.
            let _runtime = runtime.enter();
            drop(pause);
            let polled = poll(&mut call, &waker);
            let pause = matches!(polled, Polled::Yielded).then(|| guest_clock.pause());
            Ok((call, polled, pause))
        };
        let (returned, polled, pause) = work.run(slice).await?;
        match polled {
            Polled::Ended(result) => return result,
            Polled::Yielded => {
                slices.fetch_add(1, Ordering::Relaxed);
            }
            Polled::Waits => woken.wait().await,
        }
        (call, waiting) = (returned, pause);
    }
}

fn poll<T>(call: &mut BoxFuture<'static, T>, woken: &Arc<Woken>) -> Polled<T> {
    woken.already.store(false, Ordering::SeqCst);
    let waker = Waker::from(Arc::clone(woken));
    match call.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(result) => Polled::Ended(result),
        Poll::Pending if woken.already.load(Ordering::SeqCst) => Polled::Yielded,
        Poll::Pending => Polled::Waits,
    }
}

/// The waker of a call, whichever thread polls it.
#[derive(Default)]
struct Woken {
    already: AtomicBool,
    caller: AtomicWaker,
}

impl Woken {
    async fn wait(&self) {
        poll_fn(|context| {
            self.caller.register(context.waker());
            match self.already.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.already.store(true, Ordering::SeqCst);
        self.caller.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Account;
    use std::{sync::mpsc, thread, time::Duration};
    use tokio::sync::oneshot;

    const STEP: Duration = Duration::from_millis(50);

    fn threads() -> Arc<Workers> {
        start(&Limits::default()).unwrap()
    }

    fn clock() -> Arc<GuestClock> {
        GuestClock::new(Duration::from_secs(3600), Duration::MAX)
    }

    fn work(threads: &Arc<Workers>, account: u64) -> Work {
        threads.work_of(Account::new(account), 1)
    }

    /// A guest that yields so often, and does this each time that it runs.
    fn yielding(
        times: u32,
        mut each: impl FnMut() + Send + 'static,
    ) -> impl Future<Output = Result<()>> + Send + 'static {
        let mut yields = 0;
        poll_fn(move |context| {
            each();
            yields += 1;
            context.waker().wake_by_ref();
            match yields > times {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            }
        })
    }

    #[tokio::test]
    async fn what_yields_goes_on_on_another_thread() {
        let (sender, names) = mpsc::channel();
        let own = thread::current().id();
        let guest = yielding(2, move || sender.send(thread::current()).unwrap());
        run(work(&threads(), 1), &clock(), &AtomicU64::new(0), guest)
            .await
            .unwrap();
        let threads: Vec<_> = names.iter().collect();
        assert_eq!(threads.first().unwrap().id(), own);
        let later: Vec<_> = threads
            .iter()
            .skip(1)
            .map(|thread| thread.name().unwrap().to_owned())
            .collect();
        assert_eq!(later.len(), 2);
        assert!(later.iter().all(|name| name.starts_with("riad-guest-")), "{later:?}");
    }

    #[tokio::test]
    async fn what_waits_is_polled_when_it_is_woken() {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            sender.send(7).unwrap();
        });
        let guest = async {
            yielding(1, || {}).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(receiver.await.unwrap())
        };
        assert_eq!(
            run(work(&threads(), 1), &clock(), &AtomicU64::new(0), guest)
                .await
                .unwrap(),
            7
        );
    }

    #[tokio::test]
    async fn waiting_for_a_turn_is_not_guest_time_and_sleeping_is() {
        let (threads, clock) = (threads(), clock());
        clock.start();
        let before = clock.remaining();
        let slices = AtomicU64::new(0);
        let mut guest = Box::pin(run(work(&threads, 1), &clock, &slices, yielding(5, || {})));
        poll_fn(|context| {
            let result = guest.as_mut().poll(context);
            // The caller is slow to ask for the next slice.
            thread::sleep(STEP);
            result
        })
        .await
        .unwrap();
        assert_eq!(slices.load(Ordering::Relaxed), 5);
        // The last one ran after the end.
        assert!(
            before - clock.remaining() < STEP * 3,
            "{:?}",
            before - clock.remaining()
        );
        clock.start();
        let sleeping = async {
            tokio::time::sleep(STEP).await;
            Ok(())
        };
        run(work(&threads, 1), &clock, &AtomicU64::new(0), sleeping)
            .await
            .unwrap();
        assert!(before - clock.remaining() >= STEP);
    }

    #[tokio::test]
    async fn a_call_without_a_caller_ends_with_its_slice() {
        struct Dropped(Option<oneshot::Sender<()>>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                let _ = self.0.take().unwrap().send(());
            }
        }
        let (sender, dropped) = oneshot::channel();
        let (begin, began) = mpsc::channel();
        let held = Dropped(Some(sender));
        let endless = yielding(u32::MAX, move || {
            let _held = &held;
            let _ = begin.send(());
        });
        let (threads, clock) = (threads(), clock());
        let caller = tokio::spawn(async move { run(work(&threads, 1), &clock, &AtomicU64::new(0), endless).await });
        tokio::task::spawn_blocking(move || began.iter().nth(10))
            .await
            .unwrap()
            .unwrap();
        caller.abort();
        dropped.await.unwrap();
    }
}
