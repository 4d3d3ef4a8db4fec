//! The meter of one request: what it holds in the budget, what it has used so far, and the one ledger entry that ends it.
//!
//! [`RequestMeter`] is the request's own end of it. Whoever uses something for the request (a generation, the embedder) has a
//! [`UsageHandle`] and reports through it; guests have a [`GuestMeter`], which does not keep the request open. The request is settled
//! exactly once: by [`RequestMeter::settle`] if it went well, else when the meter and the last handle have been dropped.

mod settlement;

use super::{
    account::{AccountState, KeyUse},
    recent::Ended,
    writer::LedgerWriter,
};
use parking_lot::Mutex;
use riad_core::{
    AdapterAlias, Error, ErrorKind, Result, TenantPass,
    ledger::{Amount, Outcome, Purpose},
    ports::{GenerationEnd, GuestUse, Progress, UsageReporter},
    price::{Plan, Usage},
    receipt::{ServedBy, SignedReceipt},
};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The request's own end of its meter. Dropping it stops metering the guests, and settles the request as soon as no handle is left.
pub struct RequestMeter(Arc<Inner>);

/// Keeps the request open until its holder has reported what it used.
pub(crate) struct UsageHandle(Arc<Inner>);

/// For guests, which may use something as long as the request runs and must not keep it open.
#[derive(Clone)]
pub(crate) struct GuestMeter(Weak<Inner>);

struct Inner {
    writer: Arc<LedgerWriter>,
    account: Arc<AccountState>,
    pass: TenantPass,
    plan: Plan,
    /// The request's id in the ledger.
    request: String,
    /// Whether it is none of the tenant's requests at the same time.
    is_background: bool,
    admitted: Instant,
    state: Mutex<State>,
    /// Notified when the last handle is gone.
    idle: Notify,
}

type OutcomeObserver = Box<dyn FnOnce(Outcome) + Send>;

struct State {
    purpose: Purpose,
    /// `None` once the request is settled.
    key: Option<KeyUse>,
    /// The hold: the most that the request may use.
    at_most: Usage,
    /// The hold as budgets count it.
    held: Amount,
    /// Whether the ledger has a record of the hold.
    recorded: bool,
    usage: Usage,
    /// How the request ends. The first cause is kept; later ones follow from it.
    outcome: Option<Outcome>,
    /// The error that was this cause.
    error: Option<ErrorKind>,
    served_by: ServedBy,
    timings: Timings,
    handles: usize,
    /// The guests whose fuel and time are metered.
    guests: Option<Arc<dyn GuestUse>>,
    /// Why a handle could not hold more, the first time.
    refusal: Option<Refusal>,
    /// Told how the request ended.
    observer: Option<OutcomeObserver>,
}

/// Times of a request, as far as it got.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    pub queued: Option<Duration>,
    /// Of the first choice.
    pub first_piece: Option<Instant>,
    pub last_piece: Option<Instant>,
    /// From the first piece to the last, divided by the tokens after the first.
    pub per_token: Option<Duration>,
    /// In guests.
    pub plugin: Duration,
}

/// An error that can be returned a second time.
struct Refusal {
    kind: ErrorKind,
    message: String,
    retry_after: Option<Duration>,
}

impl RequestMeter {
    /// Admits a request of an account that is loaded: `Busy` or `QuotaExceeded` if it has to wait.
    pub(super) fn open(
        writer: Arc<LedgerWriter>,
        account: Arc<AccountState>,
        key: KeyUse,
        pass: TenantPass,
        plan: Plan,
        purpose: Purpose,
        is_background: bool,
    ) -> Result<Self> {
        let admitted = account.with(&writer, |state, now| {
            state.counters.check_left(&pass.policy().budget, "tenant")?;
            if let Some(counters) = state.key(pass.budget_key(), now) {
                counters.check_left(pass.key_budget(), "key")?;
            }
            match is_background {
                true => Ok(()),
                false => state.begin_request(&pass.policy().limits),
            }
        });
        admitted.inspect_err(|error: &Error| writer.recent.add(&pass, &Ended::refused(error.kind())))?;
        let request = super::unique_id("req");
        // Joins this line to the request id of the span around it, which the client may have chosen.
        tracing::debug!(ledger_request = request, "admitted");
        Ok(Self(Arc::new(Inner {
            writer,
            account,
            pass,
            plan,
            request,
            is_background,
            admitted: Instant::now(),
            state: Mutex::new(State {
                purpose,
                key: Some(key),
                at_most: Usage::default(),
                held: Amount::default(),
                recorded: false,
                usage: Usage::default(),
                outcome: None,
                error: None,
                served_by: ServedBy::default(),
                timings: Timings::default(),
                handles: 0,
                guests: None,
                refusal: None,
                observer: None,
            }),
            idle: Notify::new(),
        })))
    }

    /// The request's id in the ledger and on its receipt.
    pub fn request(&self) -> &str {
        &self.0.request
    }

