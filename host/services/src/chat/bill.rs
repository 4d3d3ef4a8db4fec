//! The tab of one chat request: its guests' fuel, its generations' tokens, how it ended, and when things happened.
//! Not here: setting aside and settling (`metering`).

use crate::metering::{Metering, Tab, Visitor};
use parking_lot::Mutex;
use riad_core::{
    AdapterAlias, Error, Result, TenantPass,
    ledger::{Outcome, Purpose},
    ports::{GenerationEnd, PipelineRun, Progress, UsageReporter},
    price::Usage,
    receipt::{ServedBy, SignedReceipt},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Shared by the choices of a request, which run side by side in one task. Settles whatever happens: in [`Self::settle`], or
/// when it was dropped and the engine has said what the last generation used.
pub(super) struct Bill {
    tab: Tab,
    /// The guests whose fuel is billed.
    run: Mutex<Option<Arc<dyn PipelineRun>>>,
    /// Of the first choice's pieces: the first and the last.
    pieces: Mutex<Option<(Instant, Instant)>>,
}

impl Bill {
    /// Admits the request, and sets aside its fuel.
    pub async fn open(metering: &Metering, pass: &TenantPass, purpose: Purpose, fuel: u64) -> Result<Self> {
        let tab = Tab::open(metering, pass, purpose).await?;
        let bill = Self {
            tab,
            run: Mutex::default(),
            pieces: Mutex::default(),
        };
        let most = Usage {
            requests: 1,
            fuel,
            ..Usage::default()
        };
        bill.told(bill.tab.raise(most).await)?;
        Ok(bill)
    }

    /// For the guests' own embeddings.
    pub fn visitor(&self) -> Visitor {
        self.tab.visitor()
    }

    pub fn name_adapter(&self, alias: Option<AdapterAlias>) {
        self.tab.name_adapter(alias);
    }

    pub fn name_plugins(&self, names: String) {
        self.tab.name_plugins(names);
    }

    pub fn serve(&self, change: impl FnOnce(&mut ServedBy)) {
        self.tab.serve(change);
    }

    pub fn watch(&self, run: &Arc<dyn PipelineRun>) {
        *self.run.lock() = Some(Arc::clone(run));
    }

    /// Sets the tokens of every choice aside, durably.
    pub async fn reserve_tokens(&self, prompt_tokens: u32, max_tokens: u32, choices: u32) -> Result<()> {
        let times = |tokens: u32| u64::from(tokens) * u64::from(choices);
        let most = Usage {
            prompt_tokens: times(prompt_tokens),
            completion_tokens: times(max_tokens),
            ..Usage::default()
        };
        self.tab.raise(most).await
    }

    pub fn queued(&self, time: Duration) {
        self.tab.time(|timings| timings.queued = Some(time));
    }

    /// For a generation that begins: it will say what it used, and the bill is open until it has.
    pub fn tally(&self, progress: &Arc<Progress>) -> UsageReporter {
        let share = self.tab.share();
        UsageReporter::new(Arc::clone(progress), move |usage| {
            share.add(Usage {
                prompt_tokens: u64::from(usage.prompt_tokens),
                completion_tokens: u64::from(usage.completion_tokens),
                ..Usage::default()
            });
        })
    }

    /// A generation runs: the request counts as one.
    pub fn started(&self) {
        self.tab.using(|used| used.requests = 1);
    }

    /// A piece of the first choice came.
    pub fn piece(&self) {
        let now = Instant::now();
        let mut pieces = self.pieces.lock();
        match pieces.as_mut() {
            Some((_, last)) => *last = now,
            None => {
                *pieces = Some((now, now));
                self.tab.time(|timings| timings.first_piece = Some(now));
            }
        }
    }

    /// The first choice has ended.
    pub fn ended(&self, end: &GenerationEnd) {
        self.tab.serve(|served| served.adapter_tensors = end.adapter_tensors);
        let after = end.usage.completion_tokens.saturating_sub(1);
        if let Some((first, last)) = *self.pieces.lock() {
            let per_token = last.duration_since(first).checked_div(after);
            self.tab.time(|timings| timings.per_token = per_token);
        }
    }

    /// Notes how an error of anything but the engine ends the request, and hands it on, or what it comes from.
    pub fn told<T>(&self, result: Result<T>) -> Result<T> {
        result
            .map_err(|error| self.tab.cause(error))
            .inspect_err(|error| self.fail(error))
    }

    /// As [`Self::told`], for what the engine was asked to do.
    pub fn told_by_engine<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.tab.fail(error, Outcome::EngineFailed))
    }

    /// Notes how the request ends; what was noted first counts.
    pub fn fail(&self, error: &Error) {
        self.tab.fail(error, Outcome::Refused);
    }

    /// Settles a request whose choices have all ended well.
    pub async fn settle(&self) -> Result<SignedReceipt> {
        self.freeze();
        self.tab.settle().await
    }

    /// What the guests used until now. Lets go of them.
    fn freeze(&self) {
        if let Some(run) = self.run.lock().take() {
            self.tab.using(|used| used.fuel = run.fuel());
            self.tab.time(|timings| timings.plugin = run.time());
        }
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.freeze();
    }
}
