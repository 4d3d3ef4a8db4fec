//! Money, from admission to the signed entry: rates, budgets, holds and receipts. Everything that a tenant can be billed for goes
//! through here. Not here: how entries are kept (the `Ledger` port), what a request uses (`chat`, `embeddings`, …).
//!
//! A request is admitted (`Metering::admit`), sets aside what it may use before it uses it (`Reservation::raise`), and is settled
//! (`Reservation::settle`) with what it did use, however it ends. All requests of an account decide under one lock
//! (`account`), which is why no burst gets past a budget.

mod account;
mod budgets;
mod calendar;
#[cfg(test)]
mod fakes;
mod rates;
pub mod receipts;
mod reservation;
mod tab;

pub use rates::{Rate, RateState};
pub use reservation::{Reservation, Timings};
pub(crate) use tab::{Share, Tab, Visitor};

use account::{AccountState, Accounts, Draft};
use futures::future::try_join_all;
use parking_lot::Mutex;
use receipts::{PublicKey, Signer, verify_receipt};
use riad_core::{
    PlanName, Result, TenantPass,
    ledger::{Amount, EngineTokens, Entry, EntryCheck, Hold, Outcome, Purpose},
    ports::{BudgetNotice, Ledger, Plans, Telemetry, Webhooks},
    price::{Plan, Usage},
    receipt::ServedBy,
    tenant::Tenant,
};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::runtime::Handle;
use uuid::Uuid;

pub struct MeteringParts {
    pub ledger: Arc<dyn Ledger>,
    pub plans: Arc<dyn Plans>,
    pub webhooks: Arc<dyn Webhooks>,
    pub telemetry: Arc<dyn Telemetry>,
}

/// Cloning is cheap.
#[derive(Clone)]
pub struct Metering(Arc<Books>);

struct Books {
    ledger: Arc<dyn Ledger>,
    plans: Arc<dyn Plans>,
    webhooks: Arc<dyn Webhooks>,
    telemetry: Arc<dyn Telemetry>,
    signer: Signer,
    accounts: Accounts,
    /// The newest version of each plan that was asked for.
    known_plans: Mutex<HashMap<PlanName, Plan>>,
    /// What the entries of this process say.
    counted: Mutex<EngineTokens>,
    /// Tokens that are set aside now.
    held: AtomicU64,
    /// Milliseconds since 1970-01-01 UTC.
    clock: fn() -> u64,
    /// Where entries are watched on their way to the disk: requests end on the engine's threads too.
    runtime: Handle,
}

impl Metering {
    /// Loads the signing key, or makes it, and ends what a dead process left unsettled: billed with nothing.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub async fn open(parts: MeteringParts) -> Result<Self> {
        Self::open_with(parts, crate::clock::now_ms).await
    }

    async fn open_with(parts: MeteringParts, clock: fn() -> u64) -> Result<Self> {
        let key = parts.ledger.signing_key(Signer::generate()?).await?;
        let metering = Self(Arc::new(Books {
            ledger: parts.ledger,
            plans: parts.plans,
            webhooks: parts.webhooks,
            telemetry: parts.telemetry,
            signer: Signer::new(key.reveal())?,
            accounts: Accounts::default(),
            known_plans: Mutex::default(),
            counted: Mutex::default(),
            held: AtomicU64::new(0),
            clock,
            runtime: Handle::current(),
        }));
        metering.end_abandoned().await?;
        Ok(metering)
    }

    /// Admits a request, in memory: nothing is set aside and nothing written yet. The plan's version is fixed from here on.
    ///
    /// # Errors
    /// `Busy` with the time after which to come again, for too many requests per minute or at the same time; `QuotaExceeded` if a hard
    /// budget is spent.
    pub async fn admit(&self, pass: &TenantPass, purpose: Purpose) -> Result<Reservation> {
        let books = &self.0;
        let account = books.accounts.load(books, pass.account()).await?;
        let plan = books.plan(&pass.policy().plan).await?;
        let key = account.use_key(books, pass.key()).await?;
        Reservation::open(Arc::clone(books), account, key, pass.clone(), plan, purpose)
    }

    /// Bills a tenant for what time costs. Budgets refuse nothing here, and are told.
    ///
    /// # Errors
    /// `NotFound` if the tenant's plan is gone; whatever the ledger fails with.
    pub(crate) async fn charge(&self, tenant: &Tenant, purpose: Purpose, used: Usage) -> Result<()> {
        let books = &self.0;
        let account = books.accounts.load(books, tenant.account).await?;
        let plan = books.plan(&tenant.policy.plan).await?;
        let cost_nanos = plan.prices.nanos(&used);
        let draft = Draft {
            tenant: tenant.id.clone(),
            key: None,
            request: name("tick"),
            purpose,
            outcome: Outcome::Completed,
            used,
            at_most: None,
            plan: plan.name,
            plan_version: plan.version,
            cost_nanos,
            served_by: ServedBy::default(),
        };
        let budget = &tenant.policy.budget;
        let amount = Amount {
            tokens: used.tokens(),
            nanos: cost_nanos,
        };
        let (written, notices) = account.with(books, |state, now_ms| {
            let (_, written) = state.append(books, tenant.account, now_ms, draft)?;
            Result::Ok((written, state.whole.spend(amount, budget, &tenant.id, None)))
        })?;
        books.notify(budget.webhook.as_deref(), notices);
        written.await
    }

    /// What the caller has left of its limits per minute.
    #[must_use]
    pub fn rates(&self, pass: &TenantPass) -> RateState {
        self.0.accounts.rates(pass.account(), &pass.policy().limits)
    }

    /// Sums over the entries of this process. What the engine has counted and this lacks is on its way here.
    #[must_use]
    pub fn ledger_counted(&self) -> EngineTokens {
        *self.0.counted.lock()
    }

    /// Tokens that are set aside now, over all accounts.
    #[must_use]
    pub fn held_tokens(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    /// The keys that receipts are signed with, as a JSON Web Key Set.
    #[must_use]
    pub fn public_jwks(&self) -> Value {
        self.0.signer.public().jwks()
    }

    /// For [`Ledger::verify`].
    #[must_use]
    pub fn signature_check(&self) -> Box<EntryCheck> {
        let key = self.0.signer.public().clone();
        Box::new(move |entry| check_entry(entry, &key))
    }

    /// Prices that hold for what is admitted from now on.
    pub(crate) fn set_plan(&self, plan: Plan) {
        self.0.remember(plan);
    }

    async fn end_abandoned(&self) -> Result<()> {
        let holds = self.0.ledger.abandoned().await?;
        if holds.is_empty() {
            return Ok(());
        }
        let (count, mut most) = (holds.len(), 0_u64);
        let mut entries = Vec::new();
        for hold in holds {
            most = most.saturating_add(hold.at_most.tokens());
            let account = self.0.accounts.load(&self.0, hold.account).await?;
            entries.push(self.abandon(&account, hold)?);
        }
        try_join_all(entries).await?;
        tracing::warn!(
            requests = count,
            tokens_at_most = most,
            "the last process died with requests that were not settled; they are billed with nothing"
        );
        Ok(())
    }

    fn abandon(&self, account: &AccountState, hold: Hold) -> Result<impl Future<Output = Result<()>> + use<>> {
        let draft = Draft {
            tenant: hold.tenant,
            key: hold.key,
            request: hold.request,
            purpose: hold.purpose,
            outcome: Outcome::Abandoned,
            used: Usage::default(),
            at_most: Some(hold.at_most),
            plan: hold.plan,
            plan_version: hold.plan_version,
            cost_nanos: 0,
            served_by: ServedBy::default(),
        };
        account.with(&self.0, |state, now_ms| {
            let (_, written) = state.append(&self.0, hold.account, now_ms, draft)?;
            Ok(written)
        })
    }
}

