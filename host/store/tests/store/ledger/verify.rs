//! What a check of the whole finds: nothing in a ledger that was written through its port, and any byte that was changed
//! behind its back. Not here: random traffic (`recount`).

use super::{
    LedgerHost, UNPROTECT, connect,
    receipt_chains::{BilledRequest, LAST_MOMENT_OF_FEBRUARY},
    tamper,
};
use riad_core::{
    ledger::{EngineTokens, Outcome, Record},
    price::PriceList,
};
use rusqlite::types::Value;

/// Changes a number without making it another row's.
const BIT: i64 = 0x4000;

/// A few entries of every sort in two accounts, one of them abandoned. The first run has ended in order.
async fn ledger_with_entries() -> LedgerHost {
    let mut setup = LedgerHost::new().await;
    let prices = PriceList {
        prompt_tokens: 150_000,
        cached_tokens: Some(15_000),
        fuel: 2_000_000,
        ..PriceList::default()
    };
    let plans = setup.host.store.plans();
    let audit = crate::host::entry("plan.add", "standard");
    let plan = plans
        .add(&"standard".parse().unwrap(), &prices, 1, audit)
        .await
        .unwrap();
    setup.chains.prices.insert(plan.version, prices);
    let other = setup.host.create_tenant("other").await.account();
    let mut lost = Vec::new();
    for n in 0..12 {
        let (account, tenant) = if n % 3 == 0 {
            (other, "other")
        } else {
            (setup.account, "acme")
        };
        let mut billed = BilledRequest::new(account, tenant, &format!("req-{n}"));
        billed.plan_version = if n % 2 == 0 { 1 } else { plan.version };
        billed.at_ms += n * 250;
        billed.purpose.adapter = (n % 4 == 0).then(|| "tone".parse().unwrap());
        setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
        if n == 7 {
            lost.push(billed.hold());
        } else {
            setup
                .ledger
                .append(Record::Entry(setup.chains.settle(&billed)))
                .await
                .unwrap();
        }
    }
    let engine = EngineTokens {
        prompt: 11 * 11,
        cached: 11 * 4,
        completion: 11 * 7,
        embedded: 11 * 3,
    };
    setup.ledger.end_run(engine).await.unwrap();
    let mut setup = setup.reopen(|_| {}).await;
    assert_eq!(setup.ledger.abandoned().await.unwrap(), lost);
    let entry = setup.chains.settle(&BilledRequest::abandoned(&lost[0]));
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    setup
}

async fn faults_after(setup: LedgerHost, sql: &str) -> (LedgerHost, Vec<String>) {
    let setup = setup.reopen(|data| tamper(data, sql)).await;
    let faults = setup.verify().await.faults;
    (setup, faults)
}

/// One fault has all of these words.
#[track_caller]
fn assert_fault(faults: &[String], words: &[&str]) {
    let is_listed = faults.iter().any(|fault| words.iter().all(|word| fault.contains(word)));
    assert!(is_listed, "{words:?} is not in {faults:#?}");
}

#[tokio::test]
async fn a_ledger_written_through_its_port_has_no_fault() {
    let setup = ledger_with_entries().await;
    let verification = setup.verify().await;
    assert_eq!(verification.faults, Vec::<String>::new());
    assert_eq!((verification.accounts, verification.entries), (2, 12));
    let [first, second] = &verification.runs[..] else {
        panic!("{:?}", verification.runs);
    };
    assert_eq!(Some(first.ledger), first.engine);
    assert_eq!((first.abandoned, first.abandoned_tokens), (1, 114));
    assert_eq!(
        (second.engine, second.ledger, second.abandoned),
        (None, EngineTokens::default(), 0)
    );
    assert!(first.began_ms <= second.began_ms && first.began_ms > LAST_MOMENT_OF_FEBRUARY);
}

#[tokio::test]
async fn an_empty_ledger_has_no_fault() {
    let setup = LedgerHost::new().await;
    let verification = setup.verify().await;
    assert_eq!((verification.accounts, verification.entries), (0, 0));
    assert_eq!(verification.faults, Vec::<String>::new());
}