    /// Calls the observer once when the request has ended, on the thread on which it ends; it must not block.
    pub fn observe_outcome(&self, observer: impl FnOnce(Outcome) + Send + 'static) {
        self.0.state.lock().observer = Some(Box::new(observer));
    }

    pub(crate) fn handle(&self) -> UsageHandle {
        UsageHandle::new(&self.0)
    }

    pub(crate) fn guest_meter(&self) -> GuestMeter {
        GuestMeter(Arc::downgrade(&self.0))
    }

    /// The adapter that serves the request, once it is known to exist: telemetry must not see names that a client made up.
    pub fn set_adapter(&self, alias: Option<AdapterAlias>) {
        self.0.state.lock().purpose.adapter = alias;
    }

    /// The names of the plugins that serve the request, once they are known.
    pub fn set_plugins(&self, names: String) {
        self.0.state.lock().purpose.plugin = names;
    }

    /// As far as the request got.
    pub fn timings(&self) -> Timings {
        self.0.state.lock().timings
    }

    pub fn admitted(&self) -> Instant {
        self.0.admitted
    }

    pub fn update_served_by(&self, change: impl FnOnce(&mut ServedBy)) {
        change(&mut self.0.state.lock().served_by);
    }

    /// From here on the fuel and time of these guests are the request's too; those before have ended.
    pub fn attach_guests(&self, run: Arc<dyn GuestUse>) {
        self.0.detach_guests();
        self.0.state.lock().guests = Some(run);
    }

    /// The guests have ended: what they used is counted, and their instances are free.
    pub fn detach_guests(&self) {
        self.0.detach_guests();
    }

    /// Holds more: all of it or nothing. When this returns, held tokens are durable; a hold without tokens leaves no record.
    ///
    /// # Errors
    /// `QuotaExceeded` names the budget that has no room, `Busy` when the tokens of this minute are taken, `InvalidRequest` if no minute
    /// ever has as many; whatever the ledger fails with.
    pub async fn hold(&self, add: Usage) -> Result<()> {
        self.0.hold(add).await
    }

    /// Gives back a part of the hold that is not needed. The ledger's record stays until the next hold or the settlement.
    pub fn release(&self, by: Usage) {
        self.0.release(by);
    }

    /// Changes what the request itself has used.
    pub fn record_usage(&self, change: impl FnOnce(&mut Usage)) {
        change(&mut self.0.state.lock().usage);
    }

    pub fn record_queue_time(&self, time: Duration) {
        self.0.state.lock().timings.queued = Some(time);
    }

    /// A piece of the first choice's answer has come.
    pub fn record_piece(&self) {
        let now = Instant::now();
        let timings = &mut self.0.state.lock().timings;
        timings.first_piece.get_or_insert(now);
        timings.last_piece = Some(now);
    }

    /// The first choice has ended.
    pub fn record_generation_end(&self, end: &GenerationEnd) {
        let state = &mut *self.0.state.lock();
        state.served_by.adapter_tensors = end.adapter_tensors;
        if let (Some(first), Some(last)) = (state.timings.first_piece, state.timings.last_piece) {
            let after_first = end.usage.completion_tokens.saturating_sub(1);
            state.timings.per_token = last.duration_since(first).checked_div(after_first);
        }
    }

    /// See [`UsageHandle::record_result`].
    ///
    /// # Errors
    /// The result's own, or what caused it.
    pub fn record_result<T>(&self, result: Result<T>) -> Result<T> {
        self.0.record_result(result)
    }

    /// As [`Self::record_result`], for a call of the engine or the embedder: an internal error is recorded as theirs.
    ///
    /// # Errors
    /// The result's own.
    pub fn record_engine_result<T>(&self, result: Result<T>) -> Result<T> {
        self.0.record_engine_result(result)
    }

    pub fn record_error(&self, error: &Error) {
        self.0.record_error(error, Outcome::Refused);
    }

    /// How the request ends. The first cause is kept.
    #[cfg(test)]
    pub fn record_outcome(&self, outcome: Outcome) {
        self.0.state.lock().outcome.get_or_insert(outcome);
    }

    /// Ends a request that costs nothing, such as counting tokens. It was admitted as every other, and leaves neither an entry nor a record
    /// in telemetry.
    pub fn end_free(self) {
        self.0.state.lock().outcome.get_or_insert(Outcome::Completed);
    }

    /// Waits until every handle has reported, and settles the request as completed. The entry is on the disk when this returns.
    ///
    /// # Errors
    /// Whatever the ledger fails with; `Internal` if it was settled before.
    pub async fn settle(&self) -> Result<SignedReceipt> {
        self.0.detach_guests();
        while self.0.state.lock().handles > 0 {
            self.0.idle.notified().await;
        }
        self.0.settle().await
    }
}

impl Drop for RequestMeter {
    fn drop(&mut self) {
        self.0.detach_guests();
    }
}

impl UsageHandle {
    fn new(inner: &Arc<Inner>) -> Self {
        inner.state.lock().handles += 1;
        Self(Arc::clone(inner))
    }

