//! What one request has used so far, told by everyone who uses something for it: engine, guests, embedder. When the last of them has
//! ended, whatever the reason, the request is settled; in time and with a receipt if it went well.
//! Not here: setting aside and the entry (`reservation`).

use super::{Metering, Reservation, Timings, reservation::minus};
use parking_lot::Mutex;
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, TenantPass,
    ledger::{Outcome, Purpose},
    price::Usage,
    receipt::{ServedBy, SignedReceipt},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// The request's own hold on its tab. When it is dropped the tab is settled as soon as no share is left.
pub(crate) struct Tab(Arc<Inner>);

/// Somebody who works for the request and has not said yet what that used.
pub(crate) struct Share(Arc<Inner>);

/// For who may work for the request as long as it runs, and must not keep it open.
#[derive(Clone)]
pub(crate) struct Visitor(Weak<Inner>);

struct Inner {
    reservation: Reservation,
    state: Mutex<State>,
    /// Told when the last share is gone.
    idle: Notify,
}

#[derive(Default)]
struct State {
    used: Usage,
    /// How it ended, as whoever knew first said.
    outcome: Option<Outcome>,
    served_by: ServedBy,
    shares: usize,
    /// The first time that something could not be set aside for who works for the request.
    refusal: Option<Refusal>,
}

/// An error that can be told again.
struct Refusal {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
}

impl Tab {
    /// # Errors
    /// As [`Metering::admit`].
    pub async fn open(metering: &Metering, pass: &TenantPass, purpose: Purpose) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            reservation: metering.admit(pass, purpose).await?,
            state: Mutex::default(),
            idle: Notify::new(),
        })))
    }

    pub fn share(&self) -> Share {
        Share::of(&self.0)
    }

    pub fn visitor(&self) -> Visitor {
        Visitor(Arc::downgrade(&self.0))
    }

    pub fn name_adapter(&self, alias: Option<AdapterAlias>) {
        self.0.reservation.name_adapter(alias);
    }

    pub fn name_plugins(&self, names: String) {
        self.0.reservation.name_plugins(names);
    }

    pub fn time(&self, change: impl FnOnce(&mut Timings)) {
        self.0.reservation.time(change);
    }

    pub fn serve(&self, change: impl FnOnce(&mut ServedBy)) {
        change(&mut self.0.state.lock().served_by);
    }

    /// # Errors
    /// As [`Reservation::raise`].
    pub async fn raise(&self, add: Usage) -> Result<()> {
        self.0.reservation.raise(add).await
    }

    /// Changes what was used by the request itself.
    pub fn using(&self, change: impl FnOnce(&mut Usage)) {
        change(&mut self.0.state.lock().used);
    }

    /// What is behind a plugin's failure: it could not go on because a limit or budget was met.
    pub fn cause(&self, failure: Error) -> Error {
        let state = self.0.state.lock();
        match &state.refusal {
            Some(refusal) if failure.kind() == ErrorKind::PluginFailed => {
                let error = Error::new(refusal.kind, refusal.message.clone());
                match refusal.retry_after {
                    Some(after) => error.with_retry_after(after),
                    None => error,
                }
            }
            Some(_) | None => failure,
        }
    }

    /// How the request ends. The first word counts: what comes later follows from it.
    pub fn end(&self, outcome: Outcome) {
        self.0.state.lock().outcome.get_or_insert(outcome);
    }

    /// As [`Self::end`], for an error that the caller is told. `worker` says how it ends if the error is a fault of ours.
    pub fn fail(&self, error: &Error, worker: Outcome) {
        self.end(outcome_of(error, worker));
    }

    /// Waits until everyone has said what was used, and settles.
    ///
    /// # Errors
    /// Whatever the ledger fails with.
    pub async fn settle(&self) -> Result<SignedReceipt> {
        while self.0.state.lock().shares > 0 {
            self.0.idle.notified().await;
        }
        let (used, served_by) = {
            let state = self.0.state.lock();
            (state.used, state.served_by.clone())
        };
        self.0.reservation.finish(used, Outcome::Completed, served_by).await
    }
}

impl Share {
    fn of(inner: &Arc<Inner>) -> Self {
        inner.state.lock().shares += 1;
        Self(Arc::clone(inner))
    }

    /// # Errors
    /// As [`Reservation::raise`].
    pub async fn raise(&self, add: Usage) -> Result<()> {
        let raised = self.0.reservation.raise(add).await;
        raised.inspect_err(|error| {
            if matches!(error.kind(), ErrorKind::QuotaExceeded | ErrorKind::Busy) {
                let refusal = Refusal {
                    kind: error.kind(),
                    message: error.message().to_owned(),
                    retry_after: error.retry_after(),
                };
                self.0.state.lock().refusal.get_or_insert(refusal);
            }
        })
    }

    /// Of `most` that was set aside for it, this was used.
    pub fn report(self, used: Usage, most: Usage) {
        self.0.reservation.lower(minus(&most, &used));
        self.add(used);
    }

    pub fn add(&self, used: Usage) {
        let mut state = self.0.state.lock();
        state.used = state.used.plus(&used);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.shares = state.shares.saturating_sub(1);
        if state.shares == 0 {
            self.0.idle.notify_one();
        }
    }
}

impl Visitor {
    /// # Errors
    /// `Cancelled` when the request has ended.
    pub fn share(&self) -> Result<Share> {
        let inner = self.0.upgrade();
        inner
            .map(|inner| Share::of(&inner))
            .ok_or_else(|| Error::new(ErrorKind::Cancelled, "the request has ended"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let outcome = state.outcome.unwrap_or(Outcome::Cancelled);
        let served_by = std::mem::take(&mut state.served_by);
        self.reservation.finish_later(state.used, outcome, served_by);
    }
}

fn outcome_of(error: &Error, worker: Outcome) -> Outcome {
    match error.kind() {
        ErrorKind::Timeout => Outcome::TimedOut,
        ErrorKind::Cancelled => Outcome::Cancelled,
        ErrorKind::PluginFailed | ErrorKind::PluginLimit => Outcome::PluginFailed,
        ErrorKind::Internal | ErrorKind::Unavailable => worker,
        ErrorKind::InvalidRequest
        | ErrorKind::ContextTooLong
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::ModelNotFound
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::Busy
        | ErrorKind::QuotaExceeded => Outcome::Refused,
    }
}
