//! `/operator/v1/plans`.

use riad_core::price::{self, PriceList};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Integer millionths of the server's currency. Requests and tokens per million; fuel and byte-hours per billion, so that a
/// byte-hour price is that of a gigabyte for an hour. A price that is not named is 0, but for that of
/// cached tokens.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    pub requests: u64,
    pub prompt_tokens: u64,
    /// Of prompt tokens that the prefix cache had, at most the price of the others; the same if it is not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    pub completion_tokens: u64,
    pub embedded_tokens: u64,
    pub fuel: u64,
    pub stored_byte_hours: u64,
    pub adapter_byte_hours: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Plan {
    pub name: String,
    /// 1, 2, 3 …; ledger entries keep the version that they were priced with.
    pub version: u32,
    pub prices: Prices,
    #[schema(example = "usd")]
    pub currency: String,
    pub created: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct PlanList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// By name, newest version first.
    pub data: Vec<Plan>,
}

impl From<Prices> for PriceList {
    fn from(prices: Prices) -> Self {
        Self {
            requests: prices.requests,
            prompt_tokens: prices.prompt_tokens,
            cached_tokens: prices.cached_tokens,
            completion_tokens: prices.completion_tokens,
            embedded_tokens: prices.embedded_tokens,
            fuel: prices.fuel,
            stored_byte_hours: prices.stored_byte_hours,
            adapter_byte_hours: prices.adapter_byte_hours,
        }
    }
}

impl Plan {
    #[must_use]
    pub fn new(plan: price::Plan, currency: &str) -> Self {
        Self {
            name: plan.name.into(),
            version: plan.version,
            prices: Prices {
                requests: plan.prices.requests,
                prompt_tokens: plan.prices.prompt_tokens,
                cached_tokens: plan.prices.cached_tokens,
                completion_tokens: plan.prices.completion_tokens,
                embedded_tokens: plan.prices.embedded_tokens,
                fuel: plan.prices.fuel,
                stored_byte_hours: plan.prices.stored_byte_hours,
                adapter_byte_hours: plan.prices.adapter_byte_hours,
            },
            currency: currency.to_owned(),
            created: plan.created,
        }
    }
}