#[tokio::test]
async fn tokens_that_were_not_billed_are_a_fault() {
    let mut setup = LedgerHost::new().await;
    let entry = setup.chains.settle(&BilledRequest::new(setup.account, "acme", "req-1"));
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let engine = EngineTokens {
        prompt: 11,
        cached: 4,
        completion: 8,
        embedded: 3,
    };
    setup.ledger.end_run(engine).await.unwrap();
    let faults = setup.verify().await.faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_fault(&faults, &["run 1", "8 completion", "11, 4, 7 and 3"]);
}

#[tokio::test]
async fn an_entry_that_is_gone_leaves_gaps() {
    let (setup, faults) = faults_after(ledger_with_entries().await, "DELETE FROM ledger WHERE position = 5").await;
    assert_fault(&faults, &["from position 5 to 5 are gone"]);
    assert_fault(&faults, &["account 1, number 4 (position 6)", "follows on number 2"]);
    assert_fault(&faults, &["position 6", "its receipt follows on sha256:"]);
    assert_fault(&faults, &["rollup", "is not the sum of its entries"]);
    drop(setup);
}

#[tokio::test]
async fn verify_finds_that_the_last_entries_were_deleted() {
    let sql = "DELETE FROM ledger WHERE position > 9; DELETE FROM rollups; INSERT INTO rollups
        SELECT account, at_ms / 86400000 * 86400, tenant, key, kind, model, adapter, plugin, plan, plan_version, sum(requests),
            sum(prompt_tokens), sum(completion_tokens), sum(embedded_tokens), sum(fuel), sum(stored_byte_hours),
            sum(adapter_byte_hours), sum(abandoned_tokens), sum(cost_nanos), sum(cached_tokens)
        FROM ledger GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10";
    let (setup, faults) = faults_after(ledger_with_entries().await, sql).await;
    assert_fault(&faults, &["from position 10 to 12 are gone"]);
    assert!(!faults.iter().any(|fault| fault.contains("rollup")), "{faults:?}");
    drop(setup);
}

#[tokio::test]
async fn rollups_are_compared_with_a_recount() {
    let day = "day 1772236800";
    for (sql, words) in [
        (
            "DELETE FROM rollups WHERE account = 2",
            ["account 2", day, "is missing"],
        ),
        (
            "UPDATE rollups SET fuel = fuel + 1 WHERE account = 2",
            ["account 2", day, "is not the sum"],
        ),
        (
            "UPDATE rollups SET key = 'key-2' WHERE account = 2",
            ["key \"key-2\"", day, "has no entries"],
        ),
    ] {
        let (_setup, faults) = faults_after(ledger_with_entries().await, sql).await;
        assert_fault(&faults, &words);
        assert!(faults.iter().all(|fault| fault.contains("rollup")), "{faults:?}");
    }
}

#[tokio::test]
async fn costs_are_those_of_the_plans_version() {
    let mut setup = ledger_with_entries().await;
    let billed = BilledRequest::new(setup.account, "acme", "dear");
    setup.chains.prices.insert(
        1,
        PriceList {
            requests: 5_000_000,
            ..PriceList::default()
        },
    );
    setup
        .ledger
        .append(Record::Entry(setup.chains.settle(&billed)))
        .await
        .unwrap();
    let mut unknown = BilledRequest::new(setup.account, "acme", "unknown");
    unknown.plan_version = 77;
    setup
        .ledger
        .append(Record::Entry(setup.chains.settle(&unknown)))
        .await
        .unwrap();
    let faults = setup.verify().await.faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_fault(
        &faults,
        &["it costs 5000 nano-units, and 0 by version 1 of plan standard"],
    );
    assert_fault(&faults, &["plan standard has no version 77"]);
}

