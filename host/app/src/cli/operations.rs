//! The command line of identity, accounting and operations: tenants, keys, plans, usage, ledger, receipts, audit, doctor.

use super::{
    access::{DEFAULT_URL, OperatorAccess, TenantAccess},
    values::{Change, Member},
};
use clap::{Args, Subcommand};
use riad_core::{
    KeyId, PlanName, TenantId,
    grants::{KeyRole, Scope},
};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Create a tenant and its first key, which is shown once
    Create {
        /// 1 to 64 of a-z, 0-9, '-' and '_'
        id: TenantId,
        /// A name for people; the id if it is not given
        #[arg(long)]
        name: Option<String>,
    },
    /// List the tenants
    List,
    /// Show one tenant with its plan, budget and limits
    Show {
        /// The tenant
        id: TenantId,
    },
    /// Change plan, weight, prefix cache, budget or limits, as in `budget.monthly_tokens=5000000 limits.requests_per_minute=60 plan=gold`
    Set {
        /// The tenant
        id: TenantId,
        /// `name`, `plan`, `weight`, `prefix_cache`, `budget.…`, `limits.…` or `plugins.…`; null removes a budget, a limit or a grant
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<Change>,
    },
    /// Delete a tenant and all data in its room; its ledger entries stay
    Delete {
        /// The tenant
        id: TenantId,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key, which is shown once
    Create {
        /// Whose key
        tenant: TenantId,
        /// What the key is for
        #[arg(long, default_value = "key")]
        name: String,
        /// admin, user or read-only
        #[arg(long, default_value_t = KeyRole::Admin)]
        role: KeyRole,
        /// chat, documents, plugins, adapters, usage; all if it is not given. With plugins, a key also reads what plugins log, and an
        /// admin's, through its own plugins, every prompt and document of the tenant
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
        scopes: Vec<Scope>,
        /// Days until the key expires; it never does if this is not given
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
        /// A budget of the key, as in `monthly_tokens=100000`
        #[arg(long = "budget", value_name = "KEY=VALUE")]
        budget: Vec<Change>,
    },
    /// List the keys of a tenant
    List {
        /// Whose keys
        tenant: TenantId,
        /// Only keys that begin with this, to find the owner of a key that leaked
        #[arg(long)]
        prefix: Option<String>,
    },
    /// Create a key in place of another, which expires after an overlap
    Rotate {
        /// Whose key
        tenant: TenantId,
        /// Its id, as `key list` shows it
        key_id: KeyId,
        /// Hours for which the old key still works; 0 revokes it at once
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        overlap: u32,
    },
    /// Revoke a key at once
    Revoke {
        /// Whose key
        tenant: TenantId,
        /// Its id, as `key list` shows it
        key_id: KeyId,
    },
}

#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// List all plans in all versions
    List,
    /// Set a plan's prices from now on, as in `prompt_tokens=150000 completion_tokens=600000`
    Set {
        /// 1 to 64 of a-z, 0-9, '-' and '_'; `standard` is the plan of tenants that have no other
        name: PlanName,
        /// Millionths of the currency: requests and tokens per million; fuel, stored_byte_hours and adapter_byte_hours per billion.
        /// What is not named is free, but cached_tokens cost what prompt_tokens do
        #[arg(required = true, value_name = "THING=MICROS")]
        prices: Vec<Member>,
    },
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check the whole ledger: chains, signatures, prices, sums, and the engine's counters
    Verify {
        /// Check this data folder without a server, and change nothing in it; needs no key
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Print entries for a billing system
    Export {
        /// csv, cloudevents or json
        #[arg(long, default_value = "csv")]
        format: String,
        /// Only one tenant's
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Position of the last entry that was exported before
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Entries, at most 1000
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// Show what tenants used and paid
    Usage {
        #[command(flatten)]
        question: UsageQuestion,
        /// Only one tenant's
        #[arg(long)]
        tenant: Option<TenantId>,
    },
}

#[derive(Debug, Args)]
pub struct UsageArgs {
    #[command(flatten)]
    pub at: TenantAccess,
    #[command(flatten)]
    pub question: UsageQuestion,
}

#[derive(Debug, Args)]
pub struct UsageQuestion {
    /// Days back from now
    #[arg(long, default_value_t = 7)]
    pub days: u32,
    /// Time span of a row: 1m, 1h or 1d
    #[arg(long, default_value = "1d")]
    pub bucket: String,
    /// Group by tenant, key, model, adapter, plugin or kind
    #[arg(long = "by", value_name = "WORD", value_delimiter = ',')]
    pub group_by: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// List the caller's receipts
    List {
        #[command(flatten)]
        at: TenantAccess,
        /// Receipts, at most 1000
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// `next` of the previous page
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Print the public keys that the server signs with; with them receipts can be checked offline
    Keys {
        /// The server
        #[arg(long, env = "RIAD_URL", default_value = DEFAULT_URL)]
        url: String,
    },
    /// Check the signatures of receipts offline, and their chain if there are several
    Verify {
        /// A file with receipts: a chat's answer, the output of `receipt list --json`, or JWS lines; `-` is the standard input
        file: PathBuf,
        /// The output of `riad receipt keys`
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    pub at: OperatorAccess,
    /// Only what was done to or by this tenant
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// `operator`, `server`, or a key's id
    #[arg(long)]
    pub actor: Option<String>,
    /// `key.revoke`, or `key` for every action on keys
    #[arg(long)]
    pub action: Option<String>,
    /// Entries, at most 1000
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
}

#[derive(Debug, Args)]
pub struct ScaleArgs {
    #[command(flatten)]
    pub at: OperatorAccess,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for all data [config: server.data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Say what would work with a model and how much memory it needs, without loading it
    Check(ModelCheckArgs),
}

#[derive(Debug, Args)]
pub struct ModelCheckArgs {
    /// A folder in Hugging Face's layout, or a hub id that was downloaded before; if not given, engine.model
    #[arg(value_name = "PATH")]
    pub model: Option<String>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
