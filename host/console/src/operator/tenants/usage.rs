//! What a tenant used on each of the last days.

use crate::{error::PageResult, parts::format, plot, state::ConsoleState};
use maud::Markup;
use riad_core::{
    Account, OperatorPass, Timestamp,
    usage::{LedgerScope, Rollup},
};

const DAY: u64 = 86_400;
const DAYS: u64 = 30;

/// The oldest day first; today is the last one.
#[derive(Default)]
pub(super) struct Days {
    pub tokens: Vec<u64>,
    pub cost_nanos: u64,
}

/// # Errors
/// When the ledger cannot be read.
pub(super) async fn days(state: &ConsoleState, operator: &OperatorPass, account: Account) -> PageResult<Days> {
    let today = Timestamp::now().as_seconds() / DAY * DAY;
    let start = today.saturating_sub((DAYS - 1) * DAY);
    let scope = LedgerScope::Account(account);
    let rollups = state
        .services
        .usage()
        .rollups(operator, scope, start, today + DAY)
        .await?;
    Ok(Days::of(start, &rollups))
}

impl Days {
    fn of(start: u64, rollups: &[Rollup]) -> Self {
        let mut days = Self {
            tokens: vec![0; usize::try_from(DAYS).unwrap_or_default()],
            cost_nanos: 0,
        };
        for rollup in rollups {
            let place = usize::try_from(rollup.day.saturating_sub(start) / DAY).unwrap_or(usize::MAX);
            if let Some(tokens) = days.tokens.get_mut(place) {
                *tokens = tokens.saturating_add(rollup.used.tokens());
            }
            days.cost_nanos = days.cost_nanos.saturating_add(rollup.cost_nanos);
        }
        days
    }

    pub fn spark(&self) -> Markup {
        let most = self.tokens.iter().copied().max().unwrap_or(0);
        let description = format!("Tokens by day, at most {}", format::short_count(most));
        plot::spark(&description, &self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::price::Usage;

    #[test]
    fn plans_of_one_day_are_summed() {
        let rollup = |day: u64, tokens| Rollup {
            day: day * DAY,
            account: Account::new(1),
            tenant: "acme".parse().unwrap(),
            plan: "standard".parse().unwrap(),
            plan_version: 1,
            used: Usage {
                prompt_tokens: tokens,
                ..Usage::default()
            },
            cost_nanos: 1,
        };
        let days = Days::of(100 * DAY, &[rollup(100, 5), rollup(100, 2), rollup(129, 9)]);
        assert_eq!((days.tokens.len(), days.cost_nanos), (30, 3));
        assert_eq!((days.tokens[0], days.tokens[29]), (7, 9));
        assert!(days.spark().into_string().contains("at most 9"));
    }
}
