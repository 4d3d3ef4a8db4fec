//! What the operator lets a tenant use, enforced before anything is spent: policies, budgets, rates, sizes, tiers, and the webhook
//! that is notified. Not here: what things cost (`billing`), the queue's fairness (`riad-services`).

mod budgets;
mod changes;
mod connections;
mod memory;
mod policy;
mod rates;
mod sizes;
mod storage;
mod webhook;

use riad_end_to_end::{Answer, Chat};
use serde_json::Value;

pub const QUESTION: &str = "What is the refund window?";

/// A chat that holds few tokens.
pub fn short() -> Chat {
    Chat::new(QUESTION).with("max_tokens", 8)
}

/// Prompt, completion and embedded tokens of all entries.
pub fn tokens(entries: &[Value]) -> u64 {
    let names = ["prompt_tokens", "completion_tokens", "embedded_tokens"];
    let of = |entry: &Value| names.iter().map(|name| entry[*name].as_u64().unwrap()).sum::<u64>();
    entries.iter().map(of).sum()
}

/// A budget that is spent, as OpenAI's clients know it: they do not try again by themselves.
pub fn assert_no_quota(answer: Answer, words: &[&str]) -> Answer {
    let answer = answer.refused(429, "insufficient_quota");
    assert_eq!(answer.text("/error/type"), "insufficient_quota");
    assert_eq!(answer.header("x-should-retry"), "false");
    for word in words {
        assert!(answer.message().contains(word), "{} lacks {word:?}", answer.message());
    }
    answer
}

/// A rate limit, with a time to retry after.
pub fn assert_too_fast(answer: Answer, words: &[&str]) -> Answer {
    let answer = answer.refused(429, "rate_limit_exceeded");
    assert_eq!(answer.text("/error/type"), "rate_limit_error");
    assert_ne!(answer.header("x-should-retry"), "false");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    for word in words {
        assert!(answer.message().contains(word), "{} lacks {word:?}", answer.message());
    }
    answer
}
