//! Reading entries, pages and sums by calendar; entries never change.
//! Not here: writing (`append`), buckets of usage (`recount`).

use super::{
    LedgerHost, connect,
    receipt_chains::{BilledRequest, LAST_MOMENT_OF_FEBRUARY, ReceiptChains},
};
use crate::host::Host;
use riad_core::{
    Account, ErrorKind,
    ledger::{Amount, ChainHead, Outcome, Record, Spent},
    price::{PriceList, Usage},
    usage::{EntryQuery, LedgerScope},
};

#[tokio::test]
async fn an_entry_with_the_largest_amounts_comes_back_unchanged() {
    let mut setup = LedgerHost::new().await;
    let mut billed = BilledRequest::new(setup.account, "acme", "req-1");
    billed.key = None;
    billed.purpose.plugin = String::new();
    let largest = i64::MAX.unsigned_abs();
    billed.used = all(largest);
    let entry = setup.chains.settle(&billed);
    setup.ledger.append(Record::Entry(entry.clone())).await.unwrap();
    // What is beyond stays at the limit, in the row and in the sums.
    billed.request = "req-2".into();
    billed.used.fuel = u64::MAX;
    setup
        .ledger
        .append(Record::Entry(setup.chains.settle(&billed)))
        .await
        .unwrap();
    let entries = setup.entries().await;
    assert_eq!(entries[0].1, entry);
    assert_eq!(entries[1].1.used.fuel, largest);
    let rollups = setup.ledger.rollups(LedgerScope::All, 0, u64::MAX).await.unwrap();
    assert_eq!(rollups[0].used, all(largest));
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

fn all(amount: u64) -> Usage {
    Usage {
        requests: amount,
        prompt_tokens: amount,
        cached_tokens: amount,
        completion_tokens: amount,
        embedded_tokens: amount,
        fuel: amount,
        stored_byte_hours: amount,
        adapter_byte_hours: amount,
    }
}

#[tokio::test]
async fn entries_are_paged_by_whose_they_are() {
    let mut setup = LedgerHost::new().await;
    let other = setup.host.create_tenant("other").await.account();
    for n in 0..30 {
        let (account, tenant) = if n % 3 == 0 {
            (other, "other")
        } else {
            (setup.account, "acme")
        };
        let entry = setup
            .chains
            .settle(&BilledRequest::new(account, tenant, &format!("req-{n}")));
        setup.ledger.append(Record::Entry(entry)).await.unwrap();
    }
    let everything = setup.entries().await;
    for (scope, number) in [
        (LedgerScope::All, 30),
        (LedgerScope::Account(other), 10),
        (LedgerScope::Account(Account::new(99)), 0),
        (LedgerScope::Tenant("acme".parse().unwrap()), 20),
    ] {
        for after in 0..=30 {
            let query = EntryQuery {
                scope: scope.clone(),
                after,
                limit: 4,
            };
            let page = setup.ledger.entries(query).await.unwrap();
            let belongs = |entry: &riad_core::ledger::Entry| match &scope {
                LedgerScope::All => true,
                LedgerScope::Account(account) => entry.account == *account,
                LedgerScope::Tenant(tenant) => entry.tenant == *tenant,
            };
            // An account's positions are its numbers: it cannot count the entries of others.
            let mine = everything
                .iter()
                .filter(|(_, entry)| belongs(entry))
                .map(|(position, entry)| match scope {
                    LedgerScope::Account(_) => (entry.number, entry.clone()),
                    LedgerScope::All | LedgerScope::Tenant(_) => (*position, entry.clone()),
                });
            assert_eq!(mine.clone().count(), number);
            let expected: Vec<_> = mine.filter(|(position, _)| *position > after).take(4).collect();
            assert_eq!(page, expected, "{scope:?} after {after}");
        }
    }
}

#[tokio::test]
async fn the_database_refuses_to_change_an_entry() {
    let mut setup = LedgerHost::new().await;
    let entry = setup.chains.settle(&BilledRequest::new(setup.account, "acme", "req-1"));
    setup.ledger.append(Record::Entry(entry.clone())).await.unwrap();
    let connection = connect(setup.host.data());
    let copy = |position: &str, number: &str, request: &str| {
        let columns = "account, tenant, key, at_ms, kind, model, adapter, plugin, outcome, requests, prompt_tokens, \
            completion_tokens, embedded_tokens, fuel, stored_byte_hours, adapter_byte_hours, abandoned_tokens, at_most, plan, \
            plan_version, cost_nanos, receipt, run, seal";
        format!(
            "INSERT OR REPLACE INTO ledger (position, number, request, {columns})
             SELECT {position}, {number}, {request}, {columns} FROM ledger"
        )
    };
    for attempt in [
        "UPDATE ledger SET cost_nanos = 0".to_owned(),
        "UPDATE OR REPLACE ledger SET number = 2".to_owned(),
        "DELETE FROM ledger".to_owned(),
        copy("1", "2", "'req-2'"),
        copy("NULL", "1", "'req-2'"),
        copy("NULL", "2", "'req-1'"),
    ] {
        let refused = connection.execute_batch(&attempt).unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(setup.entries().await, [(1, entry)]);
    // What was refused is not refused for its form.
    connection.execute_batch(&copy("NULL", "2", "'req-2'")).unwrap();
}

#[tokio::test]
async fn spending_is_summed_by_calendar_month_day_and_key() {
    let mut setup = LedgerHost::new().await;
    let prices = PriceList {
        prompt_tokens: 1_000_000,
        ..PriceList::default()
    };
    let other = setup.host.create_tenant("other").await.account();
    setup.chains.prices.insert(1, prices);
    // 2026: January's last moment, February's first, its last, and March's first.
    let times = [
        1_769_903_999_999,
        1_769_904_000_000,
        LAST_MOMENT_OF_FEBRUARY,
        1_772_323_200_000,
    ];
    for (n, at_ms) in times.into_iter().enumerate() {
        let mut billed = BilledRequest::new(setup.account, "acme", &format!("req-{n}"));
        billed.at_ms = at_ms;
        billed.used = Usage {
            prompt_tokens: 10_u64.pow(u32::try_from(n).unwrap()),
            ..Usage::default()
        };
        billed.key = Some(format!("key-{}", n % 2).parse().unwrap());
        setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
        setup
            .ledger
            .append(Record::Entry(setup.chains.settle(&billed)))
            .await
            .unwrap();
        // Held, not spent.
        billed.request = format!("open-{n}");
        setup.ledger.append(Record::Hold(billed.hold())).await.unwrap();
    }
    let spent = |total, month, day| {
        let amount = |tokens| Amount {
            tokens,
            nanos: tokens * 1000,
        };
        Spent {
            total: amount(total),
            month: amount(month),
            day: amount(day),
        }
    };
    for (now_ms, expected) in [
        (times[0], spent(1111, 1, 1)),
        (times[1], spent(1111, 110, 10)),
        (times[2], spent(1111, 110, 100)),
        (times[3], spent(1111, 1000, 1000)),
        (times[3] + 86_400_000, spent(1111, 1000, 0)),
        (0, spent(1111, 0, 0)),
    ] {
        let found = setup.ledger.spent(setup.account, None, now_ms / 1000).await.unwrap();
        assert_eq!(found, expected, "{now_ms}");
    }
    let key = "key-1".parse().unwrap();
    let of_key = setup
        .ledger
        .spent(setup.account, Some(&key), times[2] / 1000)
        .await
        .unwrap();
    assert_eq!(of_key, spent(1010, 10, 0));
    assert_eq!(
        setup.ledger.spent(other, None, times[2] / 1000).await.unwrap(),
        Spent::default()
    );
    let beyond = setup.ledger.spent(setup.account, None, u64::MAX).await.unwrap_err();
    assert_eq!(beyond.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn entries_outlive_their_tenant_and_stay_with_its_account() {
    let mut setup = LedgerHost::new().await;
    let entry = setup.chains.settle(&BilledRequest::new(setup.account, "acme", "req-1"));
    setup.ledger.append(Record::Entry(entry)).await.unwrap();
    let pass = setup.host.pass("acme").await;
    setup.host.delete_tenant(&pass).await;
    let next = setup.host.create_tenant("acme").await.account();
    assert_ne!(next, setup.account);
    let tenant = LedgerScope::Tenant("acme".parse().unwrap());
    for (scope, number) in [
        (LedgerScope::Account(next), 0),
        (LedgerScope::Account(setup.account), 1),
        (tenant, 1),
    ] {
        let rollups = setup.ledger.rollups(scope.clone(), 0, u64::MAX).await.unwrap();
        assert_eq!(rollups.len(), number);
        assert!(
            rollups
                .iter()
                .all(|rollup| rollup.account == setup.account && rollup.used.prompt_tokens == 11)
        );
        let query = EntryQuery {
            scope,
            after: 0,
            limit: 10,
        };
        assert_eq!(setup.ledger.entries(query).await.unwrap().len(), number);
    }
    assert_eq!(setup.ledger.head(next).await.unwrap(), ChainHead::default());
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_signing_key_is_the_first_that_was_made_and_never_printed() {
    let host = Host::new().await;
    let ledger = host.store.ledger();
    let first = ledger.signing_key(b"first".to_vec()).await.unwrap();
    let second = ledger.signing_key(b"second".to_vec()).await.unwrap();
    assert_eq!(
        (first.reveal(), second.reveal()),
        (&b"first".to_vec(), &b"first".to_vec())
    );
    assert_eq!(format!("{first:?}"), "***");
    drop(ledger);
    let host = host.reopen(|_| {}).await;
    let third = host.store.ledger().signing_key(b"third".to_vec()).await.unwrap();
    assert_eq!(third.reveal(), b"first");
}

#[tokio::test]
async fn every_kind_and_outcome_can_be_written_and_read() {
    let mut setup = LedgerHost::new().await;
    for kind in riad_core::ledger::Kind::ALL {
        for outcome in Outcome::ALL {
            let mut billed = BilledRequest::new(setup.account, "acme", &format!("{kind}-{outcome}"));
            (billed.purpose.kind, billed.outcome) = (*kind, *outcome);
            let entry = setup.chains.settle(&billed);
            setup.ledger.append(Record::Entry(entry.clone())).await.unwrap();
            assert_eq!(setup.entries().await.last().unwrap().1, entry);
        }
    }
    let mut again = ReceiptChains::default();
    again.resume(&*setup.ledger, setup.account).await;
    assert_eq!(again.head(setup.account), setup.chains.head(setup.account));
    assert_eq!(setup.verify().await.faults, Vec::<String>::new());
}
