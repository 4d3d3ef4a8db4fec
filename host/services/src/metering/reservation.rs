//! What one request has set aside, and the entry that ends it. Not here: what the request uses (`tab`).

use super::{
    Books,
    account::{AccountState, Draft, KeyUse},
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use riad_core::{
    AdapterAlias, Error, Result, TenantPass,
    ledger::{Amount, Hold, Outcome, Purpose, Record},
    ports::RequestRecord,
    price::{Plan, Usage},
    receipt::{ServedBy, SignedReceipt},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the parts of a request took, as far as they were reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    pub queued: Option<Duration>,
    /// The first piece of the answer.
    pub first_piece: Option<Instant>,
    /// From the first piece to the last, divided by the tokens after the first.
    pub per_token: Option<Duration>,
    /// In guests.
    pub plugin: Duration,
}

/// An admitted request. It ends with exactly one entry in the ledger, or with none if it set nothing aside and used nothing.
/// Dropped before it was settled, it has used nothing and was cancelled.
pub struct Reservation {
    books: Arc<Books>,
    account: Arc<AccountState>,
    pass: TenantPass,
    plan: Plan,
    request: String,
    admitted: Instant,
    aside: Mutex<Aside>,
}

struct Aside {
    purpose: Purpose,
    /// Gone when the request has ended.
    key: Option<KeyUse>,
    at_most: Usage,
    /// What `at_most` counts in budgets.
    amount: Amount,
    /// Whether the ledger has a hold for it.
    recorded: bool,
    timings: Timings,
}

/// The entry of a request, and the end of its way to the disk.
struct Settled {
    receipt: SignedReceipt,
    written: BoxFuture<'static, Result<()>>,
    key: KeyUse,
}

impl Reservation {
    /// Admits a request of an account that is loaded: `Busy` or `QuotaExceeded` if it has to wait.
    pub(super) fn open(
        books: Arc<Books>,
        account: Arc<AccountState>,
        key: KeyUse,
        pass: TenantPass,
        plan: Plan,
        purpose: Purpose,
    ) -> Result<Self> {
        account.with(&books, |state, now_ms| {
            state.whole.check_left(&pass.policy().budget, "tenant")?;
            if let Some(spending) = state.key(pass.key(), now_ms) {
                spending.check_left(pass.key_budget(), "key")?;
            }
            state.begin(&pass.policy().limits)
        })?;
        let request = super::name("req");
        // Joins the line to the request's id, which stands in the span around it and may be the client's.
        tracing::debug!(ledger_request = request, "admitted");
        Ok(Self {
            books,
            account,
            pass,
            plan,
            request,
            admitted: Instant::now(),
            aside: Mutex::new(Aside {
                purpose,
                key: Some(key),
                at_most: Usage::default(),
                amount: Amount::default(),
                recorded: false,
                timings: Timings::default(),
            }),
        })
    }

    /// The adapter that serves the request, once it is known to be there.
    pub fn name_adapter(&self, alias: Option<AdapterAlias>) {
        self.aside.lock().purpose.adapter = alias;
    }

    /// The names of the plugins that serve the request, once they are known.
    pub fn name_plugins(&self, names: String) {
        self.aside.lock().purpose.plugin = names;
    }

    /// What telemetry is told when the request ends.
    pub fn time(&self, change: impl FnOnce(&mut Timings)) {
        change(&mut self.aside.lock().timings);
    }

    /// Sets more aside: all of it or nothing. Tokens are set aside durably when this returns; what costs no tokens leaves no trace
    /// if the process dies.
    ///
    /// # Errors
    /// `QuotaExceeded` names the budget that has no room, `Busy` when a minute's tokens are taken, `InvalidRequest` if a minute never has
    /// as many; whatever the ledger fails with.
    pub async fn raise(&self, add: Usage) -> Result<()> {
        let Some(written) = self.set_aside(&add)? else {
            return Ok(());
        };
        written.await.inspect_err(|_| self.lower(add))
    }

    /// Gives back what turned out not to be needed. The ledger's hold stays as it is until it is raised or settled.
    pub fn lower(&self, by: Usage) {
        self.account.with(&self.books, |state, now_ms| {
            let mut aside = self.aside.lock();
            if aside.key.is_none() {
                return;
            }
            let left = minus(&aside.at_most, &by);
            let amount = self.amount(&left);
            let freed = Amount {
                tokens: aside.amount.tokens.saturating_sub(amount.tokens),
                nanos: aside.amount.nanos.saturating_sub(amount.nanos),
            };
            (aside.at_most, aside.amount) = (left, amount);
            state.whole.release(freed);
            if let Some(spending) = state.key(self.pass.key(), now_ms) {
                spending.release(freed);
            }
            self.books.release(freed);
        });
    }

    /// Ends the request with an entry, which is on the disk when this returns.
    ///
    /// # Errors
    /// Whatever the ledger fails with.
    pub async fn settle(self, used: Usage, outcome: Outcome, served_by: ServedBy) -> Result<SignedReceipt> {
        self.finish(used, outcome, served_by).await
    }

    /// As [`Self::settle`] for who cannot wait: the entry is queued when this returns. A request that set no tokens aside and used
    /// nothing leaves no entry.
    pub fn settle_later(self, used: Usage, outcome: Outcome, served_by: ServedBy) {
        self.finish_later(used, outcome, served_by);
    }

    /// Settles a reservation that others refer to.
    pub(super) async fn finish(&self, used: Usage, outcome: Outcome, served_by: ServedBy) -> Result<SignedReceipt> {
        let settled = self.end(used, outcome, served_by, true)?;
        let Settled { receipt, written, key } =
            settled.ok_or_else(|| Error::internal("a request was settled a second time"))?;
        // A task of its own: the key's sums must stay until the entry is on the disk, although the caller may go away.
        tokio::spawn(async move {
            let written = written.await;
            drop(key);
            written
        })
        .await
        .map_err(Error::internal)??;
        Ok(receipt)
    }

    /// Does nothing if the request has ended.
    pub(super) fn finish_later(&self, used: Usage, outcome: Outcome, served_by: ServedBy) {
        let settled = match self.end(used, outcome, served_by, false) {
            Ok(settled) => settled,
            Err(error) => {
                tracing::error!(?error, request = self.request, "a request could not be settled");
                return;
            }
        };
        let Some(Settled { written, key, .. }) = settled else {
            return;
        };
        let request = self.request.clone();
        self.books.runtime.spawn(async move {
            if let Err(error) = written.await {
                tracing::error!(?error, request, "an entry could not be written to the ledger");
            }
            drop(key);
        });
    }

    fn set_aside(&self, add: &Usage) -> Result<Option<BoxFuture<'static, Result<()>>>> {
        let policy = self.pass.policy();
        self.account.with(&self.books, |state, now_ms| {
            let mut aside = self.aside.lock();
            if aside.key.is_none() {
                return Err(Error::internal("a request that has ended sets something aside"));
            }
            let at_most = aside.at_most.plus(add);
            let amount = self.amount(&at_most);
            let need = Amount {
                tokens: amount.tokens.saturating_sub(aside.amount.tokens),
                nanos: amount.nanos.saturating_sub(aside.amount.nanos),
            };
            state.whole.check_room(&policy.budget, need, "tenant")?;
            if let Some(spending) = state.key(self.pass.key(), now_ms) {
                spending.check_room(self.pass.key_budget(), need, "key")?;
            }
            state.take_tokens(&policy.limits, need.tokens)?;

            (aside.at_most, aside.amount) = (at_most, amount);
            state.whole.hold(need);
            if let Some(spending) = state.key(self.pass.key(), now_ms) {
                spending.hold(need);
            }
            self.books.hold(need);
            if need.tokens == 0 {
                return Ok(None);
            }
            aside.recorded = true;
            Ok(Some(self.books.ledger.append(Record::Hold(Hold {
                account: self.account.account(),
                tenant: self.pass.tenant().clone(),
                key: Some(self.pass.key().clone()),
                request: self.request.clone(),
                at_ms: now_ms,
                purpose: aside.purpose.clone(),
                plan: self.plan.name.clone(),
                plan_version: self.plan.version,
                at_most,
            }))))
        })
    }

    /// Gives back what was set aside and queues the entry: the first time, and if there is anything to write.
    fn end(&self, used: Usage, outcome: Outcome, served_by: ServedBy, always: bool) -> Result<Option<Settled>> {
        let mut notices = Vec::new();
        let ended = self.account.with(&self.books, |state, now_ms| {
            let mut aside = self.aside.lock();
            // Handed out of here in every case: giving it up takes the lock that is held now.
            let key = aside.key.take()?;
            let held = aside.amount;
            state.end();
            state.whole.release(held);
            if let Some(spending) = state.key(self.pass.key(), now_ms) {
                spending.release(held);
            }
            self.books.release(held);
            let (purpose, timings) = (aside.purpose.clone(), aside.timings);
            if !always && !aside.recorded && used == Usage::default() {
                return Some((key, purpose, timings, Ok(None)));
            }
            let spent = self.amount(&used);
            if spent.tokens > held.tokens || spent.nanos > held.nanos {
                tracing::error!(
                    request = self.request,
                    used = spent.tokens,
                    set_aside = held.tokens,
                    "a request used more than was set aside for it; it is billed all of it"
                );
            }
            let draft = Draft {
                tenant: self.pass.tenant().clone(),
                key: Some(self.pass.key().clone()),
                request: self.request.clone(),
                purpose: purpose.clone(),
                outcome,
                used,
                at_most: None,
                plan: self.plan.name.clone(),
                plan_version: self.plan.version,
                cost_nanos: spent.nanos,
                served_by,
            };
            let entry = state.append(&self.books, self.account.account(), now_ms, draft);
            if entry.is_ok() {
                let (tenant, key) = (self.pass.tenant(), self.pass.key());
                let (whole, own) = (&self.pass.policy().budget, self.pass.key_budget());
                notices.push((&whole.webhook, state.whole.spend(spent, whole, tenant, None)));
                if let Some(spending) = state.key(key, now_ms) {
                    notices.push((&own.webhook, spending.spend(spent, own, tenant, Some(key))));
                }
            }
            Some((key, purpose, timings, entry.map(Some)))
        });
        let Some((key, purpose, timings, entry)) = ended else {
            return Ok(None);
        };
        self.tell(purpose, timings, used, outcome);
        for (webhook, notices) in notices {
            self.books.notify(webhook.as_deref(), notices);
        }
        Ok(entry?.map(|(receipt, written)| Settled { receipt, written, key }))
    }

    fn tell(&self, purpose: Purpose, timings: Timings, used: Usage, outcome: Outcome) {
        self.books.telemetry.request(&RequestRecord {
            tenant: self.pass.tenant().clone(),
            kind: purpose.kind,
            model: purpose.model,
            adapter: purpose.adapter,
            outcome,
            used,
            duration: self.admitted.elapsed(),
            queued: timings.queued,
            first_token: timings
                .first_piece
                .map(|first| first.saturating_duration_since(self.admitted)),
            per_token: timings.per_token,
            plugin: timings.plugin,
        });
    }

    fn amount(&self, used: &Usage) -> Amount {
        Amount {
            tokens: used.tokens(),
            nanos: self.plan.prices.nanos(used),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.finish_later(Usage::default(), Outcome::Cancelled, ServedBy::default());
    }
}

pub(super) fn minus(one: &Usage, other: &Usage) -> Usage {
    Usage {
        requests: one.requests.saturating_sub(other.requests),
        prompt_tokens: one.prompt_tokens.saturating_sub(other.prompt_tokens),
        completion_tokens: one.completion_tokens.saturating_sub(other.completion_tokens),
        embedded_tokens: one.embedded_tokens.saturating_sub(other.embedded_tokens),
        fuel: one.fuel.saturating_sub(other.fuel),
        stored_byte_hours: one.stored_byte_hours.saturating_sub(other.stored_byte_hours),
        adapter_byte_hours: one.adapter_byte_hours.saturating_sub(other.adapter_byte_hours),
    }
}
