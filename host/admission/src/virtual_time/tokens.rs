//! What tokens cost. Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), section 3.1: a completion token
//! takes about twice the work of a prompt token. Integers, so that counters never drift.

use riad_core::policy::Tier;

const COMPLETION: u64 = 2;
/// What a counter grows by for one weighted token with weight 1 and the standard tier. It is large enough that dividing by a weight
/// of 1000 and a tier leaves whole numbers.
const SCALE: u128 = 1 << 20;
const STANDARD: u128 = 4;

/// Weighted tokens: the engine's work for them, in prompt tokens.
pub(super) fn work(prompt_tokens: u64, completion_tokens: u64) -> u64 {
    prompt_tokens.saturating_add(COMPLETION.saturating_mul(completion_tokens))
}

/// By how much a counter grows for that work.
pub(super) fn charge(work: u64, weight: u32, tier: Tier) -> u128 {
    u128::from(work) * STANDARD * SCALE / (u128::from(weight.max(1)) * factor(tier))
}

/// In quarters: a priority token counts a quarter of a standard one, a flex token four times as much.
fn factor(tier: Tier) -> u128 {
    match tier {
        Tier::Flex => STANDARD / 4,
        Tier::Default => STANDARD,
        Tier::Priority => STANDARD * 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_token_is_two_prompt_tokens() {
        assert_eq!(work(10, 5), 20);
    }

    #[test]
    fn weight_and_tier_divide_what_is_charged() {
        let standard = charge(1000, 1, Tier::Default);
        assert_eq!(charge(1000, 4, Tier::Default), standard / 4);
        assert_eq!(charge(1000, 1, Tier::Priority), standard / 4);
        assert_eq!(charge(1000, 1, Tier::Flex), standard * 4);
        assert!(charge(1, 1000, Tier::Priority) > 0, "nobody is served for nothing");
    }
}
