//! What must hold whatever happened. Not here: making it happen (`ops`).

use crate::{
    script::{Payer, Truth},
    server::{Plan, Server},
};
use riad_core::{
    ledger::{Entry, Outcome, Verification},
    policy::{Budget, BudgetMode},
    price::Usage,
    usage::{BucketWidth, EntryQuery, GroupBy, LedgerScope, UsageQuery},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const DAY_MS: u64 = 86_400_000;
/// Only a bug makes a test wait for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// All entries, oldest first.
pub async fn entries(server: &Server) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let query = EntryQuery {
            scope: LedgerScope::All,
            after,
            limit: 100,
        };
        let page = server.services.usage().entries(&server.operator, query).await.unwrap();
        all.extend(page.items.into_iter().map(|(_, entry)| entry));
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

/// Waits until the engine has ended what was cancelled, and checks that nothing is held and nothing lost by then.
pub async fn quiet(server: &Server) {
    let begun = Instant::now();
    loop {
        let now = server.services.scale().gauges(&server.operator);
        if now.held_tokens == 0 && now.engine == now.ledger && now.queue_requests == 0 && now.running_sequences == 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{now:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// The ledger has no fault. Also waits until what was queued is on the disk.
pub async fn closes(server: &Server) -> Verification {
    let verification = server.services.usage().verify(&server.operator).await.unwrap();
    assert_eq!(verification.faults, Vec::<String>::new());
    verification
}

/// What each payer was billed by these entries.
pub fn billed(server: &Server, entries: &[Entry]) -> HashMap<Payer, Usage> {
    let payers = server.payers();
    let mut sums: HashMap<Payer, Usage> = HashMap::new();
    for entry in entries {
        let payer = payers[&(entry.account, entry.key.clone().unwrap())];
        let sum = sums.entry(payer).or_default();
        *sum = sum.plus(&entry.used);
    }
    sums
}

/// Tokens and fuel are exactly those that engine, embedder and guests counted for each payer.
pub async fn exact(server: &Server, before: usize) {
    quiet(server).await;
    let begun = Instant::now();
    loop {
        closes(server).await;
        let entries = entries(server).await;
        let billed = billed(server, &entries[before..]);
        let wrong = server.payers().into_values().find_map(|payer| {
            let billed = billed.get(&payer).copied().unwrap_or_default();
            let (billed, done) = (without_requests(billed), server.truth.of(payer));
            (billed != done).then(|| format!("{payer:?} was billed {billed:?} for {done:?}"))
        });
        match wrong {
            None => return,
            // A task that was aborted ends when its thread gets to it.
            Some(wrong) => assert!(begun.elapsed() < PATIENCE, "{wrong}\n{entries:#?}"),
        }
        sleep(Duration::from_millis(5)).await;
    }
}

fn without_requests(used: Usage) -> Usage {
    Usage { requests: 0, ..used }
}

/// After a kill: nobody pays for more than was done, and what was done and not billed is within what was held.
pub fn bounded(server: &Server, entries: &[Entry], before: &HashMap<Payer, Usage>, after: &Truth) {
    let mut at_most: HashMap<Payer, u64> = HashMap::new();
    let payers = server.payers();
    for entry in entries.iter().filter(|entry| entry.outcome == Outcome::Abandoned) {
        assert_eq!((entry.used, entry.cost_nanos), (Usage::default(), 0));
        let payer = payers[&(entry.account, entry.key.clone().unwrap())];
        *at_most.entry(payer).or_default() += entry.at_most.unwrap().tokens();
    }
    let billed = billed(server, entries);
    for payer in server.payers().into_values() {
        let billed = billed.get(&payer).copied().unwrap_or_default();
        let (done, most) = (after.of(payer), at_most.get(&payer).copied().unwrap_or_default());
        assert!(
            billed.prompt_tokens <= done.prompt_tokens
                && billed.cached_tokens <= done.cached_tokens
                && billed.completion_tokens <= done.completion_tokens
                && billed.embedded_tokens <= done.embedded_tokens
                && billed.fuel <= done.fuel,
            "{payer:?} pays for {billed:?}, of which {done:?} was done"
        );
        let done = before.get(&payer).copied().unwrap_or_default().tokens();
        assert!(
            billed.tokens() + most >= done,
            "{payer:?}: {done} tokens were done before the kill, {} billed, {most} held",
            billed.tokens()
        );
    }
}

/// No hard budget is overspent, of a tenant or of a key.
pub fn budgets_hold(server: &Server, plans: &[Plan], entries: &[Entry]) {
    let payers = server.payers();
    let of = |entry: &Entry| payers[&(entry.account, entry.key.clone().unwrap())];
    for (tenant, plan) in plans.iter().enumerate() {
        let own: Vec<_> = entries.iter().filter(|entry| of(entry).0 == tenant).collect();
        budget_holds(&server.passes[tenant][0].policy().budget, &own);
        for (key, budget) in plan.keys.iter().enumerate() {
            let own: Vec<_> = own.iter().copied().filter(|entry| of(entry).1 == key).collect();
            budget_holds(budget, &own);
        }
    }
}

fn budget_holds(budget: &Budget, entries: &[&Entry]) {
    if budget.mode == BudgetMode::Soft {
        return;
    }
    let holds = |name, limit: Option<u64>, spent: u64| {
        assert!(limit.is_none_or(|limit| spent <= limit), "{name}: {spent} of {limit:?}");
    };
    let sum = |entries: &[&Entry]| {
        let tokens: u64 = entries.iter().map(|entry| entry.used.tokens()).sum();
        let nanos: u64 = entries.iter().map(|entry| entry.cost_nanos).sum();
        (tokens, nanos.div_ceil(1000))
    };
    let (tokens, micros) = sum(entries);
    holds("total_tokens", budget.total_tokens, tokens);
    holds("total_micros", budget.total_micros, micros);
    let mut days: BTreeMap<u64, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        days.entry(entry.at_ms / DAY_MS).or_default().push(entry);
    }
    for entries in days.values() {
        let (tokens, micros) = sum(entries);
        holds("daily_tokens", budget.daily_tokens, tokens);
        holds("daily_micros", budget.daily_micros, micros);
    }
}

/// Everything that usage can be grouped by, in the order of the query's answer.
type Group = (String, String, String, String, String, String);

/// The usage API says what a recount of the entries says, for the operator and for each tenant.
pub async fn usage_is_a_recount(server: &Server, entries: &[Entry]) {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return;
    };
    let query = UsageQuery {
        scope: LedgerScope::All,
        start: first.at_ms / 60_000 * 60 - 120,
        end: last.at_ms / 60_000 * 60 + 120,
        width: BucketWidth::Minute,
        group_by: BTreeSet::from([
            GroupBy::Tenant,
            GroupBy::Key,
            GroupBy::Model,
            GroupBy::Adapter,
            GroupBy::Plugin,
            GroupBy::Kind,
        ]),
        keys: Vec::new(),
        models: Vec::new(),
        kinds: Vec::new(),
    };
    let usage = server.services.usage();
    let all = usage.usage_all(&server.operator, query.clone()).await.unwrap();
    assert_eq!(counted(&all), recounted(entries.iter()));
    for keys in &server.passes {
        let own = usage.usage(&keys[0], query.clone()).await.unwrap();
        let entries = entries.iter().filter(|entry| entry.account == keys[0].account());
        assert_eq!(counted(&own), recounted(entries));
    }
}

type Sums = BTreeMap<(u64, Group), (Usage, u64, u64)>;

fn counted(buckets: &[riad_core::usage::UsageBucket]) -> Sums {
    let mut sums = Sums::new();
    for bucket in buckets {
        assert_eq!(bucket.end - bucket.start, 60);
        for result in &bucket.results {
            let text = |value: &Option<String>| value.clone().unwrap();
            let group = (
                text(&result.tenant),
                text(&result.key),
                text(&result.model),
                text(&result.adapter),
                text(&result.plugin),
                result.kind.unwrap().to_string(),
            );
            let sum = (result.used, result.cost_nanos, result.abandoned_tokens);
            assert_eq!(
                sums.insert((bucket.start, group), sum),
                None,
                "a group comes once in a bucket"
            );
        }
    }
    sums
}

fn recounted<'a>(entries: impl Iterator<Item = &'a Entry>) -> Sums {
    let mut sums = Sums::new();
    for entry in entries {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let group = (
            entry.tenant.to_string(),
            text(entry.key.as_ref().map(|key| key.as_str())),
            entry.purpose.model.clone(),
            text(entry.purpose.adapter.as_ref().map(|alias| alias.as_str())),
            entry.purpose.plugin.clone(),
            entry.purpose.kind.to_string(),
        );
        let minute = entry.at_ms / 60_000 * 60;
        let sum = sums.entry((minute, group)).or_default();
        sum.0 = sum.0.plus(&entry.used);
        sum.1 += entry.cost_nanos;
        sum.2 += entry.at_most.map_or(0, |most| most.tokens());
    }
    sums
}
