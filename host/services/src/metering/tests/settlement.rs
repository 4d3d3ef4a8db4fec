//! Each request is settled once, however it ends.

use super::*;

#[tokio::test]
async fn only_requests_that_held_tokens_or_used_something_get_entries() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let limits = TenantLimits {
        concurrent_requests: Some(1),
        ..TenantLimits::default()
    };
    let pass = tenant(total(10), limits);
    drop(metering.admit(&pass, purpose()).await.unwrap());
    let refused = metering.admit(&pass, purpose()).await.unwrap();
    assert!(refused.hold(tokens(11)).await.is_err());
    settle_later(refused, Usage::default(), Outcome::Refused);
    assert!(ports.records.lock().is_empty());

    let fuel = Usage {
        fuel: 5,
        ..Usage::default()
    };
    let guests = metering.admit(&pass, purpose()).await.unwrap();
    guests.hold(fuel).await.unwrap();
    assert!(ports.records.lock().is_empty(), "a hold of fuel alone leaves no record");
    settle_later(guests, fuel, Outcome::PluginFailed);

    let dropped = metering.admit(&pass, purpose()).await.unwrap();
    dropped.hold(tokens(10)).await.unwrap();
    drop(dropped);
    let ended: Vec<_> = ports
        .entries()
        .iter()
        .map(|entry| (entry.outcome, entry.used))
        .collect();
    assert_eq!(
        ended,
        [(Outcome::PluginFailed, fuel), (Outcome::Cancelled, Usage::default())]
    );
    assert_eq!(metering.held_tokens(), 0);
    let seen: Vec<_> = ports.requests.lock().iter().map(|request| request.outcome).collect();
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
async fn a_broken_ledger_holds_nothing_and_returns_an_error() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let pass = budgeted(total(100));
    let meter = metering.admit(&pass, purpose()).await.unwrap();
    meter.hold(tokens(40)).await.unwrap();
    *ports.broken.lock() = true;
    assert_eq!(meter.hold(tokens(40)).await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(metering.held_tokens(), 40);
    meter.record_usage(|usage| *usage = tokens(40));
    assert_eq!(meter.settle().await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(metering.held_tokens(), 0);
}

#[tokio::test]
async fn a_dropped_meter_settles_when_the_last_handle_has_reported() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let pass = budgeted(total(100));
    let meter = metering.admit(&pass, purpose()).await.unwrap();
    meter.hold(tokens(50)).await.unwrap();
    let (one, two, guest) = (meter.handle(), meter.handle(), meter.guest_meter());
    meter.record_outcome(Outcome::TimedOut);
    meter.record_outcome(Outcome::EngineFailed);
    one.report(tokens(3), tokens(25));
    drop(meter);
    assert!(guest.handle().is_ok(), "while a handle is open");
    assert!(ports.entries().is_empty());
    assert_eq!(metering.held_tokens(), 28);
    two.add(tokens(4));
    drop(two);
    let entry = ports.entries().remove(0);
    assert_eq!((entry.outcome, entry.used), (Outcome::TimedOut, tokens(7)));
    assert!(guest.handle().is_err());
    assert_eq!(metering.held_tokens(), 0);
}

#[tokio::test]
async fn settle_waits_for_every_handle_and_happens_once() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
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
    assert_eq!(ports.entries().len(), 1);
}

#[tokio::test]
async fn an_observer_is_told_once_how_a_request_ended() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let pass = budgeted(total(100));
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let observed = async || {
        let meter = metering.admit(&pass, purpose()).await.unwrap();
        let seen = seen.clone();
        meter.observe_outcome(move |outcome| seen.lock().push(outcome));
        meter
    };
    let completed = observed().await;
    completed.hold(tokens(1)).await.unwrap();
    completed.settle().await.unwrap();
    assert_eq!(*seen.lock(), [Outcome::Completed], "before the caller has the receipt");
    drop(completed);
    let failed = observed().await;
    failed.record_error(&riad_core::Error::new(ErrorKind::PluginFailed, "it trapped"));
    let handle = failed.handle();
    drop(failed);
    assert_eq!(seen.lock().len(), 1, "somebody still uses something for the request");
    drop(handle);
    drop(observed().await);
    assert_eq!(
        *seen.lock(),
        [Outcome::Completed, Outcome::PluginFailed, Outcome::Cancelled]
    );
}
