//! What an account or a key has spent and set aside, and what its budget leaves. Only arithmetic.
//! Not here: whose it is and when it is asked (`account`, `reservation`).

use super::calendar;
use riad_core::{
    Error, ErrorKind, KeyId, Result, TenantId,
    ledger::{Amount, Spent},
    policy::{Budget, BudgetMode},
    ports::BudgetNotice,
};
use std::time::Duration;

const NANOS_PER_MICRO: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tokens,
    Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Total,
    Month,
    Day,
}

/// A member of a budget that is set.
#[derive(Debug, Clone, Copy)]
struct Member {
    name: &'static str,
    unit: Unit,
    window: Window,
    limit: u64,
}

/// Sums of one account or one key.
#[derive(Debug, Default)]
pub(super) struct Spending {
    spent: Spent,
    /// Set aside by requests that run. It will be spent in the window in which they end, so that it counts in each.
    held: Amount,
    /// Seconds UTC at which the windows of `spent` began.
    day: u64,
    month: u64,
    /// When it was last asked.
    now: u64,
}

impl Spending {
    /// What the ledger said at `now`.
    pub fn new(spent: Spent, now: u64) -> Self {
        Self {
            spent,
            held: Amount::default(),
            day: calendar::day(now),
            month: calendar::month(now),
            now,
        }
    }

    /// Begins new windows when the old ones are over.
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

    /// `QuotaExceeded` if a hard budget has nothing left, whatever is asked.
    pub fn check_left(&self, budget: &Budget, scope: &str) -> Result<()> {
        hard(budget).try_for_each(|member| {
            if self.spent_in(&member) < member.nano_limit() {
                return Ok(());
            }
            Err(self.refused(
                &member,
                format!(
                    "the budget {} of this {scope} is spent: {} of {}",
                    member.name,
                    member.shown(self.spent_in(&member)),
                    member.shown(member.nano_limit())
                ),
            ))
        })
    }

