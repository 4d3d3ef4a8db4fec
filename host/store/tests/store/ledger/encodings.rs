//! Entries that earlier versions hashed in their own way. The hashes here are computed by hand, as those versions did.

use super::{LedgerHost, UNPROTECT, connect, receipt_chains::BilledRequest};
use crate::host::UNDO_AFTER_CACHED_TOKENS;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use riad_core::{
    Digest,
    ledger::{ChainHead, Outcome, Record},
    price::Usage,
};
use rusqlite::{Connection, types::Value};
use std::path::Path;

/// The columns of the first encoding, in the order in which they were hashed.
const FIRST: &str = "account, number, tenant, key, request, at_ms, kind, model, adapter, plugin, outcome, requests, \
    prompt_tokens, completion_tokens, embedded_tokens, fuel, stored_byte_hours, adapter_byte_hours, plan, plan_version, \
    cost_nanos, receipt, at_most, abandoned_tokens, run";

fn hash(before: &[u8], values: &[Value]) -> [u8; 32] {
    let mut bytes = before.to_vec();
    for value in values {
        match value {
            Value::Null => bytes.push(b'-'),
            Value::Integer(number) => {
                bytes.push(b'i');
                bytes.extend(number.to_le_bytes());
            }
            Value::Text(text) => {
                bytes.push(b't');
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            Value::Real(_) | Value::Blob(_) => panic!("{value:?} was never in an entry"),
        }
    }
    blake3::hash(&bytes).into()
}

/// A receipt as it was before there were cached tokens, and after the one before it in its account's chain.
fn receipt_of_before(jws: &str, previous: Option<Digest>) -> String {
    let parts: Vec<&str> = jws.split('.').collect();
    let mut payload: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let members = payload.as_object_mut().unwrap();
    assert_eq!(members.remove("cached_tokens").unwrap(), 0);
    members.insert("previous".into(), serde_json::to_value(previous).unwrap());
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    format!("{}.{payload}.{}", parts[0], parts[2])
}

/// Makes the control database what the version before the cached tokens would have left: its tables, receipts and hashes.
fn make_old(data: &Path) {
    let connection = connect(data);
    connection.execute_batch(UNPROTECT).unwrap();
    let mut before = [0; 32];
    let mut heads = std::collections::BTreeMap::new();
    let count: i64 = connection
        .query_row("SELECT count(*) FROM ledger", [], |row| row.get(0))
        .unwrap();
    for position in 1..=count {
        let (account, jws): (i64, String) = connection
            .query_row(
                "SELECT account, receipt FROM ledger WHERE position = ?1",
                [position],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        let receipt = receipt_of_before(&jws, heads.get(&account).copied());
        heads.insert(account, Digest::of(receipt.as_bytes()));
        connection
            .execute(
                "UPDATE ledger SET receipt = ?1 WHERE position = ?2",
                (&receipt, position),
            )
            .unwrap();
        before = hash(&before, &values(&connection, FIRST, position));
        connection
            .execute("UPDATE ledger SET seal = ?1 WHERE position = ?2", (before, position))
            .unwrap();
    }
    connection.execute_batch(UNDO_AFTER_CACHED_TOKENS).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE ledger DROP COLUMN encoding;
            ALTER TABLE ledger DROP COLUMN cached_tokens;
            ALTER TABLE rollups DROP COLUMN cached_tokens;
            UPDATE runs SET engine = json_remove(engine, '$.cached');
            CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger BEGIN
                SELECT RAISE(ABORT, 'the ledger is append-only');
            END;
            PRAGMA user_version = 4;",
        )
        .unwrap();
}

fn values(connection: &Connection, columns: &str, position: i64) -> Vec<Value> {
    let sql = format!("SELECT {columns} FROM ledger WHERE position = ?1");
    let count = columns.split(", ").count();
    connection
        .query_row(&sql, [position], |row| (0..count).map(|at| row.get(at)).collect())
        .unwrap()
}

fn uncached(billed: &BilledRequest) -> BilledRequest {
    BilledRequest {
        used: Usage {
            cached_tokens: 0,
            ..billed.used
        },
        ..billed.clone()
    }
}

/// Four entries in two accounts that the version before wrote, one of them abandoned.
async fn old_ledger() -> LedgerHost {
    let mut setup = LedgerHost::new().await;
    let other = setup.host.create_tenant("other").await.account();
    for (n, (account, tenant)) in [(setup.account, "acme"), (other, "other"), (setup.account, "acme")]
        .into_iter()
        .enumerate()
    {
        let billed = uncached(&BilledRequest::new(account, tenant, &format!("req-{n}")));
        let entry = setup.chains.settle(&billed);
        setup.ledger.append(Record::Entry(entry)).await.unwrap();
    }
    let lost = BilledRequest::new(setup.account, "acme", "lost").hold();
    setup.ledger.append(Record::Hold(lost.clone())).await.unwrap();
    let entry = setup.chains.settle(&BilledRequest::abandoned(&lost));
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let counted = riad_core::ledger::EngineTokens {
        prompt: 33,
        cached: 0,
        completion: 21,
        embedded: 9,
    };
    setup.ledger.end_run(counted).await.unwrap();
    setup.reopen(make_old).await
}

#[tokio::test]
async fn entries_of_before_cached_tokens_keep_their_hashes() {
    let mut setup = old_ledger().await;
    let old = setup.entries().await;
    assert_eq!(old.len(), 4);
    assert!(old.iter().all(|(_, entry)| entry.used.cached_tokens == 0));
    assert_eq!(old[3].1.outcome, Outcome::Abandoned);
    assert!(!old[0].1.receipt.contains("cached"));
    let verification = setup.verify().await;
    assert_eq!(verification.faults, Vec::<String>::new());
    assert_eq!(verification.entries, 4);

    // New entries follow on old ones, and are hashed with all that they have.
    setup.chains.resume(&*setup.ledger, setup.account).await;
    assert_ne!(setup.chains.head(setup.account), ChainHead::default());
    let billed = BilledRequest::new(setup.account, "acme", "new");
    let entry = setup.chains.settle(&billed);
    setup.ledger.append(Record::Entry(entry.clone())).await.unwrap();
    let all = setup.entries().await;
    assert_eq!((&all[..4], &all[4].1), (&old[..], &entry));
    assert_eq!(all[4].1.used.cached_tokens, 4);
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
    let connection = connect(setup.host.data());
    let seal = |position| values(&connection, "seal", position).remove(0);
    let Value::Blob(before) = seal(4) else { panic!() };
    let columns = format!("{FIRST}, encoding, cached_tokens");
    let expected = hash(&before, &values(&connection, &columns, 5));
    assert_eq!(seal(5), Value::Blob(expected.to_vec()));
    let encodings: Vec<Value> = (1..=5)
        .flat_map(|position| values(&connection, "encoding", position))
        .collect();
    assert_eq!(encodings, [1, 1, 1, 1, 2].map(Value::Integer));
}

#[tokio::test]
async fn an_entry_that_claims_another_encoding_is_found() {
    let mut setup = old_ledger().await;
    setup.chains.resume(&*setup.ledger, setup.account).await;
    let billed = uncached(&BilledRequest::new(setup.account, "acme", "new"));
    let entry = setup.chains.settle(&billed);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let connection = connect(setup.host.data());
    connection.execute_batch("DROP TRIGGER ledger_is_not_changed").unwrap();
    for (position, column, value) in [
        (2, "encoding", 2),
        (2, "encoding", 0),
        (2, "encoding", 3),
        (2, "cached_tokens", 1),
        (5, "encoding", 1),
        (5, "cached_tokens", 1),
    ] {
        let Value::Integer(was) = values(&connection, column, position).remove(0) else {
            panic!("{column}");
        };
        let set = |value: i64| {
            let sql = format!("UPDATE ledger SET {column} = ?1 WHERE position = ?2");
            connection.execute(&sql, (value, position)).unwrap();
        };
        set(value);
        let faults = setup.verify().await.faults;
        let is_found = faults
            .iter()
            .any(|fault| fault.contains(&format!("(position {position})")));
        assert!(
            is_found,
            "{column} of {position} was changed to {value} unnoticed: {faults:?}"
        );
        set(was);
        assert_eq!(setup.verify().await.faults, Vec::<String>::new());
    }
}
