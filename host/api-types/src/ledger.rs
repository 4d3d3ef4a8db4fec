//! `/operator/v1/ledger`.

use riad_core::ledger;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::{IntoParams, ToSchema};

#[derive(Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EntryParams {
    /// `position` of the last entry that is known already; from the first if it is not given.
    pub after: Option<u64>,
    /// 1 to 1000; 100 if it is not given.
    pub limit: Option<u32>,
    /// Only this tenant, and former ones with the same id.
    pub tenant: Option<String>,
    /// `json`, `csv` or `cloudevents`.
    pub format: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct EntryList {
    #[schema(example = "list")]
    pub object: Cow<'static, str>,
    /// Oldest first.
    pub data: Vec<LedgerEntry>,
    pub has_more: bool,
}

/// One settled request, or a charge for time (storage, residency). Entries never change.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub position: u64,
    pub tenant: String,
    pub account: u64,
    /// 1, 2, 3 … within the account.
    pub number: u64,
    pub request: String,
    pub at_ms: u64,
    #[schema(example = "chat")]
    pub kind: Cow<'static, str>,
    #[schema(example = "completed")]
    pub outcome: Cow<'static, str>,
    pub api_key_id: Option<String>,
    pub model: String,
    pub adapter: Option<String>,
    pub plugin: String,
    pub requests: u64,
    pub prompt_tokens: u64,
    /// Of `prompt_tokens`, those that the prefix cache had.
    pub cached_tokens: u64,
    pub completion_tokens: u64,
    pub embedded_tokens: u64,
    pub fuel: u64,
    pub stored_byte_hours: u64,
    pub adapter_byte_hours: u64,
    /// For `abandoned`: tokens that were held, the most that can be missing.
    pub at_most_tokens: Option<u64>,
    pub plan: String,
    pub plan_version: u32,
    pub cost_nanos: u64,
    pub currency: String,
    /// The signed receipt, a compact JWS.
    pub receipt: String,
}

/// What a check of the whole ledger found.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Verification {
    #[schema(example = "ledger.verification")]
    pub object: Cow<'static, str>,
    /// Whether the check found no fault.
    pub ok: bool,
    pub accounts: u64,
    pub entries: u64,
    pub runs: Vec<LedgerRun>,
    /// A sentence for each fault.
    pub faults: Vec<String>,
}

/// One run of the server: what the engine counted and what was billed.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct LedgerRun {
    pub number: u64,
    pub began_ms: u64,
    /// Absent while it runs, and if it was killed.
    pub engine: Option<EngineTokens>,
    pub ledger: EngineTokens,
    /// Requests that a killed process left unsettled, and the most tokens that they may have spent unbilled.
    pub abandoned: u64,
    pub abandoned_tokens: u64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct EngineTokens {
    pub prompt: u64,
    /// Of `prompt`, those that the prefix cache had.
    pub cached: u64,
    pub completion: u64,
    pub embedded: u64,
}

impl LedgerEntry {
    #[must_use]
    pub fn new(position: u64, entry: ledger::Entry, currency: &str) -> Self {
        let used = entry.used;
        Self {
            position,
            tenant: entry.tenant.into(),
            account: entry.account.number(),
            number: entry.number,
            request: entry.request,
            at_ms: entry.at_ms,
            kind: entry.purpose.kind.as_str().into(),
            outcome: entry.outcome.as_str().into(),
            api_key_id: entry.key.map(String::from),
            model: entry.purpose.model,
            adapter: entry.purpose.adapter.map(String::from),
            plugin: entry.purpose.plugin,
            requests: used.requests,
            prompt_tokens: used.prompt_tokens,
            cached_tokens: used.cached_tokens,
            completion_tokens: used.completion_tokens,
            embedded_tokens: used.embedded_tokens,
            fuel: used.fuel,
            stored_byte_hours: used.stored_byte_hours,
            adapter_byte_hours: used.adapter_byte_hours,
            at_most_tokens: entry.at_most.map(|at_most| at_most.tokens()),
            plan: entry.plan.into(),
            plan_version: entry.plan_version,
            cost_nanos: entry.cost_nanos,
            currency: currency.to_owned(),
            receipt: entry.receipt,
        }
    }
}

impl From<ledger::EngineTokens> for EngineTokens {
    fn from(tokens: ledger::EngineTokens) -> Self {
        Self {
            prompt: tokens.prompt,
            cached: tokens.cached,
            completion: tokens.completion,
            embedded: tokens.embedded,
        }
    }
}

impl From<ledger::Run> for LedgerRun {
    fn from(run: ledger::Run) -> Self {
        Self {
            number: run.number,
            began_ms: run.began_ms,
            engine: run.engine.map(EngineTokens::from),
            ledger: run.ledger.into(),
            abandoned: run.abandoned,
            abandoned_tokens: run.abandoned_tokens,
        }
    }
}

impl From<ledger::Verification> for Verification {
    fn from(found: ledger::Verification) -> Self {
        Self {
            object: "ledger.verification".into(),
            ok: found.faults.is_empty(),
            accounts: found.accounts,
            entries: found.entries,
            runs: found.runs.into_iter().map(LedgerRun::from).collect(),
            faults: found.faults,
        }
    }
}
