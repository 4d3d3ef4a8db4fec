//! One account's state in memory: the head of its receipt chain, what it has spent and holds, its rates. Under its lock a check and
//! its consequence are one step, so that no burst gets past a budget.

use super::{
    budgets::BudgetCounters,
    rates::{PerMinute, Rate, RateError, RateState},
    writer::LedgerWriter,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use riad_core::{
    Account, Digest, Error, ErrorKind, KeyId, ModelName, PlanName, Result, TenantId, Timestamp,
    ledger::{ChainHead, Entry, Outcome, Purpose, Record},
    policy::TenantLimits,
    price::Usage,
    receipt::{Receipt, ServedBy, SignedReceipt},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// Keys whose counters stay in memory while they are idle. Those of further keys are read from the ledger again.
const IDLE_KEYS: usize = 4096;

pub(super) struct AccountState {
    account: Account,
    /// Set once head and sums have been read from the ledger; requests wait while they are read.
    ready: OnceCell<()>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    head: ChainHead,
    /// Of the whole account, over all keys.
    pub counters: BudgetCounters,
    keys: HashMap<KeyId, KeyState>,
    requests: Option<PerMinute>,
    tokens: Option<PerMinute>,
    /// Requests that were admitted and have not ended.
    running: u32,
}

#[derive(Default)]
struct KeyState {
    ready: Arc<OnceCell<()>>,
    counters: BudgetCounters,
    /// Requests whose entry may not be on the disk yet.
    users: usize,
}

/// Keeps a key's counters in memory until what was added to them is on the disk.
pub(super) struct KeyUse {
    account: Arc<AccountState>,
    key: KeyId,
}

/// A ledger entry without the members that its place in the chain decides, and without its signature.
pub(super) struct UnsignedEntry {
    pub tenant: TenantId,
    pub key: Option<KeyId>,
    pub request: String,
    pub purpose: Purpose,
    pub outcome: Outcome,
    pub used: Usage,
    pub at_most: Option<Usage>,
    pub plan: PlanName,
    pub plan_version: u32,
    pub cost_nanos: u64,
    pub served_by: ServedBy,
}

/// All accounts that were used since the process started.
#[derive(Default)]
pub(super) struct Accounts(Mutex<HashMap<Account, Arc<AccountState>>>);

impl Accounts {
    /// Reads the account from the ledger if it is not in memory.
    pub async fn load(&self, writer: &LedgerWriter, account: Account) -> Result<Arc<AccountState>> {
        let state = Arc::clone(self.0.lock().entry(account).or_insert_with(|| {
            Arc::new(AccountState {
                account,
                ready: OnceCell::new(),
                state: Mutex::default(),
            })
        }));
        state
            .ready
            .get_or_try_init(async || {
                let now = writer.clock.now().as_seconds();
                let head = writer.ledger.head(account).await?;
                let spent = writer.ledger.spent(account, None, now).await?;
                let mut loaded = state.state.lock();
                loaded.head = head;
                loaded.counters = BudgetCounters::new(spent, now);
                Result::Ok(())
            })
            .await?;
        Ok(state)
    }

    /// Also of an account that is not in memory.
    pub fn is_idle(&self, account: Account) -> bool {
        let state = self.0.lock().get(&account).map(Arc::clone);
        state.is_none_or(|state| state.state.lock().keys.values().all(|key| key.users == 0))
    }

    pub fn rates(&self, account: Account, limits: &TenantLimits) -> RateState {
        let state = self.0.lock().get(&account).map(Arc::clone);
        let Some(state) = state else {
            return RateState {
                requests: limits.requests_per_minute.map(Rate::full),
                tokens: limits.tokens_per_minute.map(Rate::full),
            };
        };
        let mut state = state.state.lock();
        let State { requests, tokens, .. } = &mut *state;
        let rate = |bucket: &mut PerMinute| bucket.rate();
        RateState {
            requests: PerMinute::for_limit(requests, limits.requests_per_minute).map(rate),
            tokens: PerMinute::for_limit(tokens, limits.tokens_per_minute).map(rate),
        }
    }
}

impl AccountState {
    pub fn account(&self) -> Account {
        self.account
    }

    /// Runs `f` under the lock, with budget windows that fit the time.
    pub fn with<T>(&self, writer: &LedgerWriter, f: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.state.lock();
        let now = writer.clock.now();
        state.counters.roll(now.as_seconds());
        f(&mut state, now)
    }

    /// Reads a key's counters if they are not in memory, and keeps them there until the result is dropped.
    pub async fn use_key(self: &Arc<Self>, writer: &LedgerWriter, key: &KeyId) -> Result<KeyUse> {
        let ready = {
            let mut state = self.state.lock();
            let known = state.keys.entry(key.clone()).or_default();
            known.users += 1;
            Arc::clone(&known.ready)
        };
        let key_use = KeyUse {
            account: Arc::clone(self),
            key: key.clone(),
        };
        ready
            .get_or_try_init(async || {
                let now = writer.clock.now().as_seconds();
                let spent = writer.ledger.spent(self.account, Some(key), now).await?;
                if let Some(known) = self.state.lock().keys.get_mut(key) {
                    known.counters = BudgetCounters::new(spent, now);
                }
                Result::Ok(())
            })
            .await?;
        Ok(key_use)
    }
}

impl Drop for KeyUse {
    fn drop(&mut self) {
        let mut state = self.account.state.lock();
        let many = state.keys.len() > IDLE_KEYS;
        if let Some(known) = state.keys.get_mut(&self.key) {
            known.users = known.users.saturating_sub(1);
            if known.users == 0 && many {
                state.keys.remove(&self.key);
            }
        }
    }
}

impl State {
    /// The counters of a key in use, in windows that fit the time.
    pub fn key(&mut self, key: &KeyId, now: Timestamp) -> Option<&mut BudgetCounters> {
        let known = self.keys.get_mut(key)?;
        known.counters.roll(now.as_seconds());
        Some(&mut known.counters)
    }

    pub fn head(&self) -> ChainHead {
        self.head
    }

    #[cfg(test)]
    pub fn known_keys(&self) -> usize {
        self.keys.len()
    }

    /// `Busy` while the limits on requests at the same time or per minute are reached.
    pub fn begin_request(&mut self, limits: &TenantLimits) -> Result<()> {
        if let Some(most) = limits.concurrent_requests.filter(|most| self.running >= *most) {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "{most} requests of this tenant run, as many as may at the same time; try again when one has ended"
                ),
            )
            .with_retry_after(Duration::from_secs(1)));
        }
        // Last, because it is the only check that takes something.
        if let Some(bucket) = PerMinute::for_limit(&mut self.requests, limits.requests_per_minute) {
            bucket.take(1).map_err(|error| match error {
                RateError::RetryAfter(wait) => Error::new(
                    ErrorKind::Busy,
                    format!("this tenant may send {} requests per minute", bucket.rate().limit),
                )
                .with_retry_after(wait),
                RateError::OverLimit => Error::internal("one request is more than a minute's"),
            })?;
        }
        self.running = self.running.saturating_add(1);
        Ok(())
    }

    pub fn end_request(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Takes tokens from the rate limit: `Busy` until enough have refilled, `InvalidRequest` if the limit is lower than `tokens`.
    pub fn take_tokens(&mut self, limits: &TenantLimits, tokens: u64) -> Result<()> {
        let Some(bucket) = PerMinute::for_limit(&mut self.tokens, limits.tokens_per_minute) else {
            return Ok(());
        };
        let limit = bucket.rate().limit;
        bucket.take(tokens).map_err(|error| match error {
            RateError::RetryAfter(wait) => Error::new(
                ErrorKind::Busy,
                format!("this tenant may hold {limit} tokens per minute, and this request may need {tokens}"),
            )
            .with_retry_after(wait),
            RateError::OverLimit => Error::invalid(format!(
                "this request may need {tokens} tokens, this tenant may hold {limit} per minute; lower max_tokens or \
                 shorten the request"
            )),
        })
    }

    /// Signs an entry as the next of the account and queues it. The future resolves when the entry is on the disk.
    pub fn append(
        &mut self,
        writer: &LedgerWriter,
        account: Account,
        now: Timestamp,
        unsigned: UnsignedEntry,
    ) -> Result<(SignedReceipt, BoxFuture<'static, Result<()>>)> {
        let receipt = Receipt {
            tenant: unsigned.tenant.clone(),
            account,
            number: self.head.number + 1,
            previous: self.head.receipt,
            request: unsigned.request.clone(),
            at_ms: now.as_millis(),
            kind: unsigned.purpose.kind,
            outcome: unsigned.outcome,
            key: unsigned.key.clone(),
            model: ModelName::new(&unsigned.purpose.model, unsigned.purpose.adapter.clone()).to_string(),
            served_by: unsigned.served_by,
            used: unsigned.used,
            plan: unsigned.plan.clone(),
            plan_version: unsigned.plan_version,
            cost_nanos: unsigned.cost_nanos,
        };
        let signed = writer.signer.sign(receipt)?;
        let entry = Entry {
            account,
            number: signed.receipt.number,
            tenant: unsigned.tenant,
            key: unsigned.key,
            request: unsigned.request,
            at_ms: now.as_millis(),
            purpose: unsigned.purpose,
            outcome: unsigned.outcome,
            used: unsigned.used,
            at_most: unsigned.at_most,
            plan: unsigned.plan,
            plan_version: unsigned.plan_version,
            cost_nanos: unsigned.cost_nanos,
            receipt: signed.jws.clone(),
        };
        self.head = ChainHead {
            number: entry.number,
            receipt: Some(Digest::of(signed.jws.as_bytes())),
        };
        writer.count_tokens(&entry.used);
        Ok((signed, writer.ledger.append(Record::Entry(entry))))
    }
}