#[tokio::test]
async fn an_entry_of_a_missing_or_wrong_account_is_a_fault() {
    let mut setup = ledger_with_entries().await;
    let stranger = BilledRequest::new(riad_core::Account::new(99), "acme", "stranger");
    setup.ledger.append(Record::Hold(stranger.hold())).await.unwrap();
    let borrowed = BilledRequest::new(setup.account, "other", "borrowed");
    setup
        .ledger
        .append(Record::Entry(setup.chains.settle(&borrowed)))
        .await
        .unwrap();
    let faults = setup.verify().await.faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_fault(&faults, &["request stranger", "account 99, which is not there"]);
    assert_fault(&faults, &["its tenant is other, and the account's is acme"]);
    let entry = setup.chains.settle(&stranger);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    assert_fault(
        &setup.verify().await.faults,
        &["account 99, number 1", "there is no such account"],
    );
}

#[tokio::test]
async fn receipts_are_compared_with_their_entries() {
    let mut setup = LedgerHost::new().await;
    let mut entry = setup.chains.settle(&BilledRequest::new(setup.account, "acme", "req-1"));
    entry.used.prompt_tokens += 1;
    entry.outcome = Outcome::Cancelled;
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let mut entry = setup.chains.settle(&BilledRequest::new(setup.account, "acme", "req-2"));
    entry.receipt = "a.b".into();
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let mut entry = setup.chains.settle(&BilledRequest::new(setup.account, "acme", "req-3"));
    entry.receipt.truncate(entry.receipt.len() - 1);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let faults = setup.verify().await.faults;
    assert_fault(&faults, &["number 1", "its receipt has another outcome, usage"]);
    assert_fault(&faults, &["number 2", "no compact JWS"]);
    assert_fault(&faults, &["number 3", "its receipt follows on"]);
    assert_fault(&faults, &["number 3", "signature is wrong"]);
}

#[tokio::test]
async fn faults_beyond_a_thousand_are_counted_only() {
    let mut setup = LedgerHost::new().await;
    for n in 0..1100 {
        let entry = setup
            .chains
            .settle(&BilledRequest::new(setup.account, "acme", &format!("req-{n}")));
        drop(setup.ledger.append(Record::Entry(entry)));
    }
    let verification = setup.ledger.verify(Box::new(|_| Some("no".into()))).await.unwrap();
    assert_eq!((verification.entries, verification.faults.len()), (1100, 1001));
    assert_eq!(verification.faults[1000], "and 100 more faults");
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn one_changed_byte_in_any_column_of_an_entry_is_found() {
    let setup = ledger_with_entries().await;
    let columns = columns(&setup);
    assert_eq!(columns.len(), 29);
    let connection = connect(setup.host.data());
    connection.execute_batch(UNPROTECT).unwrap();
    let mut tried = 0;
    // The first, one in the middle, and the abandoned one, which is the last.
    for position in [1, 6, 12] {
        for column in &columns {
            let before: Value = connection
                .query_row(
                    &format!("SELECT {column} FROM ledger WHERE position = {position}"),
                    [],
                    |row| row.get(0),
                )
                .unwrap();
            let Some(changed) = change(&before) else {
                continue;
            };
            let update = |value: &Value, position: i64| {
                let sql = format!("UPDATE ledger SET {column} = ?1 WHERE position = ?2");
                assert_eq!(connection.execute(&sql, (value, position)).unwrap(), 1, "{column}");
            };
            update(&changed, position);
            let faults = setup.verify().await.faults;
            assert!(
                !faults.is_empty(),
                "{column} at {position} was changed from {before:?} unnoticed"
            );
            let moved = if column == "position" { position ^ BIT } else { position };
            update(&before, moved);
            assert_eq!(setup.verify().await.faults, Vec::<String>::new(), "{column}");
            tried += 1;
        }
    }
    // Left out is what is empty: an adapter and, but for the abandoned one, `at_most`.
    assert_eq!(tried, 3 * 29 - 4);
}

fn columns(setup: &LedgerHost) -> Vec<String> {
    let connection = connect(setup.host.data());
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_info('ledger')")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

fn change(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Integer(number) => Value::Integer(number ^ BIT),
        Value::Text(text) if !text.is_empty() => {
            let mut bytes = text.clone().into_bytes();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Value::Text(String::from_utf8(bytes).unwrap())
        }
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            bytes[0] ^= 1;
            Value::Blob(bytes)
        }
        Value::Null | Value::Real(_) | Value::Text(_) => return None,
    })
}
