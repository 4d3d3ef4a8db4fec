//! The limits that a budget sets, and the units in which they are compared and shown.

use riad_core::{
    ledger::Amount,
    policy::{Budget, BudgetMode},
};

const NANOS_PER_MICRO: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tokens,
    Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Total,
    Month,
    Day,
}

/// A limit that a budget sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub name: &'static str,
    unit: Unit,
    pub window: Window,
    /// In tokens or micro-units, as the budget states it.
    pub max: u64,
}

impl Limit {
    /// The limit in the unit of [`Self::measure`].
    pub fn exact_limit(&self) -> u128 {
        match self.unit {
            Unit::Tokens => u128::from(self.max),
            Unit::Micros => u128::from(self.max) * u128::from(NANOS_PER_MICRO),
        }
    }

    /// The amount in tokens or nano-units, which is what the limit is compared with.
    pub fn measure(&self, amount: Amount) -> u128 {
        match self.unit {
            Unit::Tokens => u128::from(amount.tokens),
            Unit::Micros => u128::from(amount.nanos),
        }
    }

    /// Converts from the unit of [`Self::measure`] to tokens or micro-units, rounded down.
    pub fn in_limit_units(&self, amount: u128) -> u64 {
        let per = match self.unit {
            Unit::Tokens => 1,
            Unit::Micros => u128::from(NANOS_PER_MICRO),
        };
        u64::try_from(amount / per).unwrap_or(u64::MAX)
    }

    pub fn display(&self, amount: u128) -> String {
        match self.unit {
            Unit::Tokens => format!("{amount} tokens"),
            Unit::Micros => {
                let thousandths = amount % u128::from(NANOS_PER_MICRO);
                match thousandths {
                    0 => format!("{} micro-units", self.in_limit_units(amount)),
                    _ => format!("{}.{thousandths:03} micro-units", self.in_limit_units(amount)),
                }
            }
        }
    }
}

pub(super) fn hard_limits(budget: &Budget) -> impl Iterator<Item = Limit> {
    let hard = match budget.mode {
        BudgetMode::Hard => true,
        BudgetMode::Soft => false,
    };
    limits(budget).filter(move |_| hard)
}

pub(super) fn limits(budget: &Budget) -> impl Iterator<Item = Limit> {
    [
        ("daily_tokens", Unit::Tokens, Window::Day, budget.daily_tokens),
        ("monthly_tokens", Unit::Tokens, Window::Month, budget.monthly_tokens),
        ("total_tokens", Unit::Tokens, Window::Total, budget.total_tokens),
        ("daily_micros", Unit::Micros, Window::Day, budget.daily_micros),
        ("monthly_micros", Unit::Micros, Window::Month, budget.monthly_micros),
        ("total_micros", Unit::Micros, Window::Total, budget.total_micros),
    ]
    .into_iter()
    .filter_map(|(name, unit, window, max)| {
        max.map(|max| Limit {
            name,
            unit,
            window,
            max,
        })
    })
}