    /// As [`RequestMeter::hold`]. If it is refused, the request's own error will say why ([`Self::record_result`]).
    ///
    /// # Errors
    /// As [`RequestMeter::hold`].
    pub async fn hold(&self, add: Usage) -> Result<()> {
        self.0.hold(add).await.inspect_err(|error| {
            // What a guest makes of it is not the guest's fault.
            if matches!(
                error.kind(),
                ErrorKind::QuotaExceeded | ErrorKind::Busy | ErrorKind::StorageFull | ErrorKind::Unavailable
            ) {
                let refusal = Refusal {
                    kind: error.kind(),
                    message: error.message().to_owned(),
                    retry_after: error.retry_after(),
                };
                self.0.state.lock().refusal.get_or_insert(refusal);
            }
        })
    }

    /// Records `used`, and releases what is left of `most`, which was held for it.
    pub fn report(self, used: Usage, most: Usage) {
        self.0.release(most.minus(&used));
        self.add(used);
    }

    pub fn add(&self, used: Usage) {
        let mut state = self.0.state.lock();
        state.usage = state.usage.plus(&used);
    }

    /// For a generation that starts: the request stays open until the engine has reported what it used.
    pub fn usage_reporter(&self, progress: &Arc<Progress>) -> UsageReporter {
        let handle = Self::new(&self.0);
        UsageReporter::new(Arc::clone(progress), move |usage| {
            handle.add(Usage {
                prompt_tokens: u64::from(usage.prompt_tokens),
                cached_tokens: u64::from(usage.cached_tokens),
                completion_tokens: u64::from(usage.completion_tokens),
                ..Usage::default()
            });
        })
    }

    /// Records how an error ends the request, and returns the error or its cause: a plugin that failed because it met a budget
    /// fails with that budget's error.
    ///
    /// # Errors
    /// The result's own, or what caused it.
    pub fn record_result<T>(&self, result: Result<T>) -> Result<T> {
        self.0.record_result(result)
    }

    /// See [`RequestMeter::record_engine_result`].
    ///
    /// # Errors
    /// The result's own.
    pub fn record_engine_result<T>(&self, result: Result<T>) -> Result<T> {
        self.0.record_engine_result(result)
    }

    /// Gives back a part of what was held.
    pub fn release(&self, by: Usage) {
        self.0.release(by);
    }
}

impl Clone for UsageHandle {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for UsageHandle {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.handles = state.handles.saturating_sub(1);
        if state.handles == 0 {
            self.0.idle.notify_one();
        }
    }
}

impl GuestMeter {
    /// # Errors
    /// `Cancelled` when the request has ended.
    pub fn handle(&self) -> Result<UsageHandle> {
        let inner = self.0.upgrade();
        inner
            .map(|inner| UsageHandle::new(&inner))
            .ok_or_else(|| Error::new(ErrorKind::Cancelled, "the request has ended"))
    }
}

impl Inner {
    /// Records what the guests have used so far, and drops them.
    fn detach_guests(&self) {
        let run = self.state.lock().guests.take();
        if let Some(run) = run {
            let (fuel, time) = (run.fuel(), run.time());
            {
                let state = &mut *self.state.lock();
                state.usage.fuel = state.usage.fuel.saturating_add(fuel);
                state.timings.plugin = state.timings.plugin.saturating_add(time);
            }
            // Ends the guests without the lock, because a handle that one of them holds takes it when it is dropped.
            drop(run);
        }
    }

    fn record_result<T>(&self, result: Result<T>) -> Result<T> {
        result
            .map_err(|error| self.cause(error))
            .inspect_err(|error| self.record_error(error, Outcome::Refused))
    }

    fn record_engine_result<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.record_error(error, Outcome::EngineFailed))
    }

    /// `fault` is the outcome if the error is the server's fault.
    fn record_error(&self, error: &Error, fault: Outcome) {
        let mut state = self.state.lock();
        if state.outcome.is_none() {
            state.outcome = Some(outcome_of(error, fault));
            state.error = Some(error.kind());
        }
    }

    fn cause(&self, failure: Error) -> Error {
        let state = self.state.lock();
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
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.settle_later();
    }
}

fn outcome_of(error: &Error, fault: Outcome) -> Outcome {
    match error.kind() {
        ErrorKind::Timeout => Outcome::TimedOut,
        ErrorKind::Cancelled => Outcome::Cancelled,
        ErrorKind::PluginFailed | ErrorKind::PluginLimit => Outcome::PluginFailed,
        ErrorKind::Internal | ErrorKind::Unavailable | ErrorKind::AdapterFailed => fault,
        ErrorKind::InvalidRequest
        | ErrorKind::UnsupportedFile
        | ErrorKind::UnreadableFile
        | ErrorKind::ContextTooLong
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::Misdirected
        | ErrorKind::NotFound
        | ErrorKind::ModelNotFound
        | ErrorKind::Conflict
        | ErrorKind::TooLarge
        | ErrorKind::Busy
        | ErrorKind::QuotaExceeded
        | ErrorKind::StorageFull => Outcome::Refused,
    }
}
