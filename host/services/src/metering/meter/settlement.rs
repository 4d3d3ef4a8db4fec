//! Holding, releasing and settling: the parts of a request's meter that change its account, under the account's lock.

use super::{Inner, State, Timings};
use crate::metering::{account::KeyUse, account::UnsignedEntry, recent::Ended};
use futures::future::BoxFuture;
use riad_core::{
    Error, ErrorKind, Result,
    ledger::{Amount, Hold, Outcome, Purpose, Record},
    ports::RequestRecord,
    price::Usage,
    receipt::SignedReceipt,
};

/// The entry of a request that has ended, queued and not yet committed.
struct QueuedEntry {
    receipt: SignedReceipt,
    written: BoxFuture<'static, Result<()>>,
    key: KeyUse,
}

/// What telemetry records of a request that has ended.
struct RequestEnd {
    purpose: Purpose,
    timings: Timings,
    usage: Usage,
    outcome: Outcome,
    error: Option<ErrorKind>,
}

impl Inner {
    pub(super) async fn hold(&self, add: Usage) -> Result<()> {
        let Some(written) = self.extend_hold(&add)? else {
            return Ok(());
        };
        written.await.inspect_err(|_| self.release(add))
    }

    pub(super) fn release(&self, by: Usage) {
        self.account.with(&self.writer, |account, now| {
            let mut state = self.state.lock();
            if state.key.is_none() {
                return;
            }
            let left = state.at_most.minus(&by);
            let amount = self.amount(&left);
            let freed = Amount {
                tokens: state.held.tokens.saturating_sub(amount.tokens),
                nanos: state.held.nanos.saturating_sub(amount.nanos),
            };
            (state.at_most, state.held) = (left, amount);
            account.counters.release(freed);
            if let Some(counters) = account.key(self.pass.budget_key(), now) {
                counters.release(freed);
            }
            self.writer.subtract_held(freed);
        });
    }

    /// Ends the request as completed. The entry is on the disk when this returns.
    pub(super) async fn settle(&self) -> Result<SignedReceipt> {
        let settled = self.end(Outcome::Completed, true)?;
        let QueuedEntry { receipt, written, key } =
            settled.ok_or_else(|| Error::internal("a request was settled a second time"))?;
        // A task of its own, because the key's counters must stay in memory until the entry is on the disk, and the caller may go away.
        tokio::spawn(async move {
            let written = written.await;
            drop(key);
            written
        })
        .await
        .map_err(Error::internal)??;
        Ok(receipt)
    }

    /// Ends a request that was not settled, as the recorded outcome says; without one it was cancelled. The entry is queued when this
    /// returns.
    pub(super) fn settle_later(&self) {
        let outcome = self.state.lock().outcome.unwrap_or(Outcome::Cancelled);
        let settled = match self.end(outcome, false) {
            Ok(settled) => settled,
            Err(error) => {
                tracing::error!(?error, request = self.request, "a request could not be settled");
                return;
            }
        };
        let Some(QueuedEntry { written, key, .. }) = settled else {
            return;
        };
        let request = self.request.clone();
        self.writer.runtime.spawn(async move {
            if let Err(error) = written.await {
                tracing::error!(?error, request, "an entry could not be written to the ledger");
            }
            drop(key);
        });
    }

