//! One call into a guest: gives it fuel and time before, and accounts for them after, however the call ends. Not here: which
//! function is called (`run.rs`).

use crate::{
    context::RunContext,
    convert::{InvalidOutput, OutputReader},
    errors::{self, GuestError},
    guest::Guest,
    stages::StageResult,
};
use riad_core::{
    Error, ErrorKind, Result,
    plugin::Stage,
    ports::{GuestCall, GuestCallEnd, LogLevel},
};
use std::{cell::Cell, time::Duration};

/// A call that has begun. If it is dropped before `end`, the guest stays dead.
pub(crate) struct Call<'a> {
    pub(crate) guest: &'a mut Guest,
    context: &'a RunContext,
    stage: Stage,
    fuel_before: u64,
    time_before: Duration,
    end: Cell<GuestCallEnd>,
}

impl<'a> Call<'a> {
    /// Gives the guest the run's fuel and starts its clock. Fails if the guest is dead.
    pub(crate) fn begin(guest: &'a mut Guest, context: &'a RunContext, stage: Stage) -> Result<Self> {
        if guest.dead {
            return Err(Error::new(
                ErrorKind::PluginFailed,
                format!(
                    "{} cannot continue: an earlier call of this request failed",
                    guest.name_stage(stage)
                ),
            ));
        }
        let fuel_before = context.fuel_left();
        guest.store.set_fuel(fuel_before).map_err(Error::internal)?;
        guest.store.set_epoch_deadline(1);
        guest.store.data_mut().memory.take_denied();
        guest.dead = true;
        let time_before = context.clock.total();
        context.clock.start();
        Ok(Self {
            guest,
            context,
            stage,
            fuel_before,
            time_before,
            end: Cell::new(GuestCallEnd::Dropped),
        })
    }

    /// Ends the call. A guest that returned can be called again.
    pub(crate) fn end<T>(self, result: wasmtime::Result<T>) -> Result<T> {
        match result {
            Ok(answer) => {
                self.guest.dead = false;
                self.end.set(GuestCallEnd::Returned);
                Ok(answer)
            }
            Err(error) => {
                let memory_denied = self.guest.store.data_mut().memory.take_denied();
                let stage = self.guest.name_stage(self.stage);
                Err(self.log_failure(errors::from_call_error(
                    stage,
                    error,
                    memory_denied,
                    &self.context.limits,
                )))
            }
        }
    }

    /// Ends a call that may return an error of its stage, and whose output `read` checks.
    pub(crate) fn end_stage<T, U, E: GuestError>(
        self,
        result: wasmtime::Result<StageResult<T, E>>,
        reader: &mut OutputReader,
        read: impl FnOnce(&mut OutputReader, T) -> Result<U, InvalidOutput>,
    ) -> Result<U> {
        let answer = match result {
            Ok((answer,)) => answer,
            Err(error) => return self.end(Err(error)),
        };
        self.guest.dead = false;
        let stage = self.guest.name_stage(self.stage);
        match answer.map(|answer| read(reader, answer)) {
            Ok(Ok(output)) => {
                self.end.set(GuestCallEnd::Returned);
                Ok(output)
            }
            Ok(Err(InvalidOutput::TooLarge)) => {
                Err(self.log_failure(errors::output_too_large(stage, &self.context.limits)))
            }
            Ok(Err(InvalidOutput::Malformed(what))) => {
                Err(self.log_failure(Error::new(ErrorKind::PluginFailed, format!("{stage} returned {what}"))))
            }
            Err(error) => Err(self.log_failure(error.into_error(stage))),
        }
    }

    /// Writes the plugin's failure into the tenant's log, for its author.
    fn log_failure(&self, error: Error) -> Error {
        self.end.set(GuestCallEnd::Failed(error.kind()));
        let state = self.guest.store.data();
        if matches!(error.kind(), ErrorKind::PluginFailed | ErrorKind::PluginLimit) {
            state.capabilities.log.write(LogLevel::Error, error.message());
        }
        error
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.context.clock.stop();
        // Fails only if fuel is disabled, which it never is.
        let left = self.guest.store.get_fuel().unwrap_or(self.fuel_before);
        let left = left.min(self.fuel_before);
        self.context.set_fuel_left(left);
        let state = self.guest.store.data();
        state.capabilities.calls.called(&GuestCall {
            stage: self.stage,
            component: self.guest.digest,
            end: self.end.get(),
            fuel: self.fuel_before - left,
            time: self.context.clock.total().saturating_sub(self.time_before),
            memory: state.memory.used(),
        });
    }
}
