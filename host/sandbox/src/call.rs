//! The bounds of one call into a guest: fuel, guest time, the request's deadline; and what is settled when it ends, however
//! it ends. Not here: which function is called (`run.rs`).

use crate::{
    bindings::StageError,
    budget::Budget,
    clock::GuestClock,
    convert::{Flaw, Intake},
    errors::{self, Breach},
    guest::Guest,
    yielding::pause_clock_while_yielded,
};
use riad_core::{Error, ErrorKind, Limits, Result, plugin::Stage, ports::LogLevel};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// What the guests of one run have together.
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Arc<GuestClock>,
    pub(crate) budget: Arc<Budget>,
    fuel_left: AtomicU64,
    deadline: Instant,
}

impl Shared {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        Self {
            clock: GuestClock::new(Duration::from_millis(limits.guest_ms)),
            budget: Arc::new(Budget::new(&limits)),
            fuel_left: AtomicU64::new(limits.guest_fuel),
            deadline: Instant::now() + Duration::from_millis(limits.request_ms),
            limits,
        }
    }

    pub(crate) fn fuel_used(&self) -> u64 {
        self.limits.guest_fuel - self.fuel_left.load(Ordering::Relaxed)
    }

    /// Runs a call until it ends or its time is up. A guest that computes is stopped at an epoch; this stops one that sleeps,
    /// and one whose host calls go on for ever.
    pub(crate) async fn within<T>(&self, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
        tokio::select! {
            biased;
            result = pause_clock_while_yielded(&self.clock, call) => result,
            () = self.clock.overrun() => Err(Breach::Time.into()),
            () = tokio::time::sleep_until(self.deadline) => Err(Breach::Deadline.into()),
        }
    }
}

/// A call that has begun. Dropped before its end, it leaves a dead guest.
pub(crate) struct Call<'a> {
    pub(crate) guest: &'a mut Guest,
    shared: &'a Shared,
    stage: Stage,
    fuel_before: u64,
}

impl<'a> Call<'a> {
    /// Gives the guest the run's fuel and starts its clock. Fails if the guest is dead.
    pub(crate) fn begin(guest: &'a mut Guest, shared: &'a Shared, stage: Stage) -> Result<Self> {
        if guest.dead {
            return Err(Error::new(
                ErrorKind::PluginFailed,
                format!(
                    "{} cannot go on: an earlier call of this request ended it",
                    guest.who(stage)
                ),
            ));
        }
        let fuel_before = shared.fuel_left.load(Ordering::Relaxed);
        guest.store.set_fuel(fuel_before).map_err(Error::internal)?;
        guest.store.set_epoch_deadline(1);
        guest.store.data_mut().memory.take_refused();
        guest.dead = true;
        shared.clock.start();
        Ok(Self {
            guest,
            shared,
            stage,
            fuel_before,
        })
    }

    /// The end of a call: a guest that gave an answer lives on.
    pub(crate) fn end<T>(self, result: wasmtime::Result<T>) -> Result<T> {
        match result {
            Ok(answer) => {
                self.guest.dead = false;
                Ok(answer)
            }
            Err(error) => {
                let refused = self.guest.store.data_mut().memory.take_refused();
                let who = self.guest.who(self.stage);
                Err(self.told(errors::ended(who, error, refused, &self.shared.limits)))
            }
        }
    }

    /// The end of a call whose answer may be an error that the guest chose, and is checked by `take`.
    pub(crate) fn end_stage<T, U>(
        self,
        result: wasmtime::Result<Result<T, StageError>>,
        intake: &mut Intake,
        take: impl FnOnce(&mut Intake, T) -> Result<U, Flaw>,
    ) -> Result<U> {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return self.end(Err(error)),
        };
        self.guest.dead = false;
        let who = self.guest.who(self.stage);
        match answer.map(|answer| take(intake, answer)) {
            Ok(Ok(taken)) => Ok(taken),
            Ok(Err(Flaw::TooMuch)) => Err(self.told(errors::too_much_output(who, &self.shared.limits))),
            Ok(Err(Flaw::Invalid(what))) => {
                Err(self.told(Error::new(ErrorKind::PluginFailed, format!("{who} returned {what}"))))
            }
            Err(error) => Err(self.told(errors::said(who, error))),
        }
    }

    /// The plugin's author reads of a failure in the tenant's log too.
    fn told(&self, error: Error) -> Error {
        let state = self.guest.store.data();
        if matches!(error.kind(), ErrorKind::PluginFailed | ErrorKind::PluginLimit) {
            state.capabilities.log.write(LogLevel::Error, error.message());
        }
        error
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.shared.clock.stop();
        // Fuel is always enabled; a store that could not say what is left would have used nothing it could be charged for.
        let left = self.guest.store.get_fuel().unwrap_or(self.fuel_before);
        self.shared
            .fuel_left
            .store(left.min(self.fuel_before), Ordering::Relaxed);
    }
}
