//! Who asks and changes the control database next, by account: a tenant that asks much or changes much delays itself only. Not here: the
//! engine's ledger entries, which share their commits, and authentication, which waits for nothing of this.

use crate::metering::{PerMinute, RateError};
use parking_lot::Mutex;
use riad_admission::{Bounds, FewestHeld, Limiter, Request};
use riad_core::{Account, Error, ErrorKind, Limits, Result, resources};
use std::{collections::HashMap, num::NonZeroU32, time::Duration};
use tracing::Instrument;

/// At the same time, of all accounts: the store has as many connections for questions, and one writer, which one more waits for.
const CAPACITY: u32 = 2;
/// Of one account, so that another's waits for nothing of it.
const PER_ACCOUNT: u32 = 1;
/// Questions of one account that may wait.
const WAITING: usize = 8;
/// For which a question may wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// When one of them may have been answered.
const RETRY: Duration = Duration::from_secs(1);

/// Whom the operator's questions and changes are counted for. Tenants' accounts begin with 1.
pub(crate) fn operator() -> Account {
    Account::new(0)
}

pub(crate) struct ControlAdmission {
    questions: Limiter<FewestHeld>,
    changes: Limiter<FewestHeld>,
    changes_per_minute: NonZeroU32,
    /// What each account that has changed something may change in this minute.
    /// `resources::CHANGES`.
    rates: Mutex<HashMap<Account, PerMinute>>,
}

impl ControlAdmission {
    pub fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            per_account: PER_ACCOUNT,
            ..Bounds::of(CAPACITY)
        };
        let questions = Bounds {
            waiting_per_account: WAITING,
            ..bounds
        };
        Self {
            questions: Limiter::new(&resources::QUESTIONS, questions, FewestHeld),
            // Unbounded, because most that wait have changed a room already and must get their line in the audit log. How many there
            // are is bounded by rates, and by who may send a request.
            changes: Limiter::new(&resources::CHANGES, bounds, FewestHeld),
            changes_per_minute: NonZeroU32::new(limits.changes_per_minute).unwrap_or(NonZeroU32::MIN),
            rates: Mutex::default(),
        }
    }

    /// Counts a change that is not billed. To be called before anything is changed.
    ///
    /// # Errors
    /// `Busy`, with a time to retry after, if there were too many in this minute.
    pub fn count_change(&self, account: Account) -> Result<()> {
        let limit = self.changes_per_minute;
        let mut rates = self.rates.lock();
        let rate = rates.entry(account).or_insert_with(|| PerMinute::of(limit));
        rate.take(1).map_err(|error| match error {
            RateError::RetryAfter(wait) => Error::new(
                ErrorKind::Busy,
                format!("this tenant may make {limit} changes per minute; send this one again later"),
            )
            .with_retry_after(wait),
            RateError::OverLimit => Error::internal("one change is more than a minute's"),
        })
    }

    /// Asks the store a question that may take long, when it is the account's turn. Dropping the future ends it.
    ///
    /// # Errors
    /// The question's own; `Busy` if too many of the account's wait, or this one waits for too long.
    pub async fn ask<T>(&self, account: Account, question: impl Future<Output = Result<T>>) -> Result<T> {
        let turn = self.questions.acquire_within(account, 1, LONGEST_WAIT, RETRY);
        let _permit = turn.await?;
        question.await
    }

    /// Writes to the control database when it is the account's turn. What has begun goes on without its caller and keeps its turn until it
    /// ends.
    ///
    /// # Errors
    /// The change's own.
    pub async fn write<T: Send + 'static>(
        &self,
        account: Account,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        // Without bounds on those that wait, and without an expiry, nothing is rejected.
        let turn = self.changes.acquire(Request::new(account, ())).await;
        let permit = turn.map_err(|rejection| Error::internal(format!("{rejection:?}")))?;
        let change = async move {
            let changed = change.await;
            drop(permit);
            changed
        };
        tokio::spawn(change.in_current_span()).await.map_err(Error::internal)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::Arc;
    use tokio::sync::{Notify, oneshot};

    fn admission(changes_per_minute: u32) -> Arc<ControlAdmission> {
        Arc::new(ControlAdmission::new(&Limits {
            changes_per_minute,
            ..Limits::default()
        }))
    }

    fn account(number: u64) -> Account {
        Account::new(number)
    }

    #[tokio::test]
    async fn a_tenants_questions_hold_up_nobody_else() {
        let admission = admission(1);
        let mut own = Vec::new();
        for _ in 0..=WAITING {
            let mut question = Box::pin(admission.ask(account(1), std::future::pending::<Result<()>>()));
            assert!((&mut question).now_or_never().is_none());
            own.push(question);
        }
        let refused = admission.ask(account(1), async { Ok(()) }).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(refused.retry_after().is_some());
        let other = admission.ask(account(2), async { Ok(7) }).now_or_never();
        assert_eq!(other.unwrap().unwrap(), 7);
        // A caller that goes away makes room for the next.
        own.pop();
        let mut next = Box::pin(admission.ask(account(1), async { Ok(()) }));
        assert!((&mut next).now_or_never().is_none());
        own.clear();
        assert!(next.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_tenants_changes_hold_up_nobody_else() {
        let admission = admission(1);
        let finish = Arc::new(Notify::new());
        let (begun, has_begun) = oneshot::channel();
        let blocked = {
            let (admission, finish) = (admission.clone(), finish.clone());
            tokio::spawn(async move {
                let change = async move {
                    let _ = begun.send(());
                    finish.notified().await;
                    Ok(())
                };
                admission.write(account(1), change).await
            })
        };
        has_begun.await.unwrap();
        let mut more = Box::pin(admission.write(account(1), async { Ok("own") }));
        assert!((&mut more).now_or_never().is_none());
        assert_eq!(
            admission.write(account(2), async { Ok("other") }).await.unwrap(),
            "other"
        );
        // The change goes on without its caller, and no second one of the account begins beside it.
        blocked.abort();
        assert!(blocked.await.unwrap_err().is_cancelled());
        assert!((&mut more).now_or_never().is_none());
        finish.notify_one();
        assert_eq!(more.await.unwrap(), "own");
    }

    #[test]
    fn an_account_has_so_many_changes_per_minute() {
        let admission = admission(2);
        admission.count_change(account(1)).unwrap();
        admission.count_change(account(1)).unwrap();
        let refused = admission.count_change(account(1)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(refused.message().contains("2 changes per minute"), "{refused}");
        assert!(refused.retry_after().is_some());
        admission.count_change(account(2)).unwrap();
    }
}
