//! Bursts, chains, windows, rates, restarts: what metering promises, on a ledger in memory.

use super::{
    fakes::{World, pass, purpose},
    receipts::follows,
    *,
};
use futures::future::join_all;
use riad_core::{
    ErrorKind,
    ledger::Record,
    policy::{Budget, BudgetMode, Policy, TenantLimits},
    price::PriceList,
    receipt::SignedReceipt,
};
use std::time::Duration;

const DAY_MS: u64 = 86_400_000;

fn tokens(completion_tokens: u64) -> Usage {
    Usage {
        completion_tokens,
        ..Usage::default()
    }
}

fn noon() -> u64 {
    DAY_MS * 100 + DAY_MS / 2
}

fn tenant(budget: Budget, limits: TenantLimits) -> TenantPass {
    let policy = Policy {
        budget,
        limits,
        ..Policy::default()
    };
    pass("key_1", Budget::default(), policy)
}

fn budgeted(budget: Budget) -> TenantPass {
    tenant(budget, TenantLimits::default())
}

fn total(total_tokens: u64) -> Budget {
    Budget {
        total_tokens: Some(total_tokens),
        ..Budget::default()
    }
}

async fn settle(meter: RequestMeter, used: Usage) -> SignedReceipt {
    meter.record_usage(|usage| *usage = used);
    meter.settle().await.unwrap()
}

fn settle_later(meter: RequestMeter, used: Usage, outcome: Outcome) {
    meter.record_usage(|usage| *usage = used);
    meter.record_outcome(outcome);
}

