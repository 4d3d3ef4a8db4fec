//! The chain of receipts, across requests and processes.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_requests_form_one_chain_in_ledger_order() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let pass = budgeted(Budget::default());
    let requests = (0..64).map(|index| {
        let (metering, pass) = (metering.clone(), pass.clone());
        tokio::spawn(async move { request(&metering, &pass, 64, index).await.unwrap() })
    });
    join_all(requests).await;
    // The next process continues the chain.
    let metering = ports.metering().await;
    request(&metering, &pass, 1, 1).await.unwrap();

    let entries = ports.entries();
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
        "the check finds an entry that differs from its receipt"
    );
}

#[tokio::test]
async fn holds_of_a_dead_process_are_billed_with_nothing() {
    let ports = Arc::new(FakePorts::default());
    let metering = ports.metering().await;
    let pass = budgeted(total(100));
    request(&metering, &pass, 10, 10).await.unwrap();
    let one = metering.admit(&pass, purpose()).await.unwrap();
    one.hold(tokens(30)).await.unwrap();
    one.hold(tokens(12)).await.unwrap();
    let two = metering.admit(&pass, purpose()).await.unwrap();
    two.hold(tokens(8)).await.unwrap();
    // The process is gone before it can drop anything.
    std::mem::forget((one, two));

    let metering = ports.metering().await;
    let entries = ports.entries();
    let left: Vec<_> = entries[1..]
        .iter()
        .map(|entry| (entry.outcome, entry.used, entry.at_most, entry.cost_nanos))
        .collect();
    let abandoned = |most| (Outcome::Abandoned, Usage::default(), Some(tokens(most)), 0);
    assert_eq!(left, [abandoned(42), abandoned(8)]);
    assert_eq!(metering.held_tokens(), 0);
    request(&metering, &pass, 90, 90).await.unwrap();
    assert!(ports.abandoned().await.unwrap().is_empty());
    let check = metering.signature_check();
    assert!(ports.entries().iter().all(|entry| check(entry).is_none()));
}
