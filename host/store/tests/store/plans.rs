//! Price lists: versions are added, never changed.

use crate::host::{Host, entry};
use riad_core::{
    ErrorKind, PlanName,
    audit::AuditQuery,
    price::{Plan, PriceList},
};

#[tokio::test]
async fn standard_is_free_from_the_first_start() {
    let host = Host::new().await;
    let standard = host.store.plans().current(&PlanName::standard()).await.unwrap();
    assert_eq!((standard.version, standard.prices), (1, PriceList::default()));
    assert!(standard.created > 1_700_000_000);
    assert_eq!(host.store.plans().list().await.unwrap(), [standard]);
}

#[tokio::test]
async fn a_plan_gets_versions_and_the_newest_holds() {
    let host = Host::new().await;
    let plans = host.store.plans();
    let (gold, standard): (PlanName, _) = ("gold".parse().unwrap(), PlanName::standard());
    assert_eq!(plans.current(&gold).await.unwrap_err().kind(), ErrorKind::NotFound);
    let priced = |prompt_tokens| PriceList {
        prompt_tokens,
        completion_tokens: u64::MAX,
        ..PriceList::default()
    };
    for (name, price, version) in [(&gold, 10, 1), (&standard, 5, 2), (&gold, 20, 2)] {
        let added = plans
            .add(name, &priced(price), 40 + price, entry("plan.put", name.as_str()))
            .await
            .unwrap();
        let expected = Plan {
            name: name.clone(),
            version,
            prices: priced(price),
            created: 40 + price,
        };
        assert_eq!(added, expected);
        assert_eq!(plans.current(name).await.unwrap(), expected);
    }
    let host = host.reopen(|_| ()).await;
    let listed = host.store.plans().list().await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|plan| (plan.name.as_str(), plan.version, plan.prices.prompt_tokens))
        .collect();
    assert_eq!(
        listed,
        [("gold", 2, 20), ("gold", 1, 10), ("standard", 2, 5), ("standard", 1, 0)]
    );
    let puts = AuditQuery {
        action: Some("plan.put".into()),
        limit: 10,
        ..AuditQuery::default()
    };
    assert_eq!(host.store.audit().list(puts).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn versions_that_are_added_at_once_are_all_there() {
    let host = Host::new().await;
    let mut adding = Vec::new();
    for n in 0..16 {
        let plans = host.store.plans();
        adding.push(tokio::spawn(async move {
            let prices = PriceList {
                fuel: n,
                ..PriceList::default()
            };
            let audit = entry("plan.put", "gold");
            plans
                .add(&"gold".parse().unwrap(), &prices, 1, audit)
                .await
                .unwrap()
                .version
        }));
    }
    let mut versions = Vec::new();
    for added in adding {
        versions.push(added.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=16).collect::<Vec<u32>>());
}