async fn request(metering: &Metering, pass: &TenantPass, most: u64, used: u64) -> Result<SignedReceipt> {
    let meter = metering.admit(pass, purpose()).await?;
    meter.hold(tokens(most)).await?;
    Ok(settle(meter, tokens(used)).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_at_once_as_many_get_in_as_the_budget_has_room_for() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    // 37 times 10, and 9 over.
    let pass = budgeted(total(379));
    let burst = (0..1000).map(|_| {
        let (metering, pass) = (metering.clone(), pass.clone());
        tokio::spawn(async move {
            let meter = metering.admit(&pass, purpose()).await?;
            meter.hold(tokens(4)).await?;
            meter.hold(tokens(6)).await?;
            Ok::<_, riad_core::Error>(meter)
        })
    });
    let results = join_all(burst).await.into_iter().map(|joined| joined.unwrap());
    let (inside, outside): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    assert!(metering.held_tokens() <= 379);
    for refused in outside {
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::QuotaExceeded);
    }
    // A request that held 4 and was refused 6 gave the 4 back, so requests that come now fill the rest: 37 in all, to the last.
    let mut inside: Vec<RequestMeter> = inside.into_iter().map(Result::unwrap).collect();
    assert_eq!(metering.held_tokens(), 10 * inside.len() as u64);
    loop {
        let meter = metering.admit(&pass, purpose()).await.unwrap();
        if meter.hold(tokens(10)).await.is_err() {
            break;
        }
        inside.push(meter);
    }
    assert_eq!(inside.len(), 37);
    for meter in inside {
        settle(meter, tokens(10)).await;
    }
    assert_eq!(metering.held_tokens(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_of_equal_requests_fills_the_budget_exactly() {
    for (own, of_key) in [(Some(370), None), (None, Some(370)), (Some(400), Some(379))] {
        let world = Arc::new(World::default());
        let metering = world.metering(noon).await;
        let budget = |tokens| Budget {
            daily_tokens: tokens,
            ..Budget::default()
        };
        let policy = Policy {
            budget: budget(own),
            ..Policy::default()
        };
        let pass = pass("key_1", budget(of_key), policy);
        let burst = (0..1000).map(|_| {
            let (metering, pass) = (metering.clone(), pass.clone());
            tokio::spawn(async move {
                let meter = metering.admit(&pass, purpose()).await?;
                meter.hold(tokens(10)).await?;
                Ok::<_, riad_core::Error>(meter)
            })
        });
        let results: Vec<_> = join_all(burst)
            .await
            .into_iter()
            .map(|joined| joined.unwrap())
            .collect();
        let inside: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
        assert_eq!(inside.len(), 37);
        assert_eq!(metering.held_tokens(), 370);
        assert_eq!(world.holds().len(), 37, "who was refused left nothing on the disk");
        for meter in inside {
            settle(meter, tokens(10)).await;
        }
        assert_eq!((metering.held_tokens(), world.entries().len()), (0, 37));
        let refused = metering.admit(&pass, purpose()).await;
        if own == Some(370) || of_key == Some(370) {
            assert_eq!(refused.err().unwrap().kind(), ErrorKind::QuotaExceeded);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_of_requests_at_the_same_time_are_one_chain_in_the_ledgers_order() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let pass = budgeted(Budget::default());
    let requests = (0..64).map(|index| {
        let (metering, pass) = (metering.clone(), pass.clone());
        tokio::spawn(async move { request(&metering, &pass, 64, index).await.unwrap() })
    });
    join_all(requests).await;
    // The next process goes on where this one stopped.
    let metering = world.metering(noon).await;
    request(&metering, &pass, 1, 1).await.unwrap();

    let entries = world.entries();
    assert_eq!(entries.len(), 65);
    let key = PublicKey::from_jwks(&metering.public_jwks()).unwrap().remove(0);
    let check = metering.signature_check();
    let mut before: Option<SignedReceipt> = None;
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry.number, index as u64 + 1);
        assert_eq!(check(entry), None);
        let receipt = verify_receipt(&entry.receipt, &key).unwrap();
        match &before {
            None => assert_eq!(receipt.previous, None),
            Some(before) => assert!(follows(&receipt, before)),
        }
        before = Some(SignedReceipt {
            receipt,
            jws: entry.receipt.clone(),
        });
    }
    let mut other = entries[3].clone();
    other.used.completion_tokens += 1;
    assert!(
        check(&other).is_some(),
        "an entry that says more than its receipt is found"
    );
}

#[tokio::test]
async fn a_new_day_has_its_own_budget_and_a_total_stays_spent() {
    static NOW: AtomicU64 = AtomicU64::new(DAY_MS * 100 + 1);
    let world = Arc::new(World::default());
    let metering = world.metering(|| NOW.load(Ordering::Relaxed)).await;
    let pass = budgeted(Budget {
        daily_tokens: Some(10),
        total_tokens: Some(25),
        ..Budget::default()
    });
    request(&metering, &pass, 10, 10).await.unwrap();
    let refused = metering.admit(&pass, purpose()).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert!(refused.message().contains("daily_tokens"), "{refused}");
    // 1970-04-12 is day 101.
    assert!(refused.message().contains("1970-04-12"), "{refused}");
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(86_400)));

    NOW.store(DAY_MS * 101, Ordering::Relaxed);
    let meter = metering.admit(&pass, purpose()).await.unwrap();
    meter.hold(tokens(10)).await.unwrap();
    // Admitted before midnight, settled after it: it is the new day's.
    NOW.store(DAY_MS * 102, Ordering::Relaxed);
    settle(meter, tokens(9)).await;
    let error = request(&metering, &pass, 2, 2).await.unwrap_err();
    assert!(error.message().contains("daily_tokens"), "{error}");
    request(&metering, &pass, 1, 1).await.unwrap();

    NOW.store(DAY_MS * 103, Ordering::Relaxed);
    let error = request(&metering, &pass, 6, 6).await.unwrap_err();
    assert!(error.message().contains("total_tokens"), "{error}");
    request(&metering, &pass, 5, 5).await.unwrap();
    // What the ledger says after a restart is the same.
    let metering = world.metering(|| NOW.load(Ordering::Relaxed)).await;
    let error = metering.admit(&pass, purpose()).await.err().unwrap();
    assert!(error.message().contains("total_tokens"), "{error}");
}

#[tokio::test]
async fn money_is_set_aside_by_the_plans_prices_and_what_was_not_used_is_given_back() {
    let world = Arc::new(World::default());
    *world.prices.lock() = PriceList {
        completion_tokens: 2_000_000,
        ..PriceList::default()
    };
    let metering = world.metering(noon).await;
    let pass = budgeted(Budget {
        total_micros: Some(100),
        ..Budget::default()
    });
    let one = metering.admit(&pass, purpose()).await.unwrap();
    one.hold(tokens(30)).await.unwrap();
    let two = metering.admit(&pass, purpose()).await.unwrap();
    let error = two.hold(tokens(21)).await.unwrap_err();
    assert!(error.message().contains("total_micros"), "{error}");
    one.release(tokens(10));
    two.hold(tokens(30)).await.unwrap();
    assert!(two.hold(tokens(1)).await.is_err());
    // A price that changes now is not theirs.
    *world.prices.lock() = PriceList::default();
    let receipt = settle(one, tokens(20)).await.receipt;
    assert_eq!((receipt.cost_nanos, receipt.number), (40_000, 1));
    settle(two, tokens(0)).await;
    assert_eq!(metering.held_tokens(), 0);
    assert_eq!(metering.ledger_counted().completion, 20);
}

#[tokio::test]
async fn thresholds_are_told_once_also_when_the_server_starts_again() {
    let world = Arc::new(World::default());
    let budget = |webhook: &str| Budget {
        total_tokens: Some(100),
        mode: BudgetMode::Soft,
        thresholds: vec![50, 90],
        webhook: Some(webhook.to_owned()),
        ..Budget::default()
    };
    let policy = Policy {
        budget: budget("http://tenant"),
        ..Policy::default()
    };
    let pass = |key| pass(key, budget("http://key"), policy.clone());
    let metering = world.metering(noon).await;
    for _ in 0..3 {
        request(&metering, &pass("key_1"), 200, 20).await.unwrap();
    }
    let metering = world.metering(noon).await;
    request(&metering, &pass("key_2"), 30, 30).await.unwrap();
    request(&metering, &pass("key_1"), 30, 30).await.unwrap();
    let told: Vec<_> = world
        .notices
        .lock()
        .iter()
        .map(|(url, notice)| (url.clone(), notice.key.clone(), notice.threshold, notice.spent))
        .collect();
    let (tenant, key) = ("http://tenant".to_owned(), "http://key".to_owned());
    assert_eq!(
        told,
        [
            (tenant.clone(), None, 50, 60),
            (key.clone(), Some("key_1".into()), 50, 60),
            (tenant, None, 90, 90),
            (key, Some("key_1".into()), 90, 90),
        ]
    );
}

#[tokio::test]
async fn rates_and_concurrency_say_when_to_come_again() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let limits = TenantLimits {
        requests_per_minute: Some(3),
        tokens_per_minute: Some(100),
        concurrent_requests: Some(2),
        ..TenantLimits::default()
    };
    let pass = tenant(Budget::default(), limits.clone());
    let fresh = metering.rates(&pass);
    assert_eq!(
        (fresh.requests.unwrap().remaining, fresh.tokens.unwrap().limit),
        (3, 100)
    );
    let one = metering.admit(&pass, purpose()).await.unwrap();
    let two = metering.admit(&pass, purpose()).await.unwrap();
    let busy = metering.admit(&pass, purpose()).await.err().unwrap();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(busy.message().contains("2 requests") && busy.retry_after().is_some());

    one.hold(tokens(80)).await.unwrap();
    let busy = two.hold(tokens(30)).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(busy.retry_after().unwrap() <= Duration::from_secs(6), "{busy}");
    assert_eq!(
        two.hold(tokens(101)).await.unwrap_err().kind(),
        ErrorKind::InvalidRequest
    );
    assert_eq!(metering.held_tokens(), 80);
    let rates = metering.rates(&pass);
    assert!((20..23).contains(&rates.tokens.unwrap().remaining));
    assert_eq!(rates.requests.unwrap().remaining, 1);

    drop(two);
    let three = metering.admit(&pass, purpose()).await.unwrap();
    drop(three);
    let slow_down = metering.admit(&pass, purpose()).await.err().unwrap();
    assert_eq!(slow_down.kind(), ErrorKind::Busy);
    assert!(slow_down.message().contains("3 requests per minute"), "{slow_down}");
    let wait = slow_down.retry_after().unwrap();
    assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(20));
    // A higher limit holds at once.
    let raised = TenantLimits {
        requests_per_minute: Some(30),
        ..limits
    };
    let pass = tenant(Budget::default(), raised);
    assert!(metering.admit(&pass, purpose()).await.is_ok());
    settle(one, tokens(1)).await;
}

