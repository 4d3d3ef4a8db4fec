//! What an account or a key has spent and holds, and whether its budget has room for more. Arithmetic only.

mod limit;
#[cfg(test)]
mod tests;

use super::calendar;
use limit::{Limit, Window, hard_limits, limits};
use riad_core::{
    Error, ErrorKind, KeyId, Result, TenantId,
    ledger::{Amount, Spent},
    policy::Budget,
    ports::BudgetNotice,
};
use std::time::Duration;

/// What one account or one key has spent and holds.
#[derive(Debug, Default)]
pub(super) struct BudgetCounters {
    spent: Spent,
    /// Held by running requests. It counts in every window, because it is spent in the window in which they end.
    held: Amount,
    /// Starts of the windows of `spent`, in seconds since 1970-01-01 UTC.
    day: u64,
    month: u64,
    /// The time of the last [`Self::roll`], in seconds.
    now: u64,
}

impl BudgetCounters {
    /// What the ledger returned at `now`, in seconds.
    pub fn new(spent: Spent, now: u64) -> Self {
        Self {
            spent,
            held: Amount::default(),
            day: calendar::day(now),
            month: calendar::month(now),
            now,
        }
    }

    /// Starts new windows when the old ones are over. A clock that goes back starts none.
    pub fn roll(&mut self, now: u64) {
        self.now = now;
        let (day, month) = (calendar::day(now), calendar::month(now));
        if day > self.day {
            self.day = day;
            self.spent.day = Amount::default();
        }
        if month > self.month {
            self.month = month;
            self.spent.month = Amount::default();
        }
    }

    /// `QuotaExceeded` if a hard budget has nothing left.
    pub fn check_left(&self, budget: &Budget, scope: &str) -> Result<()> {
        hard_limits(budget).try_for_each(|limit| {
            if self.spent_in(&limit) < limit.exact_limit() {
                return Ok(());
            }
            Err(self.exceeded(
                &limit,
                format!(
                    "the budget {} of this {scope} is spent: {} of {}",
                    limit.name,
                    limit.display(self.spent_in(&limit)),
                    limit.display(limit.exact_limit())
                ),
            ))
        })
    }

    /// `QuotaExceeded` if a hard budget has no room for `need` beside what is spent and held.
    pub fn check_room(&self, budget: &Budget, need: Amount, scope: &str) -> Result<()> {
        hard_limits(budget).try_for_each(|limit| {
            let (max, need) = (limit.exact_limit(), limit.measure(need));
            let (spent, held) = (self.spent_in(&limit), limit.measure(self.held));
            if need == 0 || spent + held + need <= max {
                return Ok(());
            }
            let needs = limit.display(need);
            if need > max {
                return Err(Error::new(
                    ErrorKind::QuotaExceeded,
                    format!(
                        "this request may need {needs}, the whole budget {} of this {scope} is {}; lower max_tokens or shorten \
                         the request",
                        limit.name,
                        limit.display(max)
                    ),
                ));
            }
            Err(self.exceeded(
                &limit,
                format!(
                    "this request may need {needs}, the budget {} of this {scope} is {}, of which {} are spent and {} are \
                     held for requests that run; lower max_tokens or wait",
                    limit.name,
                    limit.display(max),
                    limit.display(spent),
                    limit.display(held)
                ),
            ))
        })
    }

    pub fn hold(&mut self, amount: Amount) {
        self.held = plus(self.held, amount);
    }

    pub fn release(&mut self, amount: Amount) {
        self.held = Amount {
            tokens: self.held.tokens.saturating_sub(amount.tokens),
            nanos: self.held.nanos.saturating_sub(amount.nanos),
        };
    }

    /// Adds what was spent elsewhere.
    pub fn add(&mut self, amount: Amount) {
        for sum in [&mut self.spent.total, &mut self.spent.month, &mut self.spent.day] {
            *sum = plus(*sum, amount);
        }
    }

    /// Adds what was used, and returns a notice for each threshold that this passes.
    pub fn spend(
        &mut self,
        amount: Amount,
        budget: &Budget,
        tenant: &TenantId,
        key: Option<&KeyId>,
    ) -> Vec<BudgetNotice> {
        let before = self.spent;
        self.add(amount);
        let mut notices = Vec::new();
        for limit in limits(budget) {
            let (before, after) = (limit.measure(in_window(&before, limit.window)), self.spent_in(&limit));
            for threshold in &budget.thresholds {
                // In hundredths of the limit's units, so that no percentage is rounded.
                let threshold_hundredths = limit.exact_limit() * u128::from(*threshold);
                if before * 100 < threshold_hundredths && after * 100 >= threshold_hundredths {
                    notices.push(BudgetNotice {
                        tenant: tenant.clone(),
                        key: key.map(ToString::to_string),
                        budget: limit.name,
                        limit: limit.max,
                        spent: limit.in_limit_units(after),
                        threshold: *threshold,
                        window: self.window_start(limit.window),
                    });
                }
            }
        }
        notices
    }

    fn spent_in(&self, limit: &Limit) -> u128 {
        limit.measure(in_window(&self.spent, limit.window))
    }

    fn window_start(&self, window: Window) -> u64 {
        match window {
            Window::Total => 0,
            Window::Month => self.month,
            Window::Day => self.day,
        }
    }

    fn exceeded(&self, limit: &Limit, message: String) -> Error {
        let renews = match limit.window {
            Window::Total => None,
            Window::Month => Some(calendar::next_month(self.month)),
            Window::Day => Some(calendar::next_day(self.day)),
        };
        match renews {
            Some(renews) => Error::new(
                ErrorKind::QuotaExceeded,
                format!("{message}; it renews on {} at 00:00 UTC", calendar::date(renews)),
            )
            .with_retry_after(Duration::from_secs(renews.saturating_sub(self.now))),
            None => Error::new(
                ErrorKind::QuotaExceeded,
                format!("{message}; it does not renew, the operator can raise it"),
            ),
        }
    }
}

fn in_window(spent: &Spent, window: Window) -> Amount {
    match window {
        Window::Total => spent.total,
        Window::Month => spent.month,
        Window::Day => spent.day,
    }
}

fn plus(one: Amount, other: Amount) -> Amount {
    Amount {
        tokens: one.tokens.saturating_add(other.tokens),
        nanos: one.nanos.saturating_add(other.nanos),
    }
}
