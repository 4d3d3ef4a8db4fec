//! Random traffic over accounts, keys, plans and times: every answer about it equals a plain recount of what was written.
//! Not here: calendars (`queries`), damage (`verify`).

use super::{
    LedgerHost,
    receipt_chains::{BilledRequest, ReceiptChains},
};
use crate::host::{Host, entry};
use proptest::{prelude::*, test_runner::TestCaseResult};
use riad_core::{
    Account,
    ledger::{Amount, Entry, Kind, Outcome, Record, Spent},
    ports::Ledger,
    price::{PriceList, Usage},
    usage::{BucketWidth, GroupBy, LedgerScope, Rollup, UsageBucket, UsageQuery, UsageResult},
};
use std::collections::{BTreeMap, BTreeSet};

const TENANTS: [&str; 3] = ["acme", "beta", "gamma"];
/// 2026-01-31 22:00 UTC, in milliseconds; the traffic runs on for four hours into February.
const BEGIN: u64 = 1_769_896_800_000;
const LENGTH: u64 = 4 * 3_600_000;
const GROUPS: [GroupBy; 6] = [
    GroupBy::Tenant,
    GroupBy::Key,
    GroupBy::Model,
    GroupBy::Adapter,
    GroupBy::Plugin,
    GroupBy::Kind,
];

/// Numbers that [`billed`] makes a request from.
type Draw = (usize, usize, u64, usize, usize, [u64; 8], u32);

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = (
        0..TENANTS.len(),
        0..3_usize,
        0..LENGTH,
        0..Kind::ALL.len(),
        0..Outcome::ALL.len() * 8,
        prop::array::uniform8(0..5_000_000_u64),
        1..=2_u32,
    );
    prop::collection::vec(draw, 1..60)
}

fn billed(n: usize, accounts: &[Account], draw: &Draw) -> BilledRequest {
    let (tenant, key, at, kind, rest, amounts, plan_version) = *draw;
    let mut billed = BilledRequest::new(accounts[tenant], TENANTS[tenant], &format!("req-{n}"));
    billed.key = (key > 0).then(|| format!("key-{key}").parse().unwrap());
    billed.at_ms = BEGIN + at;
    billed.purpose.kind = Kind::ALL[kind];
    billed.purpose.model = ["base", "embedder"][rest % 2].into();
    billed.purpose.adapter = (rest % 3 == 0).then(|| "tone".parse().unwrap());
    billed.purpose.plugin = ["", "standard", "desk+tables"][rest / 3 % 3].into();
    billed.outcome = Outcome::ALL[rest / 8];
    let [
        requests,
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        embedded_tokens,
        fuel,
        stored_byte_hours,
        adapter_byte_hours,
    ] = amounts;
    let used = Usage {
        requests,
        prompt_tokens,
        cached_tokens,
        completion_tokens,
        embedded_tokens,
        fuel,
        stored_byte_hours,
        adapter_byte_hours,
    };
    billed.at_most = used;
    billed.used = if billed.outcome == Outcome::Abandoned {
        Usage::default()
    } else {
        used
    };
    billed.plan_version = plan_version;
    billed
}

/// The value of a member that the query groups by; `None`, distinct from an empty value, for one that it does not.
fn group(entry: &Entry, by: &BTreeSet<GroupBy>) -> [Option<String>; 6] {
    GROUPS.map(|group| {
        by.contains(&group).then(|| match group {
            GroupBy::Tenant => entry.tenant.to_string(),
            GroupBy::Key => entry.key.as_ref().map(ToString::to_string).unwrap_or_default(),
            GroupBy::Model => entry.purpose.model.clone(),
            GroupBy::Adapter => entry
                .purpose
                .adapter
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            GroupBy::Plugin => entry.purpose.plugin.clone(),
            GroupBy::Kind => entry.purpose.kind.to_string(),
        })
    })
}

fn asked(entry: &Entry, query: &UsageQuery) -> bool {
    let second = entry.at_ms / 1000;
    let width = query.width.seconds();
    belongs(entry, &query.scope)
        && second >= query.start / width * width
        && second < query.end.div_ceil(width) * width
        && (query.keys.is_empty() || entry.key.as_ref().is_some_and(|key| query.keys.contains(key)))
        && (query.models.is_empty() || query.models.contains(&entry.purpose.model))
        && (query.kinds.is_empty() || query.kinds.contains(&entry.purpose.kind))
}