#[tokio::test]
async fn what_a_dead_process_left_is_ended_and_billed_with_nothing() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let pass = budgeted(total(100));
    request(&metering, &pass, 10, 10).await.unwrap();
    let one = metering.admit(&pass, purpose()).await.unwrap();
    one.hold(tokens(30)).await.unwrap();
    one.hold(tokens(12)).await.unwrap();
    let two = metering.admit(&pass, purpose()).await.unwrap();
    two.hold(tokens(8)).await.unwrap();
    // The process is gone before it can drop anything.
    std::mem::forget((one, two));

    let metering = world.metering(noon).await;
    let entries = world.entries();
    let left: Vec<_> = entries[1..]
        .iter()
        .map(|entry| (entry.outcome, entry.used, entry.at_most, entry.cost_nanos))
        .collect();
    let abandoned = |most| (Outcome::Abandoned, Usage::default(), Some(tokens(most)), 0);
    assert_eq!(left, [abandoned(42), abandoned(8)]);
    assert_eq!(metering.held_tokens(), 0);
    request(&metering, &pass, 90, 90).await.unwrap();
    assert!(world.abandoned().await.unwrap().is_empty());
    let check = metering.signature_check();
    assert!(world.entries().iter().all(|entry| check(entry).is_none()));
}

#[tokio::test]
async fn a_request_that_is_dropped_ends_what_it_set_aside_and_one_that_did_nothing_leaves_nothing() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let limits = TenantLimits {
        concurrent_requests: Some(1),
        ..TenantLimits::default()
    };
    let pass = tenant(total(10), limits);
    drop(metering.admit(&pass, purpose()).await.unwrap());
    let refused = metering.admit(&pass, purpose()).await.unwrap();
    assert!(refused.hold(tokens(11)).await.is_err());
    settle_later(refused, Usage::default(), Outcome::Refused);
    assert!(world.records.lock().is_empty());

    let fuel = Usage {
        fuel: 5,
        ..Usage::default()
    };
    let guests = metering.admit(&pass, purpose()).await.unwrap();
    guests.hold(fuel).await.unwrap();
    assert!(
        world.records.lock().is_empty(),
        "fuel alone is not written down before it is used"
    );
    settle_later(guests, fuel, Outcome::PluginFailed);

    let begun = metering.admit(&pass, purpose()).await.unwrap();
    begun.hold(tokens(10)).await.unwrap();
    drop(begun);
    let ended: Vec<_> = world
        .entries()
        .iter()
        .map(|entry| (entry.outcome, entry.used))
        .collect();
    assert_eq!(
        ended,
        [(Outcome::PluginFailed, fuel), (Outcome::Cancelled, Usage::default())]
    );
    assert_eq!(metering.held_tokens(), 0);
    let seen: Vec<_> = world.seen.lock().iter().map(|seen| seen.outcome).collect();
    assert_eq!(
        seen,
        [
            Outcome::Cancelled,
            Outcome::Refused,
            Outcome::PluginFailed,
            Outcome::Cancelled
        ],
        "telemetry sees every request once"
    );
}

