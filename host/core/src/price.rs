//! What was used, and what it costs: integer prices in versions that never change. Not here: who uses which plan (`policy`).

use crate::{Error, PlanName, Result};
use serde::{Deserialize, Serialize};

/// Things that cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub requests: u64,
    pub prompt_tokens: u64,
    /// Of `prompt_tokens`, those that were taken from the prefix cache rather than computed.
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    pub embedded_tokens: u64,
    /// wasmtime fuel.
    pub fuel: u64,
    /// Bytes of a room on disk, times hours.
    pub stored_byte_hours: u64,
    /// Bytes of adapters in the engine's memory, times hours.
    pub adapter_byte_hours: u64,
}

impl Usage {
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens
            .saturating_add(self.completion_tokens)
            .saturating_add(self.embedded_tokens)
    }

    /// Member by member, never below 0.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            prompt_tokens: self.prompt_tokens.saturating_sub(other.prompt_tokens),
            cached_tokens: self.cached_tokens.saturating_sub(other.cached_tokens),
            completion_tokens: self.completion_tokens.saturating_sub(other.completion_tokens),
            embedded_tokens: self.embedded_tokens.saturating_sub(other.embedded_tokens),
            fuel: self.fuel.saturating_sub(other.fuel),
            stored_byte_hours: self.stored_byte_hours.saturating_sub(other.stored_byte_hours),
            adapter_byte_hours: self.adapter_byte_hours.saturating_sub(other.adapter_byte_hours),
        }
    }

    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            embedded_tokens: self.embedded_tokens.saturating_add(other.embedded_tokens),
            fuel: self.fuel.saturating_add(other.fuel),
            stored_byte_hours: self.stored_byte_hours.saturating_add(other.stored_byte_hours),
            adapter_byte_hours: self.adapter_byte_hours.saturating_add(other.adapter_byte_hours),
        }
    }
}

/// Integer micro-units (millionths of the server's currency). Tokens and requests: per million. Fuel and byte-hours: per
/// billion, so that a stored byte-hour price is the price of a gigabyte for an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceList {
    pub requests: u64,
    pub prompt_tokens: u64,
    /// Of prompt tokens from the prefix cache, in place of `prompt_tokens`; absent if they cost the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    pub completion_tokens: u64,
    pub embedded_tokens: u64,
    pub fuel: u64,
    pub stored_byte_hours: u64,
    pub adapter_byte_hours: u64,
}

const MILLION: u64 = 1_000_000;
const BILLION: u64 = 1_000_000_000;

impl PriceList {
    /// # Errors
    /// `InvalidRequest` if a cached token costs more than one that is computed: a request holds the price of a prompt that is not cached.
    pub fn check(&self) -> Result<()> {
        match self.cached_tokens {
            Some(cached) if cached > self.prompt_tokens => Err(Error::invalid(format!(
                "cached_tokens must cost at most what prompt_tokens cost, which is {}; lower it, or leave it out to charge the same",
                self.prompt_tokens
            ))
            .with_param("cached_tokens")),
            Some(_) | None => Ok(()),
        }
    }

    /// Each thing that cost something and its price in nano-units (thousandths of a micro-unit), rounded half up. Cached tokens are
    /// among the prompt's unless they have a price of their own, which is rounded down: a prompt in two parts never costs more than it
    /// does as a whole, which is what a request holds.
    #[must_use]
    pub fn lines(&self, used: &Usage) -> [(&'static str, u64); 8] {
        // The product of two u64 fits, a thousand times it may not: an amount that large is billed as the most there is.
        let nanos = |amount: u64, micros: u64| (u128::from(amount) * u128::from(micros)).saturating_mul(1000);
        let rounded = |nanos: u128, add: u64, per: u64| {
            u64::try_from(nanos.saturating_add(u128::from(add)) / u128::from(per)).unwrap_or(u64::MAX)
        };
        let line = |amount: u64, micros: u64, per: u64| rounded(nanos(amount, micros), per / 2, per);
        let (computed, cached) = match self.cached_tokens {
            Some(price) => {
                let cached = used.cached_tokens.min(used.prompt_tokens);
                (used.prompt_tokens - cached, rounded(nanos(cached, price), 0, MILLION))
            }
            None => (used.prompt_tokens, 0),
        };
        [
            ("requests", line(used.requests, self.requests, MILLION)),
            ("prompt_tokens", line(computed, self.prompt_tokens, MILLION)),
            ("cached_tokens", cached),
            (
                "completion_tokens",
                line(used.completion_tokens, self.completion_tokens, MILLION),
            ),
            (
                "embedded_tokens",
                line(used.embedded_tokens, self.embedded_tokens, MILLION),
            ),
            ("fuel", line(used.fuel, self.fuel, BILLION)),
            (
                "stored_byte_hours",
                line(used.stored_byte_hours, self.stored_byte_hours, BILLION),
            ),
            (
                "adapter_byte_hours",
                line(used.adapter_byte_hours, self.adapter_byte_hours, BILLION),
            ),
        ]
    }

    /// The sum of [`Self::lines`].
    #[must_use]
    pub fn nanos(&self, used: &Usage) -> u64 {
        self.lines(used)
            .iter()
            .fold(0, |sum, (_, nanos)| sum.saturating_add(*nanos))
    }
}

/// Prices that hold from `created` on. A version is never changed: a new one is added, and entries keep theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub name: PlanName,
    pub version: u32,
    pub prices: PriceList,
    /// Seconds since 1970-01-01 UTC.
    pub created: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_to_a_nano_unit() {
        let prices = PriceList {
            prompt_tokens: 150_000,
            completion_tokens: 600_000,
            stored_byte_hours: 137,
            ..PriceList::default()
        };
        let used = Usage {
            prompt_tokens: 1_000_003,
            completion_tokens: 1,
            stored_byte_hours: 5_000_000_000,
            ..Usage::default()
        };
        // 150,000.45 + 0.6 + 685 micro-units
        assert_eq!(prices.nanos(&used), 150_000_450 + 600 + 685_000);
        assert_eq!(PriceList::default().nanos(&used), 0);
    }