/// What is wrong with an entry's receipt, if anything is: its signature, or that it says something else than the entry.
#[must_use]
pub fn check_entry(entry: &Entry, key: &PublicKey) -> Option<String> {
    let receipt = match verify_receipt(&entry.receipt, key) {
        Ok(receipt) => receipt,
        Err(error) => return Some(error.message().to_owned()),
    };
    let same = receipt.tenant == entry.tenant
        && receipt.account == entry.account
        && receipt.number == entry.number
        && receipt.request == entry.request
        && receipt.at_ms == entry.at_ms
        && receipt.kind == entry.purpose.kind
        && receipt.outcome == entry.outcome
        && receipt.key == entry.key
        && receipt.model == account::full_name(&entry.purpose)
        && receipt.used == entry.used
        && receipt.plan == entry.plan
        && receipt.plan_version == entry.plan_version
        && receipt.cost_nanos == entry.cost_nanos;
    (!same).then(|| "the receipt says something else than the entry".to_owned())
}

impl Books {
    async fn plan(&self, name: &PlanName) -> Result<Plan> {
        if let Some(known) = self.known_plans.lock().get(name) {
            return Ok(known.clone());
        }
        let plan = self.plans.current(name).await?;
        self.remember(plan.clone());
        Ok(plan)
    }

    /// The newer version wins, whoever comes first.
    fn remember(&self, plan: Plan) {
        let mut known = self.known_plans.lock();
        if known.get(&plan.name).is_none_or(|older| older.version < plan.version) {
            known.insert(plan.name.clone(), plan);
        }
    }

    fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    fn now(&self) -> u64 {
        self.now_ms() / 1000
    }

    fn hold(&self, amount: Amount) {
        self.held.fetch_add(amount.tokens, Ordering::Relaxed);
    }

    /// Only what was held before.
    fn release(&self, amount: Amount) {
        self.held.fetch_sub(amount.tokens, Ordering::Relaxed);
    }

    fn count(&self, used: &Usage) {
        let mut counted = self.counted.lock();
        counted.prompt = counted.prompt.saturating_add(used.prompt_tokens);
        counted.completion = counted.completion.saturating_add(used.completion_tokens);
        counted.embedded = counted.embedded.saturating_add(used.embedded_tokens);
    }

    fn notify(&self, webhook: Option<&str>, notices: Vec<BudgetNotice>) {
        if let Some(url) = webhook {
            notices.into_iter().for_each(|notice| self.webhooks.notify(url, notice));
        }
    }
}

fn name(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests;