#[tokio::test]
async fn a_broken_ledger_sets_nothing_aside_and_says_so() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let pass = budgeted(total(100));
    let meter = metering.admit(&pass, purpose()).await.unwrap();
    meter.hold(tokens(40)).await.unwrap();
    *world.broken.lock() = true;
    assert_eq!(meter.hold(tokens(40)).await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(metering.held_tokens(), 40);
    meter.record_usage(|usage| *usage = tokens(40));
    assert_eq!(meter.settle().await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(metering.held_tokens(), 0);
}

#[tokio::test]
async fn what_was_used_is_billed_also_if_it_is_more_than_was_set_aside() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let pass = budgeted(total(100));
    let receipt = request(&metering, &pass, 10, 120).await.unwrap().receipt;
    assert_eq!(receipt.used, tokens(120));
    assert_eq!(metering.held_tokens(), 0);
    assert!(metering.admit(&pass, purpose()).await.is_err());
}

#[tokio::test]
async fn a_dropped_meter_settles_when_the_last_handle_has_reported() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let pass = budgeted(total(100));
    let meter = metering.admit(&pass, purpose()).await.unwrap();
    meter.hold(tokens(50)).await.unwrap();
    let (one, two, guest) = (meter.handle(), meter.handle(), meter.guest_meter());
    meter.record_outcome(Outcome::TimedOut);
    meter.record_outcome(Outcome::EngineFailed);
    one.report(tokens(3), tokens(25));
    drop(meter);
    assert!(guest.handle().is_ok(), "as long as somebody works for it");
    assert!(world.entries().is_empty());
    assert_eq!(metering.held_tokens(), 28);
    two.add(tokens(4));
    drop(two);
    let entry = world.entries().remove(0);
    assert_eq!((entry.outcome, entry.used), (Outcome::TimedOut, tokens(7)));
    assert!(guest.handle().is_err());
    assert_eq!(metering.held_tokens(), 0);
}

