//! The ledger of a folder without a server: the same answer, and the data does not change.

use super::{
    LedgerHost,
    receipt_chains::{self, BilledRequest},
    tamper,
};
use crate::host;
use riad_core::{ErrorKind, Limits, ledger::Record};
use riad_store::{CONTROL_SCHEMA_VERSION, OfflineLedger, Store};
use std::{collections::BTreeMap, fs, path::Path};

/// Some settled requests, and one that is still open.
async fn ledger_with_entries() -> LedgerHost {
    let mut setup = LedgerHost::new().await;
    for n in 0..4 {
        let billed = BilledRequest::new(setup.account, "acme", &format!("req-{n}"));
        setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
        if n < 3 {
            let entry = setup.chains.settle(&billed);
            setup.ledger.append(Record::Entry(entry)).await.unwrap();
        }
    }
    setup.ledger.signing_key(vec![7; 32]).await.unwrap();
    setup
}

fn open_error(data: &Path) -> ErrorKind {
    OfflineLedger::open(data).map(|_| ()).unwrap_err().kind()
}

fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(data).unwrap().map(Result::unwrap);
    files
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn an_offline_check_says_the_same_and_changes_nothing() {
    let setup = ledger_with_entries().await;
    let online = setup.verify().await;
    assert_eq!((online.entries, online.faults.len()), (3, 0));
    setup
        .reopen(|data| {
            let before = files(data);
            let offline = OfflineLedger::open(data).unwrap();
            assert_eq!(offline.verify(&receipt_chains::check).unwrap(), online);
            assert_eq!(offline.signing_key().unwrap().unwrap().reveal(), &[7; 32]);
            drop(offline);
            assert_eq!(files(data), before);
        })
        .await;
}

#[tokio::test]
async fn an_offline_check_reads_the_log_that_a_kill_left() {
    let setup = ledger_with_entries().await;
    let online = setup.verify().await;
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in files(setup.host.data()) {
        if name != "control.db-shm" {
            fs::write(copy.path().join(name), bytes).unwrap();
        }
    }
    let before = files(copy.path());
    assert!(!before["control.db-wal"].is_empty());
    let offline = OfflineLedger::open(copy.path()).unwrap();
    assert_eq!(offline.verify(&receipt_chains::check).unwrap(), online);
    drop(offline);
    let after = files(copy.path());
    for name in ["control.db", "control.db-wal"] {
        assert_eq!(after[name], before[name], "{name}");
    }
}

#[tokio::test]
async fn an_offline_check_finds_a_changed_entry() {
    ledger_with_entries()
        .await
        .reopen(|data| {
            tamper(data, "UPDATE ledger SET fuel = fuel + 1 WHERE position = 2");
            let offline = OfflineLedger::open(data).unwrap();
            let faults = offline.verify(&receipt_chains::check).unwrap().faults;
            assert!(faults.iter().any(|fault| fault.contains("position 2")), "{faults:?}");
        })
        .await;
}

#[tokio::test]
async fn an_offline_check_refuses_other_folders_and_servers() {
    let setup = ledger_with_entries().await;
    assert_eq!(open_error(setup.host.data()), ErrorKind::Conflict);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(open_error(empty.path()), ErrorKind::NotFound);
    setup
        .reopen(|data| {
            let set_version = |version: u32| {
                let connection = super::connect(data);
                connection.pragma_update(None, "user_version", version).unwrap();
            };
            for version in [CONTROL_SCHEMA_VERSION + 1, CONTROL_SCHEMA_VERSION - 1] {
                set_version(version);
                assert_eq!(open_error(data), ErrorKind::Unavailable, "{version}");
            }
            set_version(CONTROL_SCHEMA_VERSION);
            assert!(OfflineLedger::open(data).is_ok());
        })
        .await;
}

#[tokio::test]
async fn a_server_that_starts_during_a_check_spoils_the_answer() {
    ledger_with_entries()
        .await
        .reopen(|data| {
            let backup = tempfile::tempdir().unwrap();
            fs::copy(data.join("control.db"), backup.path().join("control.db")).unwrap();
            let offline = OfflineLedger::open(backup.path()).unwrap();
            assert!(offline.verify(&receipt_chains::check).unwrap().faults.is_empty());
            let server = Store::open(backup.path(), host::space(), &Limits::default()).unwrap();
            let refused = offline.verify(&receipt_chains::check).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
            assert_eq!(offline.signing_key().unwrap_err().kind(), ErrorKind::Conflict);
            drop(server);
            // With the lock file that the server has left, the folder is held.
            let offline = OfflineLedger::open(backup.path()).unwrap();
            assert!(offline.verify(&receipt_chains::check).is_ok());
            let server = Store::open(backup.path(), host::space(), &Limits::default());
            assert_eq!(server.err().unwrap().kind(), ErrorKind::Conflict);
        })
        .await;
}
