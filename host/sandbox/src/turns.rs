//! Takes the time in which a guest that has yielded waits for its turn off its clock. A future that wakes itself while it is
//! polled has yielded; one that does not, waits for something: a guest that sleeps uses up its time.
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
pub(crate) async fn in_turns<T>(clock: &Arc<GuestClock>, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let mut waiting = None;
    poll_fn(|context| {
        drop(waiting.take());
        let woken = Arc::new(Woken {
            waker: context.waker().clone(),
            already: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let result = call.as_mut().poll(&mut Context::from_waker(&waker));
        if result.is_pending() && woken.already.load(Ordering::Relaxed) {
            waiting = Some(clock.away());
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

    const TURN: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn waiting_for_a_turn_is_not_guest_time_and_sleeping_is() {
        let clock = GuestClock::new(Duration::from_secs(3600));
        let mut polls = 0;
        let yields = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls > 5 { Poll::Ready(()) } else { Poll::Pending }
        });
        clock.start();
        let before = clock.left();
        // A neighbor on the same thread takes a long turn each time.
        let mut guest = pin!(in_turns(&clock, yields));
        poll_fn(|context| {
            let result = guest.as_mut().poll(context);
            thread::sleep(TURN);
            result
        })
        .await;
        // The last turn came after the end.
        assert!(before - clock.left() < TURN * 3, "{:?}", before - clock.left());
        clock.start();
        in_turns(&clock, tokio::time::sleep(TURN)).await;
        assert!(before - clock.left() >= TURN);
    }
}
