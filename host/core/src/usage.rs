//! Queries of the ledger and their results, in the terms of OpenAI's usage API. Not here: JSON (`api`).

use crate::{Account, KeyId, PlanName, Result, TenantId, error::Error, ledger::Kind, price::Usage};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketWidth {
    Minute,
    Hour,
    Day,
}

impl BucketWidth {
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    Tenant,
    Key,
    Model,
    Adapter,
    Plugin,
    Kind,
}

impl FromStr for GroupBy {
    type Err = Error;
    fn from_str(value: &str) -> Result<Self> {
        Ok(match value {
            "tenant" => Self::Tenant,
            "key" => Self::Key,
            "model" => Self::Model,
            "adapter" => Self::Adapter,
            "plugin" => Self::Plugin,
            "kind" => Self::Kind,
            _ => {
                return Err(Error::invalid(
                    "group_by is any of tenant, key, model, adapter, plugin, kind",
                ));
            }
        })
    }
}

/// Whose entries a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerScope {
    All,
    /// One tenant's, as it is now: entries of a former tenant with the same id are not its own.
    Account(Account),
    /// For the operator: all accounts that had this id.
    Tenant(TenantId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    pub scope: LedgerScope,
    /// Seconds since 1970-01-01 UTC; buckets begin at multiples of their width, the first is the one that holds this.
    pub start: u64,
    /// Exclusive. A bucket that begins before this is counted in its full width.
    pub end: u64,
    pub width: BucketWidth,
    pub group_by: BTreeSet<GroupBy>,
    pub keys: Vec<KeyId>,
    pub models: Vec<String>,
    pub kinds: Vec<Kind>,
}

/// What was settled in a span of time. Empty buckets are included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageBucket {
    pub start: u64,
    pub end: u64,
    pub results: Vec<UsageResult>,
}

/// A member is set if the query groups by it. For `adapter`, `key` and `plugin` an empty string means "none".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageResult {
    pub tenant: Option<String>,
    pub key: Option<String>,
    pub model: Option<String>,
    pub adapter: Option<String>,
    pub plugin: Option<String>,
    pub kind: Option<Kind>,
    pub used: Usage,
    pub cost_nanos: u64,
    /// The most tokens that killed processes may have used without billing them.
    pub abandoned_tokens: u64,
}

/// Sums per day, account and price version, from which invoices are made. They outlive the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Seconds since 1970-01-01 UTC, midnight.
    pub day: u64,
    pub account: Account,
    pub tenant: TenantId,
    pub plan: PlanName,
    pub plan_version: u32,
    pub used: Usage,
    pub cost_nanos: u64,
}

/// A page of the ledger's entries. The position of an entry is its number for one account, so that no tenant can count what
/// others did, and its place in the whole ledger for every other scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryQuery {
    pub scope: LedgerScope,
    /// Position of the last entry that the caller has; 0 begins with the first.
    pub after: u64,
    pub limit: u32,
}
