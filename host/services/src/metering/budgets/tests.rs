//! Sums, windows, thresholds and the errors that name them.

use super::*;
use riad_core::policy::BudgetMode;

const DAY: u64 = 86_400;

fn amount(tokens: u64, nanos: u64) -> Amount {
    Amount { tokens, nanos }
}

fn spend(counters: &mut BudgetCounters, amount: Amount, budget: &Budget) -> Vec<BudgetNotice> {
    counters.spend(amount, budget, &"acme".parse().unwrap(), None)
}

#[test]
fn spent_and_held_amounts_leave_the_rest() {
    let budget = Budget {
        daily_tokens: Some(100),
        total_micros: Some(2),
        ..Budget::default()
    };
    let mut counters = BudgetCounters::new(Spent::default(), 0);
    spend(&mut counters, amount(40, 500), &budget);
    counters.hold(amount(30, 500));
    assert!(counters.check_room(&budget, amount(30, 1000), "tenant").is_ok());
    let tokens = counters.check_room(&budget, amount(31, 0), "tenant").unwrap_err();
    assert_eq!(tokens.kind(), ErrorKind::QuotaExceeded);
    assert!(tokens.retry_after().is_some());
    for part in [
        "daily_tokens",
        "100 tokens",
        "40 tokens are spent",
        "30 tokens are held",
        "1970-01-02",
    ] {
        assert!(tokens.message().contains(part), "{part}: {tokens}");
    }
    let micros = counters.check_room(&budget, amount(0, 1001), "key").unwrap_err();
    assert!(micros.message().contains("total_micros"), "{micros}");
    assert!(micros.message().contains("1.001 micro-units"), "{micros}");
    assert_eq!(micros.retry_after(), None, "a total does not renew");
    let whole = counters.check_room(&budget, amount(101, 0), "tenant").unwrap_err();
    assert_eq!(whole.retry_after(), None, "waiting does not help");
    assert!(whole.message().contains("whole budget"), "{whole}");
    counters.release(amount(30, 500));
    assert!(counters.check_room(&budget, amount(60, 1500), "tenant").is_ok());
}

#[test]
fn a_spent_hard_budget_admits_nothing_and_a_soft_one_all() {
    let mut budget = Budget {
        monthly_tokens: Some(10),
        ..Budget::default()
    };
    let mut counters = BudgetCounters::new(Spent::default(), 40 * DAY);
    assert!(counters.check_left(&budget, "tenant").is_ok());
    spend(&mut counters, amount(10, 0), &budget);
    let error = counters.check_left(&budget, "tenant").unwrap_err();
    assert!(error.message().contains("monthly_tokens"), "{error}");
    assert!(error.message().contains("1970-03-01"), "{error}");
    budget.mode = BudgetMode::Soft;
    assert!(counters.check_left(&budget, "tenant").is_ok());
    assert!(counters.check_room(&budget, amount(1000, 0), "tenant").is_ok());
}

#[test]
fn windows_roll_over_and_holds_count_in_the_new_ones() {
    let budget = Budget {
        daily_tokens: Some(10),
        monthly_tokens: Some(15),
        total_tokens: Some(1000),
        ..Budget::default()
    };
    // 1970-01-31, a second before the month ends.
    let mut counters = BudgetCounters::new(Spent::default(), 31 * DAY - 1);
    spend(&mut counters, amount(10, 0), &budget);
    counters.hold(amount(4, 0));
    counters.roll(31 * DAY - 1);
    assert!(counters.check_room(&budget, amount(1, 0), "tenant").is_err());
    counters.roll(31 * DAY);
    assert!(counters.check_room(&budget, amount(6, 0), "tenant").is_ok());
    assert!(
        counters.check_room(&budget, amount(7, 0), "tenant").is_err(),
        "the hold counts in the new day"
    );
    assert_eq!(counters.spent.total.tokens, 10);
    // A clock that goes back does not give a day twice.
    spend(&mut counters, amount(6, 0), &budget);
    counters.roll(31 * DAY - 5);
    assert!(counters.check_room(&budget, amount(1, 0), "tenant").is_err());
}

#[test]
fn each_threshold_is_notified_once_when_it_is_passed() {
    let budget = Budget {
        total_tokens: Some(7),
        daily_micros: Some(1),
        mode: BudgetMode::Soft,
        thresholds: vec![50, 100, 200],
        ..Budget::default()
    };
    let mut counters = BudgetCounters::new(Spent::default(), 3 * DAY + 5);
    let passed = |notices: Vec<BudgetNotice>| {
        notices
            .into_iter()
            .map(|notice| (notice.budget, notice.threshold, notice.spent, notice.window))
            .collect::<Vec<_>>()
    };
    // 3 of 7 are 42 percent, 4 are 57.
    assert_eq!(passed(spend(&mut counters, amount(3, 499), &budget)), []);
    assert_eq!(
        passed(spend(&mut counters, amount(1, 1), &budget)),
        [("total_tokens", 50, 4, 0), ("daily_micros", 50, 0, 3 * DAY)]
    );
    assert_eq!(passed(spend(&mut counters, amount(2, 499), &budget)), []);
    assert_eq!(
        passed(spend(&mut counters, amount(8, 0), &budget)),
        [("total_tokens", 100, 14, 0), ("total_tokens", 200, 14, 0)]
    );
    counters.roll(4 * DAY);
    assert_eq!(
        passed(spend(&mut counters, amount(0, 500), &budget)),
        [("daily_micros", 50, 0, 4 * DAY)],
        "a new day begins anew"
    );
}