fn belongs(entry: &Entry, scope: &LedgerScope) -> bool {
    match scope {
        LedgerScope::All => true,
        LedgerScope::Account(account) => entry.account == *account,
        LedgerScope::Tenant(tenant) => entry.tenant == *tenant,
    }
}

fn recount(entries: &[Entry], query: &UsageQuery) -> Vec<UsageBucket> {
    let width = query.width.seconds();
    let mut buckets = Vec::new();
    let mut start = query.start / width * width;
    while start < query.end && query.start < query.end {
        let mut results: BTreeMap<[Option<String>; 6], UsageResult> = BTreeMap::new();
        for entry in entries {
            if asked(entry, query) && entry.at_ms / 1000 / width * width == start {
                let key = group(entry, &query.group_by);
                let result = results.entry(key.clone()).or_insert_with(|| {
                    let [tenant, key, model, adapter, plugin, kind] = key;
                    UsageResult {
                        tenant,
                        key,
                        model,
                        adapter,
                        plugin,
                        kind: kind.map(|kind| kind.parse().unwrap()),
                        ..UsageResult::default()
                    }
                });
                result.used = result.used.plus(&entry.used);
                result.cost_nanos += entry.cost_nanos;
                result.abandoned_tokens += entry.at_most.map_or(0, |at_most| at_most.tokens());
            }
        }
        buckets.push(UsageBucket {
            start,
            end: start + width,
            results: results.into_values().collect(),
        });
        start += width;
    }
    buckets
}

fn spent(entries: &[Entry], account: Account, key: Option<&riad_core::KeyId>, february: bool) -> Spent {
    let mut spent = Spent::default();
    // The traffic has two days, each in a month of its own.
    let boundary = BEGIN + LENGTH / 2;
    for entry in entries {
        if entry.account == account && (key.is_none() || entry.key.as_ref() == key) {
            let add = |sum: &mut Amount| {
                sum.tokens += entry.used.tokens();
                sum.nanos += entry.cost_nanos;
            };
            add(&mut spent.total);
            if (entry.at_ms >= boundary) == february {
                add(&mut spent.month);
                add(&mut spent.day);
            }
        }
    }
    spent
}

fn rollups(entries: &[Entry], scope: &LedgerScope) -> Vec<Rollup> {
    let mut days: BTreeMap<(u64, Account, u32), Rollup> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| belongs(entry, scope)) {
        let day = entry.at_ms / 86_400_000 * 86_400;
        let sum = days
            .entry((day, entry.account, entry.plan_version))
            .or_insert_with(|| Rollup {
                day,
                account: entry.account,
                tenant: entry.tenant.clone(),
                plan: entry.plan.clone(),
                plan_version: entry.plan_version,
                used: Usage::default(),
                cost_nanos: 0,
            });
        sum.used = sum.used.plus(&entry.used);
        sum.cost_nanos += entry.cost_nanos;
    }
    days.into_values().collect()
}

async fn setup() -> (LedgerHost, Vec<Account>) {
    let host = Host::new().await;
    let mut accounts = Vec::new();
    for tenant in TENANTS {
        accounts.push(host.create_tenant(tenant).await.account());
    }
    let prices = PriceList {
        requests: 3,
        prompt_tokens: 150_001,
        cached_tokens: Some(15_013),
        completion_tokens: 600_007,
        embedded_tokens: 20_003,
        fuel: 11,
        stored_byte_hours: 137,
        adapter_byte_hours: 971,
    };
    let audit = entry("plan.add", "standard");
    host.store
        .plans()
        .add(&"standard".parse().unwrap(), &prices, 1, audit)
        .await
        .unwrap();
    let mut chains = ReceiptChains::default();
    chains.prices.insert(2, prices);
    let setup = LedgerHost {
        ledger: host.store.ledger(),
        host,
        account: accounts[0],
        chains,
    };
    (setup, accounts)
}

