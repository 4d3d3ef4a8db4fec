//! Metering, from admission to the signed ledger entry: rates, budgets, holds and receipts. Everything that a tenant is billed for
//! passes through here. Not here: how entries are stored (the `Ledger` port).
//!
//! [`Metering::admit`] makes a request's [`RequestMeter`], [`RequestMeter::hold`] holds what the request may use before it uses it, and
//! [`RequestMeter::settle`], or dropping it, bills what it did use. All requests of an account decide under one lock (`account`), so
//! that no burst gets past a budget.

mod account;
mod budgets;
mod calendar;
#[cfg(test)]
mod fakes;
mod meter;
mod rates;
pub mod receipts;
pub(crate) mod recent;
mod writer;

pub(crate) use meter::{GuestMeter, UsageHandle};
pub use meter::{RequestMeter, Timings};
pub(crate) use rates::{PerMinute, RateError};
pub use rates::{Rate, RateState};
pub use recent::{RECENT_MINUTES, RecentAccount, RecentActivity, RecentSums};

use account::{AccountState, Accounts, UnsignedEntry};
use futures::future::try_join_all;
use parking_lot::Mutex;
use receipts::{PublicKey, Signer, verify_receipt};
use recent::RecentRequests;
use riad_core::{
    Account, Clock, PlanName, Result, SystemClock, TenantPass,
    ledger::{Amount, ChainHead, EngineTokens, Entry, EntryCheck, Hold, Kind, Outcome, Purpose},
    moving::DaySpent,
    ports::{Ledger, Plans, Telemetry, Webhooks},
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
use writer::LedgerWriter;

pub struct MeteringDependencies {
    pub ledger: Arc<dyn Ledger>,
    pub plans: Arc<dyn Plans>,
    pub webhooks: Arc<dyn Webhooks>,
    pub telemetry: Arc<dyn Telemetry>,
}

/// Cloning is cheap.
#[derive(Clone)]
pub struct Metering(Arc<Inner>);

struct Inner {
    writer: Arc<LedgerWriter>,
    accounts: Accounts,
    plans: Arc<dyn Plans>,
    /// The newest version of each plan that was asked for.
    known_plans: Mutex<HashMap<PlanName, Plan>>,
}

impl Metering {
    /// Loads or makes the signing key, and settles the holds of a process that died: they are billed with nothing.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub async fn open(dependencies: MeteringDependencies) -> Result<Self> {
        Self::open_with(dependencies, Arc::new(SystemClock)).await
    }

    async fn open_with(dependencies: MeteringDependencies, clock: Arc<dyn Clock>) -> Result<Self> {
        let key = dependencies.ledger.signing_key(Signer::generate()?).await?;
        let metering = Self(Arc::new(Inner {
            writer: Arc::new(LedgerWriter {
                ledger: dependencies.ledger,
                webhooks: dependencies.webhooks,
                telemetry: dependencies.telemetry,
                signer: Signer::new(key.reveal())?,
                recent: RecentRequests::default(),
                counted: Mutex::default(),
                held: AtomicU64::new(0),
                clock,
                runtime: Handle::current(),
            }),
            accounts: Accounts::default(),
            plans: dependencies.plans,
            known_plans: Mutex::default(),
        }));
        metering.end_abandoned().await?;
        Ok(metering)
    }

    /// Admits a request, in memory: nothing is held and nothing written yet. The plan's version is fixed from here on.
    ///
    /// # Errors
    /// `Busy`, with a time to retry after, for too many requests per minute or at the same time; `QuotaExceeded` if a hard budget is
    /// spent.
    pub async fn admit(&self, pass: &TenantPass, purpose: Purpose) -> Result<RequestMeter> {
        self.open_request(pass, purpose, false).await
    }

    /// As [`Self::admit`], for work that goes on after its request: it takes none of the tenant's requests per minute or at the same time, which are
    /// left to its users. Its tokens count.
    ///
    /// # Errors
    /// `QuotaExceeded` if a hard budget is spent.
    pub async fn admit_background(&self, pass: &TenantPass, purpose: Purpose) -> Result<RequestMeter> {
        self.open_request(pass, purpose, true).await
    }

    async fn open_request(&self, pass: &TenantPass, purpose: Purpose, is_background: bool) -> Result<RequestMeter> {
        let writer = &self.0.writer;
        let account = self.0.accounts.load(writer, pass.account()).await?;
        let plan = self.0.plan(&pass.policy().plan).await?;
        let key = account.use_key(writer, pass.budget_key()).await?;
        RequestMeter::open(
            Arc::clone(writer),
            account,
            key,
            pass.clone(),
            plan,
            purpose,
            is_background,
        )
    }

    /// Bills a tenant for usage that accrues over time. A spent budget does not stop it; its thresholds are notified.
    ///
    /// # Errors
    /// `NotFound` if the tenant's plan is gone; whatever the ledger fails with.
    pub(crate) async fn charge(&self, tenant: &Tenant, purpose: Purpose, used: Usage) -> Result<()> {
        self.append_charge(tenant, purpose, used, unique_id("tick"))
            .await
            .map(drop)
    }

    /// Writes that the tenant has moved to or from another cell, which `request` says. Returns this entry, the account's last.
    ///
    /// # Errors
    /// As of [`Self::charge`].
    pub(crate) async fn mark_moved(&self, tenant: &Tenant, request: &str) -> Result<ChainHead> {
        let purpose = Purpose {
            kind: Kind::Moved,
            model: String::new(),
            adapter: None,
            plugin: String::new(),
        };
        self.append_charge(tenant, purpose, Usage::default(), unique_id(request))
            .await
    }

    /// Counts what was spent in another cell after the tenant came from there, today's and earlier days' alike.
    pub(crate) async fn add_spent(&self, tenant: &Tenant, spent: &[DaySpent]) -> Result<()> {
        let writer = &self.0.writer;
        let account = self.0.accounts.load(writer, tenant.account).await?;
        account.with(writer, |state, now| {
            for day in spent {
                let amount = Amount {
                    tokens: day.tokens,
                    nanos: day.nanos,
                };
                state.counters.add(amount);
                if let Some(key) = day.key.as_ref().and_then(|key| state.key(key, now)) {
                    key.add(amount);
                }
            }
        });
        Ok(())
    }

    /// Whether no request of the account runs or waits to be settled.
    #[must_use]
    pub(crate) fn is_idle(&self, account: Account) -> bool {
        self.0.accounts.is_idle(account)
    }

    async fn append_charge(
        &self,
        tenant: &Tenant,
        purpose: Purpose,
        used: Usage,
        request: String,
    ) -> Result<ChainHead> {
        let writer = &self.0.writer;
        let account = self.0.accounts.load(writer, tenant.account).await?;
        let plan = self.0.plan(&tenant.policy.plan).await?;
        let cost_nanos = plan.prices.nanos(&used);
        let unsigned = UnsignedEntry {
            tenant: tenant.id.clone(),
            key: None,
            request,
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
        let (head, written, notices) = account.with(writer, |state, now| {
            let (_, written) = state.append(writer, tenant.account, now, unsigned)?;
            let notices = state.counters.spend(amount, budget, &tenant.id, None);
            Result::Ok((state.head(), written, notices))
        })?;
        writer.notify(budget.webhook.as_deref(), notices);
        written.await?;
        Ok(head)
    }

    /// What is left of the caller's limits per minute.
    #[must_use]
    pub fn rates(&self, pass: &TenantPass) -> RateState {
        self.0.accounts.rates(pass.account(), &pass.policy().limits)
    }

    /// Sums over the entries of this process. The engine's own counters are ahead by what has not been settled yet.
    #[must_use]
    pub fn ledger_counted(&self) -> EngineTokens {
        *self.0.writer.counted.lock()
    }

    /// What requests of the last minutes came to.
    pub(crate) fn recent(&self) -> RecentActivity {
        self.0.writer.recent.now()
    }

    pub(crate) fn forget_recent(&self, account: Account) {
        self.0.writer.recent.forget(account);
    }

    /// Tokens that are held now, over all accounts.
    #[must_use]
    pub fn held_tokens(&self) -> u64 {
        self.0.writer.held.load(Ordering::Relaxed)
    }

    /// The keys that receipts are signed with, as a JSON Web Key Set.
    #[must_use]
    pub fn public_jwks(&self) -> Value {
        self.0.writer.signer.public().jwks()
    }

    /// For [`Ledger::verify`].
    #[must_use]
    pub fn signature_check(&self) -> Box<EntryCheck> {
        let key = self.0.writer.signer.public().clone();
        Box::new(move |entry| check_entry(entry, &key))
    }

    /// Sets the prices for requests that are admitted from now on.
    pub(crate) fn set_plan(&self, plan: Plan) {
        self.0.remember_plan(plan);
    }

    async fn end_abandoned(&self) -> Result<()> {
        let holds = self.0.writer.ledger.abandoned().await?;
        if holds.is_empty() {
            return Ok(());
        }
        let (count, mut most) = (holds.len(), 0_u64);
        let mut entries = Vec::new();
        for hold in holds {
            most = most.saturating_add(hold.at_most.tokens());
            let account = self.0.accounts.load(&self.0.writer, hold.account).await?;
            entries.push(self.abandon(&account, hold)?);
        }
        try_join_all(entries).await?;
        tracing::warn!(
            requests = count,
            tokens_at_most = most,
            "the last process died before it settled these requests; they are billed with nothing"
        );
        Ok(())
    }

    fn abandon(&self, account: &AccountState, hold: Hold) -> Result<impl Future<Output = Result<()>> + use<>> {
        let unsigned = UnsignedEntry {
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
        account.with(&self.0.writer, |state, now| {
            let (_, written) = state.append(&self.0.writer, hold.account, now, unsigned)?;
            Ok(written)
        })
    }
}

/// As [`Metering::signature_check`], without a running server: `signing_key` is the private key (PKCS#8) of its ledger.
///
/// # Errors
/// `Internal` if it is not such a key.
pub fn offline_signature_check(signing_key: &[u8]) -> Result<Box<EntryCheck>> {
    let key = Signer::new(signing_key)?.public().clone();
    Ok(Box::new(move |entry| check_entry(entry, &key)))
}

/// What is wrong with an entry's receipt, if anything is: its signature, or that it says something else than the entry.
#[must_use]
pub fn check_entry(entry: &Entry, key: &PublicKey) -> Option<String> {
    let receipt = match verify_receipt(&entry.receipt, key) {
        Ok(receipt) => receipt,
        Err(error) => return Some(error.message().to_owned()),
    };
    let differences = receipt.differences(entry);
    (!differences.is_empty()).then(|| format!("the receipt has another {} than the entry", differences.join(", ")))
}

impl Inner {
    async fn plan(&self, name: &PlanName) -> Result<Plan> {
        if let Some(known) = self.known_plans.lock().get(name) {
            return Ok(known.clone());
        }
        let plan = self.plans.current(name).await?;
        self.remember_plan(plan.clone());
        Ok(plan)
    }

    /// Keeps the newer version, whichever comes first.
    fn remember_plan(&self, plan: Plan) {
        let mut known = self.known_plans.lock();
        if known.get(&plan.name).is_none_or(|older| older.version < plan.version) {
            known.insert(plan.name.clone(), plan);
        }
    }
}

/// An id that no other request has.
fn unique_id(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests;
