//! What services would tell the ledger: holds, and entries with numbers, costs and receipts that follow on each other. The
//! receipts' signatures are three letters. Not here: a ledger.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "tests and benchmarks fail by panicking, and each uses a part"
)]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_core::{
    Account, Digest, KeyId, PlanName, TenantId,
    ledger::{ChainHead, Entry, Hold, Kind, Outcome, Purpose},
    ports::Ledger,
    price::{PriceList, Usage},
    receipt::{Receipt, ServedBy},
};
use std::collections::BTreeMap;

/// 2026-02-28 23:59:59.250 UTC.
pub const LAST_MOMENT_OF_FEBRUARY: u64 = 1_772_323_199_250;

/// What one request was.
#[derive(Debug, Clone)]
pub struct BilledRequest {
    pub account: Account,
    pub tenant: TenantId,
    pub key: Option<KeyId>,
    pub request: String,
    pub at_ms: u64,
    pub purpose: Purpose,
    pub outcome: Outcome,
    pub used: Usage,
    pub at_most: Usage,
    pub plan_version: u32,
}

impl BilledRequest {
    /// A chat request that used a few tokens and completed.
    pub fn new(account: Account, tenant: &str, request: &str) -> Self {
        Self {
            account,
            tenant: tenant.parse().unwrap(),
            key: Some("key-1".parse().unwrap()),
            request: request.to_owned(),
            at_ms: LAST_MOMENT_OF_FEBRUARY,
            purpose: Purpose {
                kind: Kind::Chat,
                model: "base".into(),
                adapter: None,
                plugin: "standard".into(),
            },
            outcome: Outcome::Completed,
            used: Usage {
                requests: 1,
                prompt_tokens: 11,
                cached_tokens: 4,
                completion_tokens: 7,
                embedded_tokens: 3,
                fuel: 123_456,
                ..Usage::default()
            },
            at_most: Usage {
                requests: 1,
                prompt_tokens: 11,
                completion_tokens: 100,
                embedded_tokens: 3,
                fuel: 1_000_000,
                ..Usage::default()
            },
            plan_version: 1,
        }
    }

    pub fn hold(&self) -> Hold {
        Hold {
            account: self.account,
            tenant: self.tenant.clone(),
            key: self.key.clone(),
            request: self.request.clone(),
            at_ms: self.at_ms,
            purpose: self.purpose.clone(),
            plan: PlanName::standard(),
            plan_version: self.plan_version,
            at_most: self.at_most,
        }
    }

    /// As it is billed when nobody settled it.
    pub fn abandoned(hold: &Hold) -> Self {
        Self {
            account: hold.account,
            tenant: hold.tenant.clone(),
            key: hold.key.clone(),
            request: hold.request.clone(),
            at_ms: hold.at_ms + 1,
            purpose: hold.purpose.clone(),
            outcome: Outcome::Abandoned,
            used: Usage::default(),
            at_most: hold.at_most,
            plan_version: hold.plan_version,
        }
    }
}

/// Where each account's chain of receipts ends.
#[derive(Debug, Clone, Default)]
pub struct ReceiptChains {
    heads: BTreeMap<Account, ChainHead>,
    /// By plan version. None: everything is free.
    pub prices: BTreeMap<u32, PriceList>,
}

impl ReceiptChains {
    /// Goes on where the ledger's chain ends.
    pub async fn resume(&mut self, ledger: &dyn Ledger, account: Account) {
        self.heads.insert(account, ledger.head(account).await.unwrap());
    }

    pub fn head(&self, account: Account) -> ChainHead {
        self.heads.get(&account).copied().unwrap_or_default()
    }

    /// The account's next entry.
    pub fn settle(&mut self, billed: &BilledRequest) -> Entry {
        let head = self.heads.entry(billed.account).or_default();
        let prices = self.prices.get(&billed.plan_version).copied().unwrap_or_default();
        let receipt = Receipt {
            tenant: billed.tenant.clone(),
            account: billed.account,
            number: head.number + 1,
            previous: head.receipt,
            request: billed.request.clone(),
            at_ms: billed.at_ms,
            kind: billed.purpose.kind,
            outcome: billed.outcome,
            key: billed.key.clone(),
            model: named(&billed.purpose),
            served_by: ServedBy::default(),
            used: billed.used,
            plan: PlanName::standard(),
            plan_version: billed.plan_version,
            cost_nanos: prices.nanos(&billed.used),
        };
        let jws = sign(&receipt);
        *head = ChainHead {
            number: receipt.number,
            receipt: Some(Digest::of(jws.as_bytes())),
        };
        Entry {
            account: receipt.account,
            number: receipt.number,
            tenant: receipt.tenant,
            key: receipt.key,
            request: receipt.request,
            at_ms: receipt.at_ms,
            purpose: billed.purpose.clone(),
            outcome: receipt.outcome,
            used: receipt.used,
            at_most: (billed.outcome == Outcome::Abandoned).then_some(billed.at_most),
            plan: receipt.plan,
            plan_version: receipt.plan_version,
            cost_nanos: receipt.cost_nanos,
            receipt: jws,
        }
    }
}

/// The model as a client names it: with the adapter's alias behind it.
fn named(purpose: &Purpose) -> String {
    match &purpose.adapter {
        Some(alias) => format!("{}:{alias}", purpose.model),
        None => purpose.model.clone(),
    }
}

pub fn sign(receipt: &Receipt) -> String {
    let payload = serde_json::to_vec(receipt).unwrap();
    format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(br#"{"alg":"EdDSA"}"#),
        URL_SAFE_NO_PAD.encode(payload),
        URL_SAFE_NO_PAD.encode(b"sig")
    )
}

/// The fault of a receipt that [`sign`] did not make.
pub fn check(entry: &Entry) -> Option<String> {
    (!entry.receipt.ends_with(".c2ln")).then(|| "its receipt's signature is wrong".to_owned())
}
