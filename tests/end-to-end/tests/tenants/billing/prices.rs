//! Plans and their versions: what was billed keeps its price.

use super::{PRICES, QUESTION, around_now, assert_closes, number, priced, put_plan, results, sum, used};
use riad_core::price::PriceList;
use riad_end_to_end::{Chat, TestHost};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_price_applies_to_later_requests_only() {
    let host = priced().await;
    let twice = PriceList {
        completion_tokens: 2 * PRICES.completion_tokens,
        ..PRICES
    };
    let only_requests = PriceList {
        requests: 1_000_000_000_000,
        ..PriceList::default()
    };
    assert_eq!(put_plan(&host, "gold", &PRICES).await, 1);
    let acme = host.tenant_with("acme", json!({"plan": "gold"})).await;
    let chat = Chat::new(QUESTION);

    acme.chat(&chat).await;
    assert_eq!(put_plan(&host, "gold", &twice).await, 2);
    let first_as_it_was = host.entries("acme").await;
    acme.chat(&chat).await;
    assert_eq!(put_plan(&host, "flat", &only_requests).await, 1);
    host.change("acme", json!({"plan": "flat"})).await;
    let answer = acme.chat(&chat).await;
    assert_eq!(
        (
            &answer["riad"]["receipt"]["plan"],
            number(&answer["riad"]["receipt"], "plan_version")
        ),
        (&"flat".into(), 1)
    );

    let entries = host.entries("acme").await;
    assert_eq!(entries[..1], first_as_it_was);
    let paid: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry["plan"].as_str().unwrap(),
                number(entry, "plan_version"),
                number(entry, "cost_nanos"),
            )
        })
        .collect();
    let of = |index: usize, prices: &PriceList| prices.nanos(&used(&entries[index]));
    assert_eq!(
        paid,
        [
            ("gold", 1, of(0, &PRICES)),
            ("gold", 2, of(1, &twice)),
            ("flat", 1, 1_000_000_000)
        ],
        "a request of a million units per million is one unit"
    );

    // What is paid is the sum, and an invoice has a line for each version.
    let costs = results(&acme, &format!("/v1/costs?{}", around_now())).await;
    let amount = &costs[0]["amount"];
    let nanos = sum(&entries, "cost_nanos");
    assert_eq!(number(amount, "nanos"), nanos);
    assert!((amount["value"].as_f64().unwrap() - nanos as f64 / 1e9).abs() < 1e-9);
    let rollups = host
        .operator
        .get("/operator/v1/rollups?start_time=0&tenant=acme")
        .await
        .status;
    assert_eq!(rollups, 400, "a span of many years is refused");
    let rollups = host
        .operator
        .get(&format!("/operator/v1/rollups?{}&tenant=acme", around_now()))
        .await
        .ok();
    let mut lines: Vec<_> = rollups["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["plan"].as_str().unwrap(),
                number(line, "plan_version"),
                number(line, "cost_nanos"),
            )
        })
        .collect();
    lines.sort_unstable();
    let mut paid = paid;
    paid.sort_unstable();
    assert_eq!(lines, paid);

    let plans = host.operator.get("/operator/v1/plans").await.ok();
    let versions: Vec<_> = plans["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| (plan["name"].as_str().unwrap(), number(plan, "version")))
        .collect();
    assert_eq!(versions[..3], [("flat", 1), ("gold", 2), ("gold", 1)]);
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_plans_and_unknown_plan_names_are_refused() {
    let host = TestHost::builder().max_sequences(1).start().await;
    host.tenant("acme").await;
    for (prices, word) in [
        (json!({"prompt_token": 1}), "prompt_token"),
        (json!({"fuel": -1}), "fuel"),
        (json!({"fuel": 0.5}), "fuel"),
        (json!([]), "object"),
    ] {
        let answer = host.operator.put("/operator/v1/plans/gold", &prices).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.message().contains(word), "{}", answer.body);
    }
    let bad = host.operator.put("/operator/v1/plans/Gold", &json!({})).await;
    assert_eq!(
        (bad.status.as_u16(), bad.text("/error/param")),
        (400, "name".into()),
        "{}",
        bad.body
    );
    let nobody = json!({"plan": "gold"});
    let answer = host.operator.patch("/operator/v1/tenants/acme", &nobody).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text("/error/param")),
        (400, "plan".into()),
        "{}",
        answer.body
    );
    assert!(
        answer.message().contains("PUT /operator/v1/plans/gold"),
        "{}",
        answer.body
    );
    let tenant = host.operator.get("/operator/v1/tenants/acme").await.ok();
    assert_eq!(tenant["plan"], Value::from("standard"));
}
