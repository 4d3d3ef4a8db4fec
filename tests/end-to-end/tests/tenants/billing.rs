//! What requests cost, as tenants and the operator see it over HTTP: receipts, entries of the ledger, usage and costs say the same,
//! to the token and to the nano-unit, however a request ends. Not here: limits and budgets (`limits`), mixes of outcomes and kills
//! (`money`).

mod cached;
mod endings;
mod exports;
mod kinds;
mod prices;
mod receipts;
mod usage;

use riad_core::{
    price::{PriceList, Usage},
    receipt::Receipt,
};
use riad_end_to_end::{Caller, TestHost};
use riad_services::metering::receipts::{PublicKey, verify_receipt};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

pub const QUESTION: &str = "What is the refund window?";

/// A price for everything, and no round numbers, so that every rounding is seen.
pub const PRICES: PriceList = PriceList {
    requests: 7_000_001,
    prompt_tokens: 150_003,
    cached_tokens: Some(15_007),
    completion_tokens: 600_007,
    embedded_tokens: 20_011,
    fuel: 1_013,
    stored_byte_hours: 10_000_000,
    adapter_byte_hours: 100_000_000,
};

/// A server with prices in the plan that tenants have if nothing is said.
pub async fn priced() -> TestHost {
    let host = TestHost::builder().max_sequences(2).start().await;
    put_plan(&host, "standard", &PRICES).await;
    host
}

/// The plan's version.
pub async fn put_plan(host: &TestHost, name: &str, prices: &PriceList) -> u64 {
    let body = serde_json::to_value(prices).unwrap();
    let plan = host
        .operator
        .put(&format!("/operator/v1/plans/{name}"), &body)
        .await
        .ok();
    assert_eq!(plan["prices"], body);
    plan["version"].as_u64().unwrap()
}

/// What an entry, a receipt or a rollup says was used.
pub fn used(value: &Value) -> Usage {
    serde_json::from_value(value.clone()).unwrap()
}

pub fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {name} in {value}"))
}

pub fn sum<'a>(values: impl IntoIterator<Item = &'a Value>, name: &str) -> u64 {
    values.into_iter().map(|value| number(value, name)).sum()
}

/// Of these entries, or all of them.
pub fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["kind"] == kind).collect()
}

/// The key that receipts are signed with, as anybody can get it.
pub async fn public_key(host: &TestHost) -> PublicKey {
    let jwks = host.caller("").get("/v1/receipts/keys").await.ok();
    let mut keys = PublicKey::from_jwks(&jwks).unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

/// The receipt of an entry: signed, and with nothing in it that the entry does not say.
pub fn signed(entry: &Value, key: &PublicKey) -> Receipt {
    let receipt = verify_receipt(entry["receipt"].as_str().unwrap(), key).unwrap();
    assert_eq!(receipt.used, used(entry));
    let said = json!({
        "tenant": receipt.tenant, "account": receipt.account, "number": receipt.number, "request": receipt.request,
        "at_ms": receipt.at_ms, "kind": receipt.kind, "outcome": receipt.outcome, "api_key_id": receipt.key,
        "plan": receipt.plan, "plan_version": receipt.plan_version, "cost_nanos": receipt.cost_nanos,
    });
    for (name, value) in said.as_object().unwrap() {
        assert_eq!(&entry[name], value, "{name} of {entry}");
    }
    receipt
}

/// An hour ago to an hour from now, as a query.
pub fn around_now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!("start_time={}&end_time={}", now - 3600, now + 3600)
}

/// All results of all buckets.
pub async fn results(caller: &Caller, path: &str) -> Vec<Value> {
    let page = caller.get(path).await.ok();
    assert_eq!(
        (&page["object"], &page["has_more"]),
        (&"page".into(), &false.into()),
        "{page}"
    );
    let buckets = page["data"].as_array().unwrap().iter();
    buckets
        .flat_map(|bucket| bucket["results"].as_array().unwrap().clone())
        .collect()
}

/// The ledger has no fault, and every ended run's ledger equals its engine's count.
pub async fn assert_closes(host: &TestHost) -> Value {
    let found = host.operator.get("/operator/v1/ledger/verify").await.ok();
    assert_eq!((&found["ok"], &found["faults"]), (&true.into(), &json!([])), "{found}");
    let (last, before) = found["runs"].as_array().unwrap().split_last().unwrap();
    assert_eq!(last["engine"], Value::Null);
    for run in before {
        assert_eq!(run["engine"], run["ledger"], "{run}");
        assert_eq!((number(run, "abandoned"), number(run, "abandoned_tokens")), (0, 0));
    }
    found
}
