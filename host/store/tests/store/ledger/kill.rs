//! `kill -9` while requests are metered, a few times on the same data: what was acknowledged is there once, and the ledger
//! has no fault. Not here: what the services do with holds that were left behind.

use super::{
    all_entries, connect,
    receipt_chains::{self, BilledRequest, ReceiptChains},
};
use crate::host::Host;
use riad_core::{
    Account, Limits,
    ledger::{Entry, Outcome, Record},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

const FOLDER: &str = "RIAD_TEST_LEDGER_FOLDER";
const HELD: &str = "held ";
const SETTLED: &str = "settled ";
const TENANTS: [&str; 2] = ["acme", "other"];
const SELLERS: usize = 24;
/// Acknowledged entries after which each run is killed.
const ROUNDS: [usize; 4] = [1, 150, 700, 40];

/// The process that is killed: run by the test below, which names a folder.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "meters until it is killed; started by the test beside it"]
async fn meter_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child process")]
    let folder = env::var(FOLDER).unwrap();
    let host = Host::at(Path::new(&folder), Limits::default()).await;
    let ledger = host.store.ledger();
    let mut chains = ReceiptChains::default();
    let accounts = accounts(&host).await;
    for account in accounts {
        chains.resume(&*ledger, account).await;
    }
    for hold in ledger.abandoned().await.unwrap() {
        let entry = chains.settle(&BilledRequest::abandoned(&hold));
        ledger.append(Record::Entry(entry)).await.unwrap();
    }
    let run = ledger.verify(Box::new(|_| None)).await.unwrap().runs.len();
    let chains = Arc::new(Mutex::new(chains));
    let sellers = (0..SELLERS).map(|seller| {
        let (ledger, chains) = (ledger.clone(), chains.clone());
        tokio::spawn(async move {
            for n in 0_usize.. {
                let tenant = (seller + n) % TENANTS.len();
                let billed = BilledRequest::new(accounts[tenant], TENANTS[tenant], &format!("run{run}-{seller}-{n}"));
                ledger.append(Record::Hold(billed.hold())).await.unwrap();
                say(HELD, &billed.request);
                let appended = {
                    let mut chains = chains.lock().unwrap();
                    ledger.append(Record::Entry(chains.settle(&billed)))
                };
                appended.await.unwrap();
                say(SETTLED, &billed.request);
            }
        })
    });
    for seller in sellers.collect::<Vec<_>>() {
        seller.await.unwrap();
    }
}

/// Nothing stays in a buffer: what is said has been acknowledged.
fn say(what: &str, request: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}{request}").unwrap();
    out.flush().unwrap();
}

async fn accounts(host: &Host) -> [Account; 2] {
    [
        host.pass(TENANTS[0]).await.account(),
        host.pass(TENANTS[1]).await.account(),
    ]
}

#[derive(Default)]
struct Acknowledged {
    held: BTreeSet<String>,
    settled: BTreeSet<String>,
}

/// Starts a process, kills it after `enough` entries, and notes what it had said until then.
fn kill_after(data: &Path, enough: usize, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "ledger::kill::meter_until_killed",
            "--nocapture",
        ])
        .env(FOLDER, data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(request) = line.strip_prefix(HELD) {
            acknowledged.held.insert(request.to_owned());
        } else if let Some(request) = line.strip_prefix(SETTLED) {
            acknowledged.settled.insert(request.to_owned());
            seen += 1;
            if seen == enough {
                // SIGKILL on Unix.
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(seen >= enough, "the child ended early after {seen}");
}

#[tokio::test]
async fn acknowledged_entries_survive_kill_9_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::at(&data, Limits::default()).await;
    for tenant in TENANTS {
        host.create_tenant(tenant).await;
    }
    host.store.close().await.unwrap();
    drop(host);

    let mut acknowledged = Acknowledged::default();
    for enough in ROUNDS {
        kill_after(&data, enough, &mut acknowledged);
        let connection = connect(&data);
        // What was held is there too, unless it was settled.
        let holds = texts(&connection, "SELECT request FROM holds");
        let entries = texts(&connection, "SELECT request FROM ledger");
        for request in &acknowledged.held {
            assert!(holds.contains(request) != entries.contains(request), "{request}");
        }
        let damage: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(damage, "ok");
    }

    let host = Host::at(&data, Limits::default()).await;
    let ledger = host.store.ledger();
    let left = ledger.abandoned().await.unwrap();
    let faults = ledger.verify(Box::new(receipt_chains::check)).await.unwrap().faults;
    assert_eq!(faults.len(), left.len(), "{faults:?}");
    assert!(
        faults.iter().all(|fault| fault.contains("without settling it")),
        "{faults:?}"
    );
    check(&all_entries(&*ledger).await, &acknowledged);

    // As services do at the start: then the check finds no fault.
    let mut chains = ReceiptChains::default();
    for account in accounts(&host).await {
        chains.resume(&*ledger, account).await;
    }
    for hold in &left {
        let entry = chains.settle(&BilledRequest::abandoned(hold));
        ledger.append(Record::Entry(entry)).await.unwrap();
    }
    let verification = ledger.verify(Box::new(receipt_chains::check)).await.unwrap();
    assert_eq!(verification.faults, Vec::<String>::new());
    let entries = all_entries(&*ledger).await;
    let abandoned = entries.iter().filter(|(_, entry)| entry.outcome == Outcome::Abandoned);
    // Never more than one for each of a dead run's tasks: the drift of a kill is bounded.
    assert!(verification.runs.iter().all(|run| run.abandoned <= SELLERS as u64));
    let counted: u64 = verification.runs.iter().map(|run| run.abandoned).sum();
    assert_eq!(counted, abandoned.count() as u64);
}

fn check(entries: &[(u64, Entry)], acknowledged: &Acknowledged) {
    let mut numbers: BTreeMap<Account, u64> = BTreeMap::new();
    let mut requests = BTreeSet::new();
    for (_, entry) in entries {
        let number = numbers.entry(entry.account).or_default();
        *number += 1;
        assert_eq!(entry.number, *number, "account {}", entry.account);
        assert!(requests.insert(&entry.request), "{} is there twice", entry.request);
        if acknowledged.settled.contains(&entry.request) {
            assert_eq!(entry.outcome, Outcome::Completed);
        }
    }
    for request in &acknowledged.settled {
        assert!(requests.contains(request), "{request} was acknowledged and is lost");
    }
}

fn texts(connection: &rusqlite::Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let texts = statement.query_map([], |row| row.get(0)).unwrap();
    texts.map(Result::unwrap).collect()
}
