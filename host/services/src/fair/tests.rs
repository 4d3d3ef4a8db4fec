//! The fair queue through its port: futures that wait, give up and are dropped. Not here: the decisions (`riad_admission`).

use super::FairQueue;
use futures::{FutureExt, future::BoxFuture};
use parking_lot::Mutex;
use proptest::prelude::*;
use riad_admission::MonotonicClock;
use riad_core::{
    ErrorKind, Limits, Result, TenantPass,
    policy::Tier,
    ports::{EnginePermit, Progress, QueueRequest, Scheduler},
};
use riad_fakes::weighted_pass;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const FAR: Duration = Duration::from_secs(3600);

/// A clock that is moved by hand; a sleep ends when it is polled late enough.
struct Hand(Mutex<Instant>);

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Instant::now())))
    }

    fn on(&self, time: Duration) {
        *self.0.lock() += time;
    }
}

struct Handle(Arc<Hand>);

impl MonotonicClock for Handle {
    fn now(&self) -> Instant {
        *self.0.0.lock()
    }

    fn sleep_until(&self, time: Instant) -> BoxFuture<'static, ()> {
        let hand = Arc::clone(&self.0);
        Box::pin(futures::future::poll_fn(move |_| {
            if *hand.0.lock() >= time {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        }))
    }
}

fn limits(queue: u32) -> Limits {
    Limits {
        queue,
        queue_ms: 1000,
        ..Limits::default()
    }
}

fn queue(permits: usize, room: u32) -> (FairQueue, Arc<Hand>) {
    let hand = Hand::new();
    let clock = Arc::new(Handle(Arc::clone(&hand)));
    (FairQueue::with_clock(permits, &limits(room), FAR, clock), hand)
}

fn enter<'a>(queue: &'a FairQueue, pass: &'a TenantPass) -> BoxFuture<'a, Result<EnginePermit>> {
    enter_as(queue, pass, Tier::Default, Arc::default())
}

fn enter_as<'a>(
    queue: &'a FairQueue,
    pass: &'a TenantPass,
    tier: Tier,
    progress: Arc<Progress>,
) -> BoxFuture<'a, Result<EnginePermit>> {
    queue.enter(QueueRequest {
        pass,
        tier,
        prompt_tokens: 10,
        max_tokens: 10,
        adapter: None,
        deadline: queue.permits.now() + FAR,
        continuation: false,
        progress,
    })
}

fn waits(future: &mut BoxFuture<'_, Result<EnginePermit>>) -> bool {
    future.now_or_never().is_none()
}

fn has_permit(future: &mut BoxFuture<'_, Result<EnginePermit>>) -> EnginePermit {
    future.now_or_never().expect("still waits").unwrap()
}

fn refused(future: &mut BoxFuture<'_, Result<EnginePermit>>) -> riad_core::Error {
    future.now_or_never().expect("still waits").err().expect("has a permit")
}

#[test]
fn an_account_that_has_had_less_is_next() {
    let (queue, _) = queue(1, 8);
    let (noisy, quiet) = (weighted_pass(1, 1), weighted_pass(2, 1));
    let progress = Arc::new(Progress::default());
    let permit = enter_as(&queue, &noisy, Tier::Default, Arc::clone(&progress))
        .now_or_never()
        .unwrap()
        .unwrap();
    let mut first = enter(&queue, &noisy);
    let mut second = enter(&queue, &noisy);
    assert!(waits(&mut first) && waits(&mut second));
    let mut other = enter(&queue, &quiet);
    assert!(waits(&mut other));
    progress.set(10, 10);
    drop(permit);
    let permit = has_permit(&mut other);
    assert!(waits(&mut first) && waits(&mut second));
    drop(permit);
    let permit = has_permit(&mut first);
    drop(permit);
    has_permit(&mut second);
    assert_eq!(queue.state().waiting, 0);
}