async fn sell(draws: &[Draw]) -> (LedgerHost, Vec<Account>, Vec<Entry>) {
    let (mut setup, accounts) = setup().await;
    let mut entries = Vec::new();
    for (n, draw) in draws.iter().enumerate() {
        let billed = billed(n, &accounts, draw);
        drop(setup.ledger.append(Record::Hold(billed.hold())));
        let entry = setup.chains.settle(&billed);
        drop(setup.ledger.append(Record::Entry(entry.clone())));
        entries.push(entry);
    }
    // Behind all of them.
    setup.ledger.head(accounts[0]).await.unwrap();
    (setup, accounts, entries)
}

async fn compare_usage(ledger: &dyn Ledger, entries: &[Entry], query: &UsageQuery) -> TestCaseResult {
    let found = ledger.usage(query.clone()).await.unwrap();
    prop_assert_eq!(found, recount(entries, query), "{:?}", query);
    Ok(())
}

/// All widths with all 64 choices of groups, for everybody and for one, and some filters.
async fn compare(draws: Vec<Draw>, start: u64, length: u64) -> TestCaseResult {
    let (setup, accounts, entries) = sell(&draws).await;
    let scope = [
        LedgerScope::All,
        LedgerScope::Account(accounts[1]),
        LedgerScope::Tenant(TENANTS[2].parse().unwrap()),
    ];
    let mut query = UsageQuery {
        scope: LedgerScope::All,
        start: BEGIN / 1000 + start,
        end: BEGIN / 1000 + start + length,
        width: BucketWidth::Minute,
        group_by: BTreeSet::new(),
        keys: Vec::new(),
        models: Vec::new(),
        kinds: Vec::new(),
    };
    for width in [BucketWidth::Minute, BucketWidth::Hour, BucketWidth::Day] {
        query.width = width;
        for choice in 0_u8..64 {
            let chosen = (0..).zip(GROUPS).filter(|(bit, _)| choice >> bit & 1 == 1);
            query.group_by = chosen.map(|(_, group)| group).collect();
            query.scope = scope[usize::from(choice) % 3].clone();
            compare_usage(&*setup.ledger, &entries, &query).await?;
        }
    }
    query.scope = LedgerScope::All;
    query.keys = vec!["key-1".parse().unwrap(), "key-9".parse().unwrap()];
    compare_usage(&*setup.ledger, &entries, &query).await?;
    query.models = vec!["base".into()];
    compare_usage(&*setup.ledger, &entries, &query).await?;
    (query.keys, query.kinds) = (Vec::new(), vec![Kind::Chat, Kind::Search]);
    compare_usage(&*setup.ledger, &entries, &query).await?;

    let key = "key-1".parse().unwrap();
    for account in accounts {
        for key in [None, Some(&key)] {
            for (february, now) in [(false, BEGIN / 1000), (true, (BEGIN + LENGTH) / 1000)] {
                let found = setup.ledger.spent(account, key, now).await.unwrap();
                prop_assert_eq!(found, spent(&entries, account, key, february));
            }
        }
    }
    for scope in scope {
        let found = setup
            .ledger
            .rollups(scope.clone(), BEGIN / 1000, u64::MAX)
            .await
            .unwrap();
        prop_assert_eq!(found, rollups(&entries, &scope));
    }
    let verification = setup.verify().await;
    prop_assert_eq!(verification.faults, Vec::<String>::new());
    prop_assert_eq!(verification.entries, entries.len() as u64);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_answer_about_random_traffic_equals_a_recount(draws in draws(), start in 0..9_000_u64, length in 0..9_000_u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compare(draws, start, length))?;
    }
}

#[tokio::test]
async fn a_usage_query_without_a_span_has_no_buckets() {
    let (setup, _) = setup().await;
    let query = |start, end| UsageQuery {
        scope: LedgerScope::All,
        start,
        end,
        width: BucketWidth::Minute,
        group_by: BTreeSet::new(),
        keys: Vec::new(),
        models: Vec::new(),
        kinds: Vec::new(),
    };
    for (start, end) in [(0, 0), (120, 60), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
        assert_eq!(
            setup.ledger.usage(query(start, end)).await.unwrap(),
            [],
            "{start} to {end}"
        );
    }
    let refused = setup.ledger.usage(query(0, u64::MAX)).await.unwrap_err();
    assert_eq!(refused.kind(), riad_core::ErrorKind::InvalidRequest);
    let far = setup.ledger.usage(query(u64::MAX - 1, u64::MAX)).await.unwrap();
    assert!(far.iter().all(|bucket| bucket.results.is_empty()));
}