    /// `QuotaExceeded` if a hard budget has no room for `need` beside what is spent and set aside already.
    pub fn check_room(&self, budget: &Budget, need: Amount, scope: &str) -> Result<()> {
        hard(budget).try_for_each(|member| {
            let (limit, need) = (member.nano_limit(), member.of(need));
            let (spent, held) = (self.spent_in(&member), member.of(self.held));
            if need == 0 || spent + held + need <= limit {
                return Ok(());
            }
            let needs = member.shown(need);
            if need > limit {
                return Err(Error::new(
                    ErrorKind::QuotaExceeded,
                    format!(
                        "this request may need {needs}, the whole budget {} of this {scope} is {}; lower max_tokens or shorten \
                         the request",
                        member.name,
                        member.shown(limit)
                    ),
                ));
            }
            Err(self.refused(
                &member,
                format!(
                    "this request may need {needs}, the budget {} of this {scope} is {}, of which {} are spent and {} are set \
                     aside for requests that run; lower max_tokens or wait",
                    member.name,
                    member.shown(limit),
                    member.shown(spent),
                    member.shown(held)
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

    /// Adds what was used, and says which thresholds that has passed.
    pub fn spend(
        &mut self,
        amount: Amount,
        budget: &Budget,
        tenant: &TenantId,
        key: Option<&KeyId>,
    ) -> Vec<BudgetNotice> {
        let before = self.spent;
        for sum in [&mut self.spent.total, &mut self.spent.month, &mut self.spent.day] {
            *sum = plus(*sum, amount);
        }
        let mut notices = Vec::new();
        for member in members(budget) {
            let (before, after) = (member.of(in_window(&before, member.window)), self.spent_in(&member));
            for threshold in &budget.thresholds {
                // In hundredths of the limit's units, so that no percentage is rounded.
                let line = member.nano_limit() * u128::from(*threshold);
                if before * 100 < line && after * 100 >= line {
                    notices.push(BudgetNotice {
                        tenant: tenant.clone(),
                        key: key.map(ToString::to_string),
                        budget: member.name,
                        limit: member.limit,
                        spent: member.whole(after),
                        threshold: *threshold,
                        window: self.begin(member.window),
                    });
                }
            }
        }
        notices
    }

    fn spent_in(&self, member: &Member) -> u128 {
        member.of(in_window(&self.spent, member.window))
    }

    fn begin(&self, window: Window) -> u64 {
        match window {
            Window::Total => 0,
            Window::Month => self.month,
            Window::Day => self.day,
        }
    }

    fn refused(&self, member: &Member, message: String) -> Error {
        let renews = match member.window {
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

impl Member {
    /// As [`Self::of`].
    fn nano_limit(&self) -> u128 {
        match self.unit {
            Unit::Tokens => u128::from(self.limit),
            Unit::Micros => u128::from(self.limit) * u128::from(NANOS_PER_MICRO),
        }
    }

    /// Tokens, or thousandths of micro-units: what this member compares.
    fn of(&self, amount: Amount) -> u128 {
        match self.unit {
            Unit::Tokens => u128::from(amount.tokens),
            Unit::Micros => u128::from(amount.nanos),
        }
    }

    /// In the unit of the limit, rounded down.
    fn whole(&self, amount: u128) -> u64 {
        let per = match self.unit {
            Unit::Tokens => 1,
            Unit::Micros => u128::from(NANOS_PER_MICRO),
        };
        u64::try_from(amount / per).unwrap_or(u64::MAX)
    }

    fn shown(&self, amount: u128) -> String {
        match self.unit {
            Unit::Tokens => format!("{amount} tokens"),
            Unit::Micros => {
                let thousandths = amount % u128::from(NANOS_PER_MICRO);
                match thousandths {
                    0 => format!("{} micro-units", self.whole(amount)),
                    _ => format!("{}.{thousandths:03} micro-units", self.whole(amount)),
                }
            }
        }
    }
}

fn hard(budget: &Budget) -> impl Iterator<Item = Member> {
    let binds = match budget.mode {
        BudgetMode::Hard => true,
        BudgetMode::Soft => false,
    };
    members(budget).filter(move |_| binds)
}

fn members(budget: &Budget) -> impl Iterator<Item = Member> {
    [
        ("daily_tokens", Unit::Tokens, Window::Day, budget.daily_tokens),
        ("monthly_tokens", Unit::Tokens, Window::Month, budget.monthly_tokens),
        ("total_tokens", Unit::Tokens, Window::Total, budget.total_tokens),
        ("daily_micros", Unit::Micros, Window::Day, budget.daily_micros),
        ("monthly_micros", Unit::Micros, Window::Month, budget.monthly_micros),
        ("total_micros", Unit::Micros, Window::Total, budget.total_micros),
    ]
    .into_iter()
    .filter_map(|(name, unit, window, limit)| {
        limit.map(|limit| Member {
            name,
            unit,
            window,
            limit,
        })
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn amount(tokens: u64, nanos: u64) -> Amount {
        Amount { tokens, nanos }
    }

    fn spend(spending: &mut Spending, amount: Amount, budget: &Budget) -> Vec<BudgetNotice> {
        spending.spend(amount, budget, &"acme".parse().unwrap(), None)
    }

    #[test]
    fn what_is_spent_and_what_is_set_aside_leave_the_rest() {
        let budget = Budget {
            daily_tokens: Some(100),
            total_micros: Some(2),
            ..Budget::default()
        };
        let mut spending = Spending::new(Spent::default(), 0);
        spend(&mut spending, amount(40, 500), &budget);
        spending.hold(amount(30, 500));
        assert!(spending.check_room(&budget, amount(30, 1000), "tenant").is_ok());
        let tokens = spending.check_room(&budget, amount(31, 0), "tenant").unwrap_err();
        assert_eq!(tokens.kind(), ErrorKind::QuotaExceeded);
        assert!(tokens.retry_after().is_some());
        for part in [
            "daily_tokens",
            "100 tokens",
            "40 tokens are spent",
            "30 tokens are set aside",
            "1970-01-02",
        ] {
            assert!(tokens.message().contains(part), "{part}: {tokens}");
        }
        let micros = spending.check_room(&budget, amount(0, 1001), "key").unwrap_err();
        assert!(micros.message().contains("total_micros"), "{micros}");
        assert!(micros.message().contains("1.001 micro-units"), "{micros}");
        assert_eq!(micros.retry_after(), None, "a total does not renew");
        let whole = spending.check_room(&budget, amount(101, 0), "tenant").unwrap_err();
        assert_eq!(whole.retry_after(), None, "waiting does not help");
        assert!(whole.message().contains("whole budget"), "{whole}");
        spending.release(amount(30, 500));
        assert!(spending.check_room(&budget, amount(60, 1500), "tenant").is_ok());
    }

    #[test]
    fn a_spent_budget_admits_nobody_and_a_soft_one_everybody() {
        let mut budget = Budget {
            monthly_tokens: Some(10),
            ..Budget::default()
        };
        let mut spending = Spending::new(Spent::default(), 40 * DAY);
        assert!(spending.check_left(&budget, "tenant").is_ok());
        spend(&mut spending, amount(10, 0), &budget);
        let error = spending.check_left(&budget, "tenant").unwrap_err();
        assert!(error.message().contains("monthly_tokens"), "{error}");
        assert!(error.message().contains("1970-03-01"), "{error}");
        budget.mode = BudgetMode::Soft;
        assert!(spending.check_left(&budget, "tenant").is_ok());
        assert!(spending.check_room(&budget, amount(1000, 0), "tenant").is_ok());
    }

    #[test]
    fn windows_roll_over_and_what_is_set_aside_goes_with_them() {
        let budget = Budget {
            daily_tokens: Some(10),
            monthly_tokens: Some(15),
            total_tokens: Some(1000),
            ..Budget::default()
        };
        // 1970-01-31, a second before the month ends.
        let mut spending = Spending::new(Spent::default(), 31 * DAY - 1);
        spend(&mut spending, amount(10, 0), &budget);
        spending.hold(amount(4, 0));
        spending.roll(31 * DAY - 1);
        assert!(spending.check_room(&budget, amount(1, 0), "tenant").is_err());
        spending.roll(31 * DAY);
        assert!(spending.check_room(&budget, amount(6, 0), "tenant").is_ok());
        assert!(
            spending.check_room(&budget, amount(7, 0), "tenant").is_err(),
            "what is set aside counts in the new day"
        );
        assert_eq!(spending.spent.total.tokens, 10);
        // A clock that goes back does not give a day twice.
        spend(&mut spending, amount(6, 0), &budget);
        spending.roll(31 * DAY - 5);
        assert!(spending.check_room(&budget, amount(1, 0), "tenant").is_err());
    }

    #[test]
    fn each_threshold_is_told_when_it_is_passed_and_not_again() {
        let budget = Budget {
            total_tokens: Some(7),
            daily_micros: Some(1),
            mode: BudgetMode::Soft,
            thresholds: vec![50, 100, 200],
            ..Budget::default()
        };
        let mut spending = Spending::new(Spent::default(), 3 * DAY + 5);
        let told = |notices: Vec<BudgetNotice>| {
            notices
                .into_iter()
                .map(|notice| (notice.budget, notice.threshold, notice.spent, notice.window))
                .collect::<Vec<_>>()
        };
        // 3 of 7 are 42 percent, 4 are 57.
        assert_eq!(told(spend(&mut spending, amount(3, 499), &budget)), []);
        assert_eq!(
            told(spend(&mut spending, amount(1, 1), &budget)),
            [("total_tokens", 50, 4, 0), ("daily_micros", 50, 0, 3 * DAY)]
        );
        assert_eq!(told(spend(&mut spending, amount(2, 499), &budget)), []);
        assert_eq!(
            told(spend(&mut spending, amount(8, 0), &budget)),
            [("total_tokens", 100, 14, 0), ("total_tokens", 200, 14, 0)]
        );
        spending.roll(4 * DAY);
        assert_eq!(
            told(spend(&mut spending, amount(0, 500), &budget)),
            [("daily_micros", 50, 0, 4 * DAY)],
            "a new day begins anew"
        );
    }
}