#[test]
fn within_an_account_tier_goes_before_arrival() {
    let (queue, _) = queue(1, 8);
    let pass = weighted_pass(1, 1);
    let mut permit = Some(enter(&queue, &pass).now_or_never().unwrap().unwrap());
    let asked = [Tier::Flex, Tier::Default, Tier::Priority, Tier::Default];
    let mut futures: Vec<_> = asked.map(|tier| enter_as(&queue, &pass, tier, Arc::default())).into();
    assert!(futures.iter_mut().all(waits));
    for next in [2, 1, 3, 0] {
        drop(permit.take());
        permit = Some(has_permit(&mut futures[next]));
        assert_eq!(queue.state().running, 1);
    }
}

#[test]
fn a_full_queue_rejects_the_newest_of_the_largest_account() {
    let (queue, _) = queue(1, 3);
    let (noisy, quiet) = (weighted_pass(1, 1), weighted_pass(2, 1));
    let _permit = enter(&queue, &noisy).now_or_never().unwrap().unwrap();
    let mut noise: Vec<_> = (0..3).map(|_| enter(&queue, &noisy)).collect();
    assert!(noise.iter_mut().all(waits));
    let error = refused(&mut enter(&queue, &noisy));
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.retry_after().is_some());
    let mut other = enter(&queue, &quiet);
    assert!(waits(&mut other), "the noisy account keeps no other out");
    assert_eq!(refused(&mut noise[2]).kind(), ErrorKind::Busy);
    assert!(waits(&mut noise[0]) && waits(&mut noise[1]));
    // It cannot take the place back either.
    refused(&mut enter(&queue, &noisy));
    assert!(waits(&mut other));
    // Flex goes first of all.
    let mut flex = enter_as(&queue, &noisy, Tier::Flex, Arc::default());
    assert!(!waits(&mut flex));
    drop(noise.remove(1));
    let mut flex = enter_as(&queue, &noisy, Tier::Flex, Arc::default());
    assert!(waits(&mut flex));
    let mut better = enter_as(&queue, &noisy, Tier::Priority, Arc::default());
    assert!(waits(&mut better));
    refused(&mut flex);
    assert_eq!(queue.state().shed, 0, "a full queue is not the latency target");
}

#[test]
fn a_waiter_that_leaves_makes_room_and_passes_its_permit_on() {
    let (queue, _) = queue(1, 2);
    let pass = weighted_pass(1, 1);
    let permit = enter(&queue, &pass).now_or_never().unwrap().unwrap();
    let (mut first, mut second) = (enter(&queue, &pass), enter(&queue, &pass));
    assert!(waits(&mut first) && waits(&mut second));
    drop(first);
    assert_eq!(queue.state().waiting, 1);
    let mut third = enter(&queue, &pass);
    assert!(waits(&mut third));
    drop(permit);
    drop(second);
    let permit = has_permit(&mut third);
    assert_eq!((queue.state().waiting, queue.state().running), (0, 1));
    drop(permit);
    assert_eq!(queue.state().running, 0);
}

#[test]
fn a_wait_ends_at_the_limit_or_at_the_deadline() {
    let (queue, hand) = queue(1, 8);
    let pass = weighted_pass(1, 1);
    let _permit = enter(&queue, &pass).now_or_never().unwrap().unwrap();
    let mut long = enter(&queue, &pass);
    let mut short = queue.enter(QueueRequest {
        pass: &pass,
        tier: Tier::Default,
        prompt_tokens: 1,
        max_tokens: 1,
        adapter: None,
        deadline: queue.permits.now() + Duration::from_millis(10),
        continuation: false,
        progress: Arc::default(),
    });
    assert!(waits(&mut long) && waits(&mut short));
    hand.on(Duration::from_millis(10));
    assert_eq!(refused(&mut short).kind(), ErrorKind::Timeout);
    assert!(waits(&mut long));
    hand.on(Duration::from_millis(990));
    assert_eq!(refused(&mut long).kind(), ErrorKind::Timeout);
    assert_eq!(queue.state().waiting, 0);
}

