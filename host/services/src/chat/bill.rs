//! What one chat request has used so far. Settles once, however the request ends: it does so when it is dropped.
//! Not here: prices and budgets (the `Meter` port).

use crate::shared::Shared;
use parking_lot::Mutex;
use riad_core::{
    Result, TenantPass,
    chat::TokenUsage,
    ports::{ChatEngine, PipelineRun, Reservation, Used},
};
use std::sync::Arc;

/// Sums over the choices of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub fuel: u64,
}

/// Choices run side by side in one task; the lock is held for an append.
pub(super) struct Bill(Mutex<Inner>);

struct Inner {
    engine: Arc<dyn ChatEngine>,
    /// The request itself and its fuel, set aside before the first guest runs.
    admission: Option<Reservation>,
    /// Tokens, set aside when the prompt is known.
    tokens: Option<Reservation>,
    run: Option<Arc<dyn PipelineRun>>,
    prompt_tokens: u32,
    choices: Vec<Choice>,
}

enum Choice {
    Waiting,
    /// What the engine has said so far.
    Running(String),
    Ended(TokenUsage),
}

impl Bill {
    /// Admits the request: `QuotaExceeded` if not even its guests may run.
    pub fn open(shared: &Shared, pass: &TenantPass) -> Result<Self> {
        let admission = shared.meter.reserve(
            pass,
            Used {
                requests: 1,
                fuel: shared.limits.guest_fuel,
                ..Used::default()
            },
        )?;
        Ok(Self(Mutex::new(Inner {
            engine: Arc::clone(&shared.engine),
            admission: Some(admission),
            tokens: None,
            run: None,
            prompt_tokens: 0,
            choices: Vec::new(),
        })))
    }

    /// The guests whose fuel is billed.
    pub fn watch(&self, run: &Arc<dyn PipelineRun>) {
        self.0.lock().run = Some(Arc::clone(run));
    }

    /// Sets the tokens of every choice aside.
    pub fn reserve_tokens(
        &self,
        shared: &Shared,
        pass: &TenantPass,
        prompt_tokens: u32,
        max_tokens: u32,
        choices: u32,
    ) -> Result<()> {
        let times = |tokens: u32| u64::from(tokens) * u64::from(choices);
        let at_most = Used {
            prompt_tokens: times(prompt_tokens),
            completion_tokens: times(max_tokens),
            ..Used::default()
        };
        let reservation = shared.meter.reserve(pass, at_most)?;
        let mut inner = self.0.lock();
        inner.tokens = Some(reservation);
        inner.prompt_tokens = prompt_tokens;
        inner.choices = (0..choices).map(|_| Choice::Waiting).collect();
        Ok(())
    }

    /// The generation of a choice runs.
    pub fn start(&self, choice: usize) {
        if let Some(choice) = self.0.lock().choices.get_mut(choice) {
            *choice = Choice::Running(String::new());
        }
    }

    pub fn piece(&self, choice: usize, piece: &str) {
        if let Some(Choice::Running(text)) = self.0.lock().choices.get_mut(choice) {
            text.push_str(piece);
        }
    }

    /// The engine's own count of a choice.
    pub fn end(&self, choice: usize, usage: TokenUsage) {
        if let Some(choice) = self.0.lock().choices.get_mut(choice) {
            *choice = Choice::Ended(usage);
        }
    }

    /// Settles now and says what was used. Later calls settle nothing.
    pub fn settle(&self) -> Totals {
        self.0.lock().settle()
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.0.get_mut().settle();
    }
}

impl Inner {
    fn settle(&mut self) -> Totals {
        let totals = self.totals();
        if let Some(admission) = self.admission.take() {
            admission.settle(Used {
                requests: 1,
                fuel: totals.fuel,
                ..Used::default()
            });
        }
        if let Some(tokens) = self.tokens.take() {
            tokens.settle(Used {
                prompt_tokens: totals.prompt_tokens,
                completion_tokens: totals.completion_tokens,
                ..Used::default()
            });
        }
        totals
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals {
            fuel: self.run.as_ref().map_or(0, |run| run.fuel()),
            ..Totals::default()
        };
        for choice in &self.choices {
            let usage = match choice {
                Choice::Waiting => TokenUsage::default(),
                // A generation that was cut off does not say what it used: the prompt was read, and what came out is counted.
                Choice::Running(text) => TokenUsage {
                    prompt_tokens: self.prompt_tokens,
                    completion_tokens: self.engine.count_text(text),
                },
                Choice::Ended(usage) => *usage,
            };
            totals.prompt_tokens += u64::from(usage.prompt_tokens);
            totals.completion_tokens += u64::from(usage.completion_tokens);
        }
        totals
    }
}