    fn extend_hold(&self, add: &Usage) -> Result<Option<BoxFuture<'static, Result<()>>>> {
        let policy = self.pass.policy();
        self.account.with(&self.writer, |account, now| {
            let mut state = self.state.lock();
            if state.key.is_none() {
                return Err(Error::internal("a request that has ended cannot hold more"));
            }
            let at_most = state.at_most.plus(add);
            let amount = self.amount(&at_most);
            let need = Amount {
                tokens: amount.tokens.saturating_sub(state.held.tokens),
                nanos: amount.nanos.saturating_sub(state.held.nanos),
            };
            account.counters.check_room(&policy.budget, need, "tenant")?;
            if let Some(counters) = account.key(self.pass.budget_key(), now) {
                counters.check_room(self.pass.key_budget(), need, "key")?;
            }
            account.take_tokens(&policy.limits, need.tokens)?;

            (state.at_most, state.held) = (at_most, amount);
            account.counters.hold(need);
            if let Some(counters) = account.key(self.pass.budget_key(), now) {
                counters.hold(need);
            }
            self.writer.add_held(need);
            if need.tokens == 0 {
                return Ok(None);
            }
            state.recorded = true;
            Ok(Some(self.writer.ledger.append(Record::Hold(Hold {
                account: self.account.account(),
                tenant: self.pass.tenant().clone(),
                key: Some(self.pass.key().clone()),
                request: self.request.clone(),
                at_ms: now.as_millis(),
                purpose: state.purpose.clone(),
                plan: self.plan.name.clone(),
                plan_version: self.plan.version,
                at_most,
            }))))
        })
    }

    /// Gives back the hold and queues the entry, the first time. Unless `always`, a request that held no tokens and used nothing gets
    /// no entry.
    fn end(&self, outcome: Outcome, always: bool) -> Result<Option<QueuedEntry>> {
        let mut notices = Vec::new();
        let ended = self.account.with(&self.writer, |account, now| {
            let mut state = self.state.lock();
            // Moved out in every case, because dropping it takes the account's lock, which is held here.
            let key = state.key.take()?;
            let held = state.held;
            if !self.is_background {
                account.end_request();
            }
            account.counters.release(held);
            if let Some(counters) = account.key(self.pass.budget_key(), now) {
                counters.release(held);
            }
            self.writer.subtract_held(held);
            let ended = RequestEnd {
                purpose: state.purpose.clone(),
                timings: state.timings,
                usage: state.usage,
                outcome,
                error: state.error,
            };
            if !always && !state.recorded && ended.usage == Usage::default() {
                return Some((key, ended, Ok(None)));
            }
            let spent = self.amount(&ended.usage);
            if spent.tokens > held.tokens || spent.nanos > held.nanos {
                tracing::error!(
                    request = self.request,
                    used = spent.tokens,
                    held = held.tokens,
                    "a request used more than it held; all of it is billed"
                );
            }
            let unsigned = self.unsigned_entry(&mut state, &ended, spent);
            let entry = account.append(&self.writer, self.account.account(), now, unsigned);
            if entry.is_ok() {
                let (tenant, key) = (self.pass.tenant(), self.pass.key());
                let (whole, own) = (&self.pass.policy().budget, self.pass.key_budget());
                notices.push((&whole.webhook, account.counters.spend(spent, whole, tenant, None)));
                if let Some(counters) = account.key(self.pass.budget_key(), now) {
                    notices.push((&own.webhook, counters.spend(spent, own, tenant, Some(key))));
                }
            }
            Some((key, ended, entry.map(Some)))
        });
        let Some((key, ended, entry)) = ended else {
            return Ok(None);
        };
        // Without the account's lock, which an observer may take.
        let observer = self.state.lock().observer.take();
        if let Some(observe) = observer {
            observe(outcome);
        }
        // Only `settle` completes what cost something.
        let is_free = outcome == Outcome::Completed && matches!(entry, Ok(None));
        if !is_free {
            self.report(ended);
        }
        for (webhook, notices) in notices {
            self.writer.notify(webhook.as_deref(), notices);
        }
        Ok(entry?.map(|(receipt, written)| QueuedEntry { receipt, written, key }))
    }

    fn unsigned_entry(&self, state: &mut State, ended: &RequestEnd, spent: Amount) -> UnsignedEntry {
        UnsignedEntry {
            tenant: self.pass.tenant().clone(),
            key: Some(self.pass.key().clone()),
            request: self.request.clone(),
            purpose: ended.purpose.clone(),
            outcome: ended.outcome,
            used: ended.usage,
            at_most: None,
            plan: self.plan.name.clone(),
            plan_version: self.plan.version,
            cost_nanos: spent.nanos,
            served_by: std::mem::take(&mut state.served_by),
        }
    }

    fn report(&self, ended: RequestEnd) {
        let RequestEnd {
            purpose,
            timings,
            usage,
            outcome,
            error,
        } = ended;
        let first_token = timings
            .first_piece
            .map(|first| first.saturating_duration_since(self.admitted));
        let recent = Ended {
            outcome,
            error,
            tokens: usage.tokens().saturating_sub(usage.cached_tokens),
            completion_tokens: usage.completion_tokens,
            queued: timings.queued,
            first_token,
        };
        self.writer.recent.add(&self.pass, &recent);
        self.writer.telemetry.request(&RequestRecord {
            tenant: self.pass.tenant().clone(),
            kind: purpose.kind,
            model: purpose.model,
            adapter: purpose.adapter,
            outcome,
            used: usage,
            duration: self.admitted.elapsed(),
            queued: timings.queued,
            first_token,
            per_token: timings.per_token,
            plugin: timings.plugin,
        });
    }

    fn amount(&self, usage: &Usage) -> Amount {
        Amount {
            tokens: usage.tokens(),
            nanos: self.plan.prices.nanos(usage),
        }
    }
}