#[test]
fn an_expired_waiter_gets_no_permit() {
    let (queue, hand) = queue(1, 8);
    let pass = weighted_pass(1, 1);
    let permit = enter(&queue, &pass).now_or_never().unwrap().unwrap();
    let mut late = enter(&queue, &pass);
    assert!(waits(&mut late));
    hand.on(Duration::from_millis(999));
    let mut next = enter(&queue, &pass);
    assert!(waits(&mut next));
    hand.on(Duration::from_millis(1));
    // Its timer has not been looked at yet.
    drop(permit);
    has_permit(&mut next);
    assert_eq!(refused(&mut late).kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn the_real_clock_ends_a_wait_too() {
    let limits = Limits {
        queue_ms: 1,
        ..limits(8)
    };
    let (queue, pass) = (FairQueue::new(1, &limits, FAR), weighted_pass(1, 1));
    let _permit = enter(&queue, &pass).await.unwrap();
    assert_eq!(enter(&queue, &pass).await.err().unwrap().kind(), ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_that_come_and_give_up_lose_no_permit() {
    let queue = Arc::new(FairQueue::new(3, &limits(64), FAR));
    let tasks: Vec<_> = (0..200_u64)
        .map(|number| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                let pass = weighted_pass(number % 7, 1);
                for round in 0..20 {
                    let patience = Duration::from_micros((number * 37 + round * 101) % 1500);
                    if let Ok(Ok(permit)) = tokio::time::timeout(patience, enter(&queue, &pass)).await {
                        assert!(queue.state().running <= 3);
                        tokio::task::yield_now().await;
                        drop(permit);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((queue.state().running, queue.state().waiting), (0, 0));
}

proptest! {
    /// 0: a request arrives. 1: a waiter is polled. 2: a waiter is dropped. 3: a permit is given back.
    #[test]
    fn no_order_of_events_loses_a_permit(
        permits in 1..=3_usize,
        steps in prop::collection::vec((0..4_u8, 0..5_u64, any::<prop::sample::Index>()), 1..200),
    ) {
        let (queue, _) = queue(permits, 6);
        let passes: Vec<TenantPass> = (0..5).map(|account| weighted_pass(account, account as u32 + 1)).collect();
        let (mut waiting, mut held): (Vec<BoxFuture<'_, Result<EnginePermit>>>, Vec<EnginePermit>) = (vec![], vec![]);
        for (step, account, which) in steps {
            match step {
                0 => {
                    let mut future = enter(&queue, &passes[account as usize]);
                    match (&mut future).now_or_never() {
                        Some(Ok(permit)) => held.push(permit),
                        Some(Err(error)) => prop_assert_eq!(error.kind(), ErrorKind::Busy),
                        None => waiting.push(future),
                    }
                }
                1 if !waiting.is_empty() => {
                    let index = which.index(waiting.len());
                    if let Some(result) = (&mut waiting[index]).now_or_never() {
                        drop(waiting.remove(index));
                        held.extend(result.ok());
                    }
                }
                2 if !waiting.is_empty() => drop(waiting.remove(which.index(waiting.len()))),
                3 if !held.is_empty() => drop(held.remove(which.index(held.len()))),
                _ => {}
            }
            let state = queue.state();
            prop_assert!(state.waiting == 0 || state.running == permits as u64);
            prop_assert!(held.len() as u64 <= state.running && state.running <= permits as u64 && state.waiting <= 6);
        }
        drop((waiting, held));
        prop_assert_eq!((queue.state().running, queue.state().waiting), (0, 0));
        let all: Vec<_> = (0..permits).map(|_| enter(&queue, &passes[0]).now_or_never().unwrap().unwrap()).collect();
        prop_assert!(waits(&mut enter(&queue, &passes[0])));
        drop(all);
    }
}
