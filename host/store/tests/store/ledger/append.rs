//! What is written: in which order, what ends a hold, what is refused. Not here: what is read
//! back (`queries`), the check of the whole (`verify`).

use super::{LedgerHost, connect, receipt_chains::BilledRequest};
use riad_core::{
    ErrorKind,
    ledger::Record,
    usage::{EntryQuery, LedgerScope},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[tokio::test]
async fn an_entry_is_read_as_it_was_written_and_ends_its_hold() {
    let mut setup = LedgerHost::new().await;
    let mut billed = BilledRequest::new(setup.account, "acme", "req-1");
    billed.purpose.adapter = Some("tone".parse().unwrap());
    let hold = billed.hold();
    setup.ledger.append(Record::Hold(hold.clone())).await.unwrap();
    // The first knew less of what the request needs.
    billed.at_most.completion_tokens += 1;
    setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
    let entry = setup.chains.settle(&billed);
    setup.ledger.append(Record::Entry(entry.clone())).await.unwrap();

    assert_eq!(setup.entries().await, [(1, entry)]);
    assert_eq!(
        setup.ledger.head(setup.account).await.unwrap(),
        setup.chains.head(setup.account)
    );
    let setup = setup.reopen(|_| {}).await;
    assert_eq!(setup.ledger.abandoned().await.unwrap(), []);
    assert_eq!(setup.entries().await.len(), 1);
}

#[tokio::test]
async fn records_are_written_in_the_order_of_the_calls_whoever_waits() {
    let mut setup = LedgerHost::new().await;
    let mut waiting = Vec::new();
    for n in 0..500 {
        let billed = BilledRequest::new(setup.account, "acme", &format!("req-{n}"));
        let hold = setup.ledger.append(Record::Hold(billed.hold()));
        let entry = setup.ledger.append(Record::Entry(setup.chains.settle(&billed)));
        // Every third caller goes away.
        if n % 3 != 0 {
            waiting.extend([hold, entry]);
        }
    }
    waiting.reverse();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    // Written after the last record.
    assert_eq!(setup.ledger.head(setup.account).await.unwrap().number, 500);
    let entries = setup.entries().await;
    assert!(
        (1..)
            .zip(&entries)
            .all(|(n, (position, entry))| *position == n && entry.number == n)
    );
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

/// The disk's refusal is played by a trigger.
const REFUSE_ENTRIES: &str = "CREATE TRIGGER broken BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'no'); END";
const REPAIR: &str = "DROP TRIGGER broken";

#[tokio::test]
async fn after_a_failed_write_the_ledger_heals_without_a_restart() {
    let mut setup = LedgerHost::new().await;
    let first = BilledRequest::new(setup.account, "acme", "req-1");
    let entry = setup.chains.settle(&first);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let connection = connect(setup.host.data());
    connection.execute_batch(REFUSE_ENTRIES).unwrap();
    // Entries have numbers and hashes already: they are kept, in order, and holds are refused meanwhile.
    for n in 2..5 {
        let billed = BilledRequest::new(setup.account, "acme", &format!("req-{n}"));
        let entry = setup.ledger.append(Record::Entry(setup.chains.settle(&billed)));
        assert_eq!(entry.await.unwrap_err().kind(), ErrorKind::Unavailable);
        let next = BilledRequest::new(setup.account, "acme", &format!("next-{n}"));
        let refused = setup.ledger.append(Record::Hold(next.hold())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.message().contains("send the request again later"), "{refused}");
    }
    // Reads for admission would miss what is not written; what was written can still be read.
    assert!(setup.ledger.head(setup.account).await.is_err());
    assert_eq!(setup.entries().await.len(), 1);

    connection.execute_batch(REPAIR).unwrap();
    let next = BilledRequest::new(setup.account, "acme", "req-5");
    setup.ledger.append(Record::Hold(next.hold())).await.unwrap();
    let entry = setup.chains.settle(&next);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    assert_eq!(
        setup.ledger.head(setup.account).await.unwrap(),
        setup.chains.head(setup.account)
    );
    let requests: Vec<String> = setup
        .entries()
        .await
        .into_iter()
        .map(|(_, entry)| entry.request)
        .collect();
    assert_eq!(requests, ["req-1", "req-2", "req-3", "req-4", "req-5"]);
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
    let setup = setup.reopen(|_| {}).await;
    assert_eq!(setup.ledger.abandoned().await.unwrap(), []);
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_ledger_that_nobody_asks_heals_too() {
    let mut setup = LedgerHost::new().await;
    let connection = connect(setup.host.data());
    connection.execute_batch(REFUSE_ENTRIES).unwrap();
    let billed = BilledRequest::new(setup.account, "acme", "req-1");
    let entry = setup.ledger.append(Record::Entry(setup.chains.settle(&billed)));
    assert_eq!(entry.await.unwrap_err().kind(), ErrorKind::Unavailable);
    connection.execute_batch(REPAIR).unwrap();
    while setup.entries().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_ledger_that_lost_an_entry_refuses_until_it_is_reopened() {
    /// As many as wait in memory at most.
    const KEPT: u64 = 16_384;
    let mut setup = LedgerHost::new().await;
    let connection = connect(setup.host.data());
    connection.execute_batch(REFUSE_ENTRIES).unwrap();
    let mut known = setup.chains.clone();
    let mut last = None;
    for n in 0..=KEPT {
        known = if n == KEPT { setup.chains.clone() } else { known };
        let billed = BilledRequest::new(setup.account, "acme", &format!("req-{n}"));
        last = Some(setup.ledger.append(Record::Entry(setup.chains.settle(&billed))));
    }
    let refused = last.unwrap().await.unwrap_err();
    assert!(refused.message().contains("restart"), "{refused}");
    connection.execute_batch(REPAIR).unwrap();
    // Without the lost entry, no later one of its account continues the chain.
    let next = BilledRequest::new(setup.account, "acme", "next");
    let refused = setup.ledger.append(Record::Hold(next.hold())).await.unwrap_err();
    assert!(refused.message().contains("restart"), "{refused}");

    let mut setup = setup.reopen(|_| {}).await;
    assert_eq!(setup.entries().await.len() as u64, KEPT);
    setup.chains = known;
    assert_eq!(
        setup.ledger.head(setup.account).await.unwrap(),
        setup.chains.head(setup.account)
    );
    let entry = setup.chains.settle(&next);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn what_stays_unwritten_at_the_end_is_billed_as_held() {
    let mut setup = LedgerHost::new().await;
    let billed = BilledRequest::new(setup.account, "acme", "req-1");
    setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
    let before = setup.chains.clone();
    connect(setup.host.data()).execute_batch(REFUSE_ENTRIES).unwrap();
    let entry = setup.ledger.append(Record::Entry(setup.chains.settle(&billed)));
    assert_eq!(entry.await.unwrap_err().kind(), ErrorKind::Unavailable);
    let mut setup = setup.reopen(|data| connect(data).execute_batch(REPAIR).unwrap()).await;
    setup.chains = before;
    let abandoned = setup.ledger.abandoned().await.unwrap();
    assert_eq!(abandoned, [billed.hold()]);
    let entry = setup.chains.settle(&BilledRequest::abandoned(&abandoned[0]));
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let mut setup = LedgerHost::new().await;
    let queued: Vec<_> = (0..200)
        .map(|n| {
            let billed = BilledRequest::new(setup.account, "acme", &format!("req-{n}"));
            setup.ledger.append(Record::Entry(setup.chains.settle(&billed)))
        })
        .collect();
    setup.host.store.close().await.unwrap();
    for queued in queued {
        queued.await.unwrap();
    }
    let late = setup
        .chains
        .clone()
        .settle(&BilledRequest::new(setup.account, "acme", "late"));
    let refused = setup.ledger.append(Record::Entry(late)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(setup.ledger.abandoned().await.is_ok());
    let query = EntryQuery {
        scope: LedgerScope::All,
        after: 0,
        limit: 1,
    };
    assert_eq!(
        setup.ledger.entries(query).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    let setup = setup.reopen(|_| {}).await;
    assert_eq!(setup.entries().await.len(), 200);
}

#[tokio::test]
async fn abandoned_holds_count_for_the_run_that_made_them() {
    let mut setup = LedgerHost::new().await;
    let billed_requests: Vec<BilledRequest> = (0..3)
        .map(|n| BilledRequest::new(setup.account, "acme", &format!("req-{n}")))
        .collect();
    for billed in &billed_requests {
        setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
    }
    // One was settled before the process died.
    let entry = setup.chains.settle(&billed_requests[1]);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let mut setup = setup.reopen(|_| {}).await;
    let abandoned = setup.ledger.abandoned().await.unwrap();
    assert_eq!(abandoned, [billed_requests[0].hold(), billed_requests[2].hold()]);
    let before = setup.verify().await;
    assert_eq!(before.faults.len(), 2, "{:?}", before.faults);
    assert!(before.faults[0].contains("req-0"), "{:?}", before.faults);

    for hold in &abandoned {
        let entry = setup.chains.settle(&BilledRequest::abandoned(hold));
        setup.ledger.append(Record::Entry(entry)).await.unwrap();
    }
    let after = setup.verify().await;
    assert_eq!(after.faults, Vec::<String>::new());
    for verification in [before, after] {
        let dead = &verification.runs[0];
        assert_eq!(
            (dead.abandoned, dead.abandoned_tokens),
            (2, 2 * billed_requests[0].at_most.tokens())
        );
        assert_eq!((verification.runs[1].abandoned, verification.runs.len()), (0, 2));
    }
    assert_eq!(setup.reopen(|_| {}).await.ledger.abandoned().await.unwrap(), []);
}

#[tokio::test]
async fn a_hold_that_comes_after_its_entry_is_not_abandoned() {
    let mut setup = LedgerHost::new().await;
    let billed = BilledRequest::new(setup.account, "acme", "req-1");
    let entry = setup.chains.settle(&billed);
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
    let setup = setup.reopen(|_| {}).await;
    assert_eq!(setup.ledger.abandoned().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_ledger_lets_other_control_database_writes_through() {
    let mut setup = LedgerHost::new().await;
    let (stop, sold) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let seller = {
        let (ledger, mut chains, account) = (setup.ledger.clone(), setup.chains.clone(), setup.account);
        let (stop, sold) = (stop.clone(), sold.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let billed_requests = (0..50).map(|_| {
                    let number = sold.fetch_add(1, Ordering::Relaxed);
                    let entry = chains.settle(&BilledRequest::new(account, "acme", &format!("req-{number}")));
                    ledger.append(Record::Entry(entry))
                });
                for appended in billed_requests.collect::<Vec<_>>() {
                    appended.await.unwrap();
                }
            }
            chains
        })
    };
    for n in 0..5 {
        setup.host.create_tenant(&format!("tenant-{n}")).await;
        // Recounted while it grows.
        assert_eq!(setup.verify().await.faults, Vec::<String>::new());
    }
    stop.store(true, Ordering::Relaxed);
    setup.chains = seller.await.unwrap();
    let verification = setup.verify().await;
    assert_eq!(verification.faults, Vec::<String>::new());
    assert_eq!(verification.entries, sold.load(Ordering::Relaxed));
    assert_eq!(
        setup.ledger.head(setup.account).await.unwrap(),
        setup.chains.head(setup.account)
    );
}
