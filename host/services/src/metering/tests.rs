//! Metering on a ledger in memory.

mod budgets;
mod bursts;
mod chain;
mod rates;
mod settlement;

use super::{
    fakes::{FakePorts, pass, purpose},
    receipts::follows,
    *,
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    ledger::Record,
    policy::{Budget, BudgetMode, Policy, TenantLimits},
    price::PriceList,
    receipt::SignedReceipt,
};
use std::time::Duration;

const DAY_MS: u64 = 86_400_000;

fn tokens(completion_tokens: u64) -> Usage {
    Usage {
        completion_tokens,
        ..Usage::default()
    }
}

fn tenant(budget: Budget, limits: TenantLimits) -> TenantPass {
    let policy = Policy {
        budget,
        limits,
        ..Policy::default()
    };
    pass("key_1", Budget::default(), policy)
}

fn budgeted(budget: Budget) -> TenantPass {
    tenant(budget, TenantLimits::default())
}

fn total(total_tokens: u64) -> Budget {
    Budget {
        total_tokens: Some(total_tokens),
        ..Budget::default()
    }
}

async fn settle(meter: RequestMeter, used: Usage) -> SignedReceipt {
    meter.record_usage(|usage| *usage = used);
    meter.settle().await.unwrap()
}

fn settle_later(meter: RequestMeter, used: Usage, outcome: Outcome) {
    meter.record_usage(|usage| *usage = used);
    meter.record_outcome(outcome);
}

async fn request(metering: &Metering, pass: &TenantPass, most: u64, used: u64) -> Result<SignedReceipt> {
    let meter = metering.admit(pass, purpose()).await?;
    meter.hold(tokens(most)).await?;
    Ok(settle(meter, tokens(used)).await)
}
