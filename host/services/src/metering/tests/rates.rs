//! Limits per minute and on requests at the same time.

use super::*;

#[tokio::test]
async fn rate_and_concurrency_limits_say_when_to_retry() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
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
    // A higher limit applies at once.
    let raised = TenantLimits {
        requests_per_minute: Some(30),
        ..limits
    };
    let pass = tenant(Budget::default(), raised);
    assert!(metering.admit(&pass, purpose()).await.is_ok());
    settle(one, tokens(1)).await;
}