    #[test]
    fn cached_tokens_cost_the_same_unless_they_have_a_price() {
        let same = PriceList {
            prompt_tokens: 150_001,
            ..PriceList::default()
        };
        let used = Usage {
            prompt_tokens: 1003,
            cached_tokens: 1001,
            ..Usage::default()
        };
        let uncached = Usage {
            cached_tokens: 0,
            ..used
        };
        assert_eq!(same.nanos(&used), 150_451);
        assert_eq!(same.nanos(&used), same.nanos(&uncached));
        let own = PriceList {
            cached_tokens: Some(15_000),
            ..same
        };
        assert_eq!(own.nanos(&uncached), 150_451);
        assert_eq!(own.nanos(&used), 300 + 15_015);
        let free = PriceList {
            cached_tokens: Some(0),
            ..same
        };
        assert_eq!(free.nanos(&used), 300);
        // More than the prompt has cannot be.
        let beyond = Usage {
            cached_tokens: u64::MAX,
            ..used
        };
        assert_eq!(free.nanos(&beyond), 0);
    }

    #[test]
    fn a_prompt_in_two_parts_costs_no_more_than_the_whole() {
        for (price, prompt_tokens, cached_tokens) in [(1500, 2, 1), (150_016, 65, 32), (999, 1001, 500)] {
            let prices = PriceList {
                prompt_tokens: price,
                cached_tokens: Some(price),
                ..PriceList::default()
            };
            let whole = Usage {
                prompt_tokens,
                ..Usage::default()
            };
            let parts = Usage { cached_tokens, ..whole };
            assert!(prices.nanos(&parts) <= prices.nanos(&whole), "{prices:?}, {parts:?}");
        }
    }

    #[test]
    fn a_cached_token_costs_at_most_what_a_prompt_token_costs() {
        let prices = |cached_tokens| PriceList {
            prompt_tokens: 10,
            cached_tokens,
            ..PriceList::default()
        };
        for allowed in [None, Some(0), Some(10)] {
            prices(allowed).check().unwrap();
        }
        let error = prices(Some(11)).check().unwrap_err();
        assert_eq!(error.param(), Some("cached_tokens"));
    }

    #[test]
    fn a_price_list_of_an_earlier_version_stays_as_it_was() {
        let json = r#"{"requests":1,"prompt_tokens":2,"completion_tokens":3,"embedded_tokens":4,"fuel":5,"stored_byte_hours":6,"adapter_byte_hours":7}"#;
        let prices: PriceList = serde_json::from_str(json).unwrap();
        assert_eq!(prices.cached_tokens, None);
        assert_eq!(serde_json::to_string(&prices).unwrap(), json);
    }

    #[test]
    fn half_a_nano_unit_is_rounded_up_and_huge_amounts_do_not_wrap() {
        let prices = PriceList {
            fuel: 1,
            requests: u64::MAX,
            ..PriceList::default()
        };
        let fuel = |fuel| Usage {
            fuel,
            ..Usage::default()
        };
        assert_eq!((prices.nanos(&fuel(499_999)), prices.nanos(&fuel(500_000))), (0, 1));
        let many = Usage {
            requests: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(prices.nanos(&many), u64::MAX);
    }
}
