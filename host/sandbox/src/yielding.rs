//! Guests yield on epochs, and the time until they run again is not theirs: their clock pauses. A future that wakes itself while it
//! is polled has yielded; one that does not, waits for something: a guest that sleeps uses up its time.
//! Not here: when a guest yields (`guest.rs`).

use crate::clock::GuestClock;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

/// Runs a call of a guest.
pub(crate) async fn pause_clock_while_yielded<T>(clock: &Arc<GuestClock>, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut paused = None;
    poll_fn(|context| {
        drop(paused.take());
        let woken = Arc::new(Woken {
            waker: context.waker().clone(),
            already: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let result = call.as_mut().poll(&mut Context::from_waker(&waker));
        if result.is_pending() && woken.already.load(Ordering::Relaxed) {
            paused = Some(clock.pause());
        }
        result
    })
    .await
}

struct Woken {
    waker: Waker,
    already: AtomicBool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.already.store(true, Ordering::Relaxed);
        self.waker.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{task::Poll, thread, time::Duration};

    const STEP: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn guest_time_excludes_yields_and_includes_sleeps() {
        let clock = GuestClock::new(Duration::from_secs(3600), Duration::MAX);
        let mut polls = 0;
        let yields = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls > 5 { Poll::Ready(()) } else { Poll::Pending }
        });
        clock.start();
        let before = clock.remaining();
        // A neighbor on the same thread runs for long each time.
        let mut guest = pin!(pause_clock_while_yielded(&clock, yields));
        poll_fn(|context| {
            let result = guest.as_mut().poll(context);
            thread::sleep(STEP);
            result
        })
        .await;
        // The last one ran after the end.
        assert!(
            before - clock.remaining() < STEP * 3,
            "{:?}",
            before - clock.remaining()
        );
        clock.start();
        pause_clock_while_yielded(&clock, tokio::time::sleep(STEP)).await;
        assert!(before - clock.remaining() >= STEP);
    }
}
