//! Budgets: windows, prices, thresholds, keys.

use super::*;

#[tokio::test]
async fn a_new_day_renews_the_daily_budget_and_not_the_total() {
    let ports = Arc::new(FakePorts::default());
    ports.clock.set(DAY_MS * 100 + 1);
    let metering = ports.metering().await;
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

    ports.clock.set(DAY_MS * 101);
    let meter = metering.admit(&pass, purpose()).await.unwrap();
    meter.hold(tokens(10)).await.unwrap();
    // Admitted before midnight and settled after it: the usage counts in the new day.
    ports.clock.set(DAY_MS * 102);
    settle(meter, tokens(9)).await;
    let error = request(&metering, &pass, 2, 2).await.unwrap_err();
    assert!(error.message().contains("daily_tokens"), "{error}");
    request(&metering, &pass, 1, 1).await.unwrap();

    ports.clock.set(DAY_MS * 103);
    let error = request(&metering, &pass, 6, 6).await.unwrap_err();
    assert!(error.message().contains("total_tokens"), "{error}");
    request(&metering, &pass, 5, 5).await.unwrap();
    // What the ledger says after a restart is the same.
    let metering = ports.metering().await;
    let error = metering.admit(&pass, purpose()).await.err().unwrap();
    assert!(error.message().contains("total_tokens"), "{error}");
}

#[tokio::test]
async fn money_is_held_at_plan_prices_and_the_rest_is_released() {
    let ports = Arc::new(FakePorts::default());
    *ports.prices.lock() = PriceList {
        completion_tokens: 2_000_000,
        ..PriceList::default()
    };
    let metering = ports.metering().await;
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
    // A price that changes now does not apply to admitted requests.
    *ports.prices.lock() = PriceList::default();
    let receipt = settle(one, tokens(20)).await.receipt;
    assert_eq!((receipt.cost_nanos, receipt.number), (40_000, 1));
    settle(two, tokens(0)).await;
    assert_eq!(metering.held_tokens(), 0);
    assert_eq!(metering.ledger_counted().completion, 20);
}

#[tokio::test]
async fn each_threshold_is_notified_once_even_after_a_restart() {
    let ports = Arc::new(FakePorts::default());
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
    let metering = ports.metering().await;
    for _ in 0..3 {
        request(&metering, &pass("key_1"), 200, 20).await.unwrap();
    }
    let metering = ports.metering().await;
    request(&metering, &pass("key_2"), 30, 30).await.unwrap();
    request(&metering, &pass("key_1"), 30, 30).await.unwrap();
    let notices: Vec<_> = ports
        .notices
        .lock()
        .iter()
        .map(|(url, notice)| (url.clone(), notice.key.clone(), notice.threshold, notice.spent))
        .collect();
    let (tenant, key) = ("http://tenant".to_owned(), "http://key".to_owned());
    assert_eq!(
        notices,
        [
            (tenant.clone(), None, 50, 60),
            (key.clone(), Some("key_1".into()), 50, 60),
            (tenant, None, 90, 90),
            (key, Some("key_1".into()), 90, 90),
        ]
    );
}

#[tokio::test]
async fn usage_beyond_the_hold_is_billed_in_full() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let pass = budgeted(total(100));
    let receipt = request(&metering, &pass, 10, 120).await.unwrap().receipt;
    assert_eq!(receipt.used, tokens(120));
    assert_eq!(metering.held_tokens(), 0);
    assert!(metering.admit(&pass, purpose()).await.is_err());
}

#[tokio::test]
async fn time_is_billed_without_a_key_and_over_a_spent_budget() {
    let ports = Arc::new(FakePorts::default());
    *ports.prices.lock() = PriceList {
        stored_byte_hours: 1_000_000_000,
        ..PriceList::default()
    };
    let metering = ports.metering().await;
    let budget = Budget {
        total_micros: Some(10),
        thresholds: vec![100],
        webhook: Some("http://billing".into()),
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
        succeeds: false,
    };
    let used = Usage {
        stored_byte_hours: 7,
        ..Usage::default()
    };
    for _ in 0..2 {
        metering.charge(&tenant, purpose(), used).await.unwrap();
    }
    assert!(ports.entries().iter().all(|entry| entry.key.is_none()));
    assert_eq!(ports.notices.lock().len(), 1);
    let refused = metering.admit(&budgeted(budget), purpose()).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn idle_keys_leave_memory_and_their_sums_are_kept() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
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
    let holds = ports
        .records
        .lock()
        .iter()
        .filter(|record| matches!(record, Record::Hold(_)))
        .count();
    assert_eq!(holds, 1);
}
