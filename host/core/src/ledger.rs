//! Ledger entries and the holds before them. Not here: how they are stored (`store`), budgets (`services`).

use crate::{Account, AdapterAlias, Digest, Error, KeyId, PlanName, Result, TenantId, price::Usage};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a request, or the passing of time, was billed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Chat,
    Embedding,
    /// Embedding the chunks of a document that was added.
    Document,
    Search,
    /// Tools of the room's plugin that the client asked for.
    Tool,
    /// A room's bytes on disk over time.
    Storage,
    /// Adapters in the engine's memory over time.
    Residency,
    /// Nothing: the account's tenant has come from another cell, or has gone to one. Its request says which.
    Moved,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// To its end: the model's, a stop sequence's or `max_tokens`'.
    Completed,
    /// The client disconnected or cancelled.
    Cancelled,
    TimedOut,
    /// The engine, or the embedder, failed.
    EngineFailed,
    /// A plugin trapped, returned an error or broke a limit.
    PluginFailed,
    /// Anything else after it was admitted: a full queue, a prompt that is too long, a budget without room.
    Refused,
    /// The process died before it could settle: billed with nothing, `at_most` is what was held.
    Abandoned,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = Error;
            fn from_str(value: &str) -> Result<Self> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|known| known.as_str() == value)
                    .ok_or_else(|| Error::invalid(format!("{value:?} is none of {}", [$($word),+].join(", "))))
            }
        }
    };
}

words!(Kind {
    Chat = "chat",
    Embedding = "embedding",
    Document = "document",
    Search = "search",
    Tool = "tool",
    Storage = "storage",
    Residency = "residency",
    Moved = "moved",
});
words!(Outcome {
    Completed = "completed",
    Cancelled = "cancelled",
    TimedOut = "timed_out",
    EngineFailed = "engine_failed",
    PluginFailed = "plugin_failed",
    Refused = "refused",
    Abandoned = "abandoned",
});

/// What a hold, and the entry that settles it, is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    pub kind: Kind,
    /// The model's name without an adapter; empty for what needs none.
    pub model: String,
    pub adapter: Option<AdapterAlias>,
    /// Names of the tenant's plugins that serve the request, joined by `+`; `standard` if there is none; empty for what runs no
    /// plugin.
    pub plugin: String,
}

/// One line of the ledger: never changed, never deleted, not even with its tenant. It holds no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub account: Account,
    /// 1, 2, 3 … within the account: a gap is a loss.
    pub number: u64,
    pub tenant: TenantId,
    /// The key that the request came with; absent for what time costs.
    pub key: Option<KeyId>,
    /// The request's id, which the server generates and no other entry has.
    pub request: String,
    /// Milliseconds since 1970-01-01 UTC, when it was settled.
    pub at_ms: u64,
    pub purpose: Purpose,
    pub outcome: Outcome,
    pub used: Usage,
    /// For [`Outcome::Abandoned`]: what was held, the most that can be missing.
    pub at_most: Option<Usage>,
    pub plan: PlanName,
    pub plan_version: u32,
    /// Nano-units (10⁻⁹ of the currency), exact: the plan's prices times the usage.
    pub cost_nanos: u64,
    /// The signed receipt, a compact JWS; it names the SHA-256 of the one before it.
    pub receipt: String,
}

/// The most that a request may use, recorded before it uses anything. It outlives its process, so that a killed process leaves a
/// record of what it may have used; a power cut may lose the latest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub account: Account,
    pub tenant: TenantId,
    pub key: Option<KeyId>,
    /// As in the entry that settles it.
    pub request: String,
    pub at_ms: u64,
    pub purpose: Purpose,
    pub plan: PlanName,
    pub plan_version: u32,
    pub at_most: Usage,
}

/// What the ledger stores for a request, in this order: holds, each replacing the one before, then the entry that settles them.
#[derive(Debug, Clone)]
pub enum Record {
    Hold(Hold),
    Entry(Entry),
}

/// The last entry of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChainHead {
    /// 0: there is none.
    pub number: u64,
    /// SHA-256 of its receipt's text.
    pub receipt: Option<Digest>,
}

/// What an account, or one key of it, has spent, without holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub total: Amount,
    pub month: Amount,
    pub day: Amount,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub tokens: u64,
    pub nanos: u64,
}

/// Tokens of ended generations and embeddings since the process started, as engine and embedder counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineTokens {
    pub prompt: u64,
    /// Of `prompt`, those that the prefix cache had. Earlier versions did not count them.
    #[serde(default)]
    pub cached: u64,
    pub completion: u64,
    pub embedded: u64,
}

/// One run of the server, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub number: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub began_ms: u64,
    /// The engine's count when the run shut down; absent while it runs, and if it was killed.
    pub engine: Option<EngineTokens>,
    /// Sums over the entries of this run.
    pub ledger: EngineTokens,
    /// Holds that this run left when it was killed, and the most tokens that they may have used.
    pub abandoned: u64,
    pub abandoned_tokens: u64,
}

/// Returns what is wrong with an entry's receipt, if anything is.
pub type EntryCheck = dyn Fn(&Entry) -> Option<String> + Send + Sync;

/// What a check of the whole ledger found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    pub accounts: u64,
    pub entries: u64,
    pub runs: Vec<Run>,
    /// Everything that is wrong, in words. Empty if the ledger is consistent.
    pub faults: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_outcomes_parse_what_they_print() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>().unwrap(), *kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().unwrap(), *outcome);
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
