//! What is written: in which order, what ends a hold, what is refused. Not here: what is read
//! back (`kept`), the check of the whole (`verify`).

use super::{Shop, books::Sale, connect};
use riad_core::{
    ErrorKind,
    ledger::Record,
    usage::{EntryQuery, LedgerScope},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[tokio::test]
async fn an_entry_is_read_as_it_was_written_and_ends_its_hold() {
    let mut shop = Shop::new().await;
    let mut sale = Sale::new(shop.account, "acme", "req-1");
    sale.purpose.adapter = Some("tone".parse().unwrap());
    let hold = sale.hold();
    shop.ledger.append(Record::Hold(hold.clone())).await.unwrap();
    // The first knew less of what the request needs.
    sale.at_most.completion_tokens += 1;
    shop.ledger.append(Record::Hold(sale.hold())).await.unwrap();
    let entry = shop.books.settle(&sale);
    shop.ledger.append(Record::Entry(entry.clone())).await.unwrap();

    assert_eq!(shop.entries().await, [(1, entry)]);
    assert_eq!(
        shop.ledger.head(shop.account).await.unwrap(),
        shop.books.head(shop.account)
    );
    let shop = shop.reopen(|_| {}).await;
    assert_eq!(shop.ledger.abandoned().await.unwrap(), []);
    assert_eq!(shop.entries().await.len(), 1);
}

#[tokio::test]
async fn records_are_written_in_the_order_of_the_calls_whoever_waits() {
    let mut shop = Shop::new().await;
    let mut waiting = Vec::new();
    for n in 0..500 {
        let sale = Sale::new(shop.account, "acme", &format!("req-{n}"));
        let hold = shop.ledger.append(Record::Hold(sale.hold()));
        let entry = shop.ledger.append(Record::Entry(shop.books.settle(&sale)));
        // Every third caller goes away.
        if n % 3 != 0 {
            waiting.extend([hold, entry]);
        }
    }
    waiting.reverse();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    // Waits its turn behind the last record.
    assert_eq!(shop.ledger.head(shop.account).await.unwrap().number, 500);
    let entries = shop.entries().await;
    assert!(
        (1..)
            .zip(&entries)
            .all(|(n, (position, entry))| *position == n && entry.number == n)
    );
    assert_eq!(shop.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn after_a_record_that_could_not_be_written_everything_is_refused_until_the_ledger_is_opened_again() {
    let mut shop = Shop::new().await;
    let sale = Sale::new(shop.account, "acme", "req-1");
    shop.ledger
        .append(Record::Entry(shop.books.settle(&sale)))
        .await
        .unwrap();
    let known = shop.books.clone();
    // The disk's refusal is played by a trigger.
    let connection = connect(shop.host.data());
    connection
        .execute_batch("CREATE TRIGGER broken BEFORE INSERT ON holds BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    let next = Sale::new(shop.account, "acme", "req-2");
    let hold = shop.ledger.append(Record::Hold(next.hold()));
    let entry = shop.ledger.append(Record::Entry(shop.books.settle(&next)));
    for result in [hold.await, entry.await] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    connection.execute_batch("DROP TRIGGER broken").unwrap();
    let later = shop.books.settle(&Sale::new(shop.account, "acme", "req-3"));
    let refused = shop.ledger.append(Record::Entry(later)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("restart"), "{refused}");
    // What decides on money does not go on with half of the truth; what was written can still be read.
    assert!(shop.ledger.head(shop.account).await.is_err());
    assert_eq!(shop.entries().await.len(), 1);

    let mut shop = shop.reopen(|_| {}).await;
    shop.books = known;
    assert_eq!(
        shop.ledger.head(shop.account).await.unwrap(),
        shop.books.head(shop.account)
    );
    let entry = shop.books.settle(&next);
    shop.ledger.append(Record::Entry(entry)).await.unwrap();
    assert_eq!(shop.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_refuses_what_comes_later() {
    let mut shop = Shop::new().await;
    let queued: Vec<_> = (0..200)
        .map(|n| {
            let sale = Sale::new(shop.account, "acme", &format!("req-{n}"));
            shop.ledger.append(Record::Entry(shop.books.settle(&sale)))
        })
        .collect();
    shop.host.store.close().await.unwrap();
    for queued in queued {
        queued.await.unwrap();
    }
    let late = shop.books.clone().settle(&Sale::new(shop.account, "acme", "late"));
    let refused = shop.ledger.append(Record::Entry(late)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(shop.ledger.abandoned().await.is_ok());
    let query = EntryQuery {
        scope: LedgerScope::All,
        after: 0,
        limit: 1,
    };
    assert_eq!(
        shop.ledger.entries(query).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    let shop = shop.reopen(|_| {}).await;
    assert_eq!(shop.entries().await.len(), 200);
}

#[tokio::test]
async fn holds_of_a_dead_run_are_found_and_their_end_counts_for_that_run() {
    let mut shop = Shop::new().await;
    let sales: Vec<Sale> = (0..3)
        .map(|n| Sale::new(shop.account, "acme", &format!("req-{n}")))
        .collect();
    for sale in &sales {
        shop.ledger.append(Record::Hold(sale.hold())).await.unwrap();
    }
    // One was settled before the process died.
    let entry = shop.books.settle(&sales[1]);
    shop.ledger.append(Record::Entry(entry)).await.unwrap();
    let mut shop = shop.reopen(|_| {}).await;
    let abandoned = shop.ledger.abandoned().await.unwrap();
    assert_eq!(abandoned, [sales[0].hold(), sales[2].hold()]);
    let before = shop.verify().await;
    assert_eq!(before.faults.len(), 2, "{:?}", before.faults);
    assert!(before.faults[0].contains("req-0"), "{:?}", before.faults);

    for hold in &abandoned {
        let entry = shop.books.settle(&Sale::abandoned(hold));
        shop.ledger.append(Record::Entry(entry)).await.unwrap();
    }
    let after = shop.verify().await;
    assert_eq!(after.faults, Vec::<String>::new());
    for verification in [before, after] {
        let dead = &verification.runs[0];
        assert_eq!(
            (dead.abandoned, dead.abandoned_tokens),
            (2, 2 * sales[0].at_most.tokens())
        );
        assert_eq!((verification.runs[1].abandoned, verification.runs.len()), (0, 2));
    }
    assert_eq!(shop.reopen(|_| {}).await.ledger.abandoned().await.unwrap(), []);
}

#[tokio::test]
async fn a_hold_that_comes_after_its_entry_is_not_abandoned() {
    let mut shop = Shop::new().await;
    let sale = Sale::new(shop.account, "acme", "req-1");
    let entry = shop.books.settle(&sale);
    shop.ledger.append(Record::Entry(entry)).await.unwrap();
    shop.ledger.append(Record::Hold(sale.hold())).await.unwrap();
    let shop = shop.reopen(|_| {}).await;
    assert_eq!(shop.ledger.abandoned().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_and_the_control_databases_other_writer_take_turns() {
    let mut shop = Shop::new().await;
    let (stop, sold) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let seller = {
        let (ledger, mut books, account) = (shop.ledger.clone(), shop.books.clone(), shop.account);
        let (stop, sold) = (stop.clone(), sold.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let sales = (0..50).map(|_| {
                    let number = sold.fetch_add(1, Ordering::Relaxed);
                    let entry = books.settle(&Sale::new(account, "acme", &format!("req-{number}")));
                    ledger.append(Record::Entry(entry))
                });
                for appended in sales.collect::<Vec<_>>() {
                    appended.await.unwrap();
                }
            }
            books
        })
    };
    for n in 0..5 {
        shop.host.create_tenant(&format!("tenant-{n}")).await;
        // Recounted while it grows.
        assert_eq!(shop.verify().await.faults, Vec::<String>::new());
    }
    stop.store(true, Ordering::Relaxed);
    shop.books = seller.await.unwrap();
    let verification = shop.verify().await;
    assert_eq!(verification.faults, Vec::<String>::new());
    assert_eq!(verification.entries, sold.load(Ordering::Relaxed));
    assert_eq!(
        shop.ledger.head(shop.account).await.unwrap(),
        shop.books.head(shop.account)
    );
}
