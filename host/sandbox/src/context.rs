//! The limits that the guests of one run share.

use crate::{
    budget::Budget, clock::GuestClock, errors::StopReason, guest_threads, instance_limiter::InstancePermit,
    limits::FUEL_SLICE,
};
use riad_admission::Work;
use riad_core::{Limits, Result};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

pub(crate) struct RunContext {
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Arc<GuestClock>,
    pub(crate) budget: Arc<Budget>,
    fuel_left: AtomicU64,
    /// Of the call that runs.
    slices: AtomicU64,
    deadline: Instant,
    /// The account's work on the threads for guests.
    work: Work,
    /// As long as a guest may exist, also one whose caller has gone.
    _permit: InstancePermit,
}

impl RunContext {
    pub(crate) fn new(limits: Arc<Limits>, work: Work, permit: InstancePermit) -> Arc<Self> {
        Arc::new(Self {
            clock: GuestClock::new(
                Duration::from_millis(limits.guest_ms),
                Duration::from_millis(limits.guest_request_ms),
            ),
            budget: Arc::new(Budget::new(&limits)),
            fuel_left: AtomicU64::new(limits.guest_fuel),
            slices: AtomicU64::new(0),
            deadline: Instant::now() + Duration::from_millis(limits.request_ms),
            limits,
            work,
            _permit: permit,
        })
    }

    pub(crate) fn fuel_left(&self) -> u64 {
        self.fuel_left.load(Ordering::Relaxed)
    }

    pub(crate) fn set_fuel_left(&self, fuel: u64) {
        self.slices.store(0, Ordering::Relaxed);
        self.fuel_left.store(fuel, Ordering::Relaxed);
    }

    /// With the slices of the call that runs: whoever settles does not wait until a guest without a caller has ended.
    pub(crate) fn fuel_used(&self) -> u64 {
        let running = self.slices.load(Ordering::Relaxed).saturating_mul(FUEL_SLICE);
        (self.limits.guest_fuel - self.fuel_left())
            .saturating_add(running)
            .min(self.limits.guest_fuel)
    }

    /// Runs a call, in turns with other accounts' guests if it takes long.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        guest_threads::run(self.work.clone(), &self.clock, &self.slices, call).await
    }

    /// Runs a call until it ends or its time is up. The epoch callback stops a guest that computes; this stops one that sleeps,
    /// and one whose host calls do not end.
    pub(crate) async fn limit_time<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        tokio::select! {
            biased;
            result = call => result,
            () = self.clock.expired() => Err(StopReason::out_of_time(&self.clock).into()),
            () = tokio::time::sleep_until(self.deadline) => Err(StopReason::DeadlineExceeded.into()),
        }
    }
}
