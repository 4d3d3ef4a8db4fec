//! Requests at the same time: none gets past a budget, and none is refused while there is room.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_requests_37_fit_into_the_budget() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
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
    // A request that held 4 and was refused 6 has released the 4, so that later requests fill the budget: 37 in all.
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
        let ports = Arc::new(FakePorts::default());
        let metering = ports.metering().await;
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
        assert_eq!(ports.holds().len(), 37, "refused requests left nothing on the disk");
        for meter in inside {
            settle(meter, tokens(10)).await;
        }
        assert_eq!((metering.held_tokens(), ports.entries().len()), (0, 37));
        let refused = metering.admit(&pass, purpose()).await;
        if own == Some(370) || of_key == Some(370) {
            assert_eq!(refused.err().unwrap().kind(), ErrorKind::QuotaExceeded);
        }
    }
}