#[tokio::test]
async fn settle_waits_for_every_handle_and_happens_once() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let meter = metering.admit(&budgeted(total(100)), purpose()).await.unwrap();
    meter.hold(tokens(50)).await.unwrap();
    let handle = meter.handle();
    let late = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        handle.add(tokens(9));
    });
    let receipt = meter.settle().await.unwrap();
    assert_eq!(receipt.receipt.used, tokens(9));
    late.await.unwrap();
    assert!(meter.settle().await.is_err());
    drop(meter);
    assert_eq!(world.entries().len(), 1);
}

#[tokio::test]
async fn time_is_billed_without_a_key_and_over_a_spent_budget() {
    let world = Arc::new(World::default());
    *world.prices.lock() = PriceList {
        stored_byte_hours: 1_000_000_000,
        ..PriceList::default()
    };
    let metering = world.metering(noon).await;
    let budget = Budget {
        total_micros: Some(10),
        thresholds: vec![100],
        webhook: Some("http://told".into()),
        ..Budget::default()
    };
    let tenant = Tenant {
        id: "acme".parse().unwrap(),
        account: riad_core::Account::new(1),
        name: "Acme".into(),
        created: 0,
        policy: Policy {
            budget: budget.clone(),
            ..Policy::default()
        },
    };
    let used = Usage {
        stored_byte_hours: 7,
        ..Usage::default()
    };
    for _ in 0..2 {
        metering.charge(&tenant, purpose(), used).await.unwrap();
    }
    assert!(world.entries().iter().all(|entry| entry.key.is_none()));
    assert_eq!(world.notices.lock().len(), 1);
    let refused = metering.admit(&budgeted(budget), purpose()).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn keys_that_are_idle_are_forgotten_and_their_sums_are_not() {
    let world = Arc::new(World::default());
    let metering = world.metering(noon).await;
    let keyed = |index: usize| pass(&format!("key_{index}"), total(10), Policy::default());
    request(&metering, &keyed(0), 10, 10).await.unwrap();
    for index in 1..5000 {
        drop(metering.admit(&keyed(index), purpose()).await.unwrap());
    }
    let account = metering.0.accounts.load(&metering.0.writer, riad_core::Account::new(1));
    let known = account
        .await
        .unwrap()
        .with(&metering.0.writer, |state, _| state.known_keys());
    assert!(known <= 4097, "{known}");
    let refused = metering.admit(&keyed(0), purpose()).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    let holds = world
        .records
        .lock()
        .iter()
        .filter(|record| matches!(record, Record::Hold(_)))
        .count();
    assert_eq!(holds, 1);
}
