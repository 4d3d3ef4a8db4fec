//! `PATCH /operator/v1/tenants/{id}`: what changes, what stays, what is refused.

use super::{assert_no_quota, short};
use riad_end_to_end::TestHost;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_sets_members_null_removes_them_the_rest_stays() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let acme = host
        .tenant_with(
            "acme",
            json!({"weight": 3, "budget": {"total_tokens": 100_000}, "limits": {"requests_per_minute": 60}}),
        )
        .await;
    let path = "/operator/v1/tenants/acme";
    let first = host.operator.get(path).await.ok();
    assert_eq!((&first["weight"], &first["plan"]), (&3.into(), &"standard".into()));
    assert_eq!(first["budget"]["total_tokens"], 100_000);

    let changed = host
        .change(
            "acme",
            json!({"budget": {"monthly_tokens": 5000, "thresholds": [80, 100]}}),
        )
        .await;
    assert_eq!(changed["budget"]["total_tokens"], 100_000);
    assert_eq!(
        (&changed["budget"]["monthly_tokens"], &changed["budget"]["thresholds"]),
        (&5000.into(), &json!([80, 100]))
    );
    assert_eq!((&changed["weight"], &changed["limits"]), (&3.into(), &first["limits"]));
    let changed = host
        .change(
            "acme",
            json!({"budget": {"total_tokens": null}, "name": " Acme Tools "}),
        )
        .await;
    assert_eq!(
        (&changed["budget"]["total_tokens"], &changed["name"]),
        (&Value::Null, &"Acme Tools".into())
    );
    assert_eq!(changed["budget"]["monthly_tokens"], 5000);
    let changed = host
        .change("acme", json!({"budget": null, "limits": null, "weight": null}))
        .await;
    assert_eq!(
        (&changed["budget"]["monthly_tokens"], &changed["weight"]),
        (&Value::Null, &1.into())
    );
    assert_eq!(changed["limits"], json!({"service_tier": "default"}));
    assert_eq!(host.change("acme", json!({})).await, changed);
    assert_eq!(host.operator.get(path).await.ok(), changed);

    // It holds for the next request, on a connection that is open.
    acme.chat(&short()).await;
    host.change("acme", json!({"budget": {"total_tokens": 1}})).await;
    assert_no_quota(acme.try_chat(&short()).await, &["total_tokens", "tenant", "1 tokens"]);
    host.change("acme", json!({"budget": {"total_tokens": null}})).await;
    acme.chat(&short()).await;
    // And for a server that starts with it.
    host.change("acme", json!({"budget": {"total_tokens": 1}})).await;
    let key = acme.key.clone();
    let host = host.restart().await;
    assert_no_quota(host.caller(&key).try_chat(&short()).await, &["total_tokens"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_policy_is_refused_by_name_and_changes_nothing() {
    let host = TestHost::builder().max_sequences(1).start().await;
    host.tenant_with("acme", json!({"budget": {"total_tokens": 7}})).await;
    let path = "/operator/v1/tenants/acme";
    let before = host.operator.get(path).await.ok();
    for (patch, word) in [
        (json!({"budgets": {"total_tokens": 1}}), "budgets"),
        (json!({"budget": {"total_token": 1}}), "total_token"),
        (json!({"budget": {"total_tokens": -1}}), "-1"),
        (json!({"budget": {"total_tokens": 1.5}}), "1.5"),
        (json!({"budget": {"total_tokens": "1"}}), "\"1\""),
        (json!({"budget": {"mode": "firm"}}), "firm"),
        (json!({"budget": {"thresholds": [0]}}), "thresholds"),
        (json!({"budget": {"thresholds": [1001]}}), "thresholds"),
        (json!({"budget": {"webhook": "ftp://example.org"}}), "http://"),
        (json!({"budget": 5}), "5"),
        (json!({"limits": {"requests_per_minute": 0}}), "requests_per_minute"),
        (json!({"limits": {"tokens_per_hour": 1}}), "tokens_per_hour"),
        (json!({"limits": {"service_tier": "gold"}}), "gold"),
        (json!({"weight": 0}), "weight"),
        (json!({"weight": 1001}), "weight"),
        (json!({"plan": "nothing"}), "nothing"),
        (json!({"plan": "No Name"}), "a plan name"),
        (json!({"name": ""}), "1 to 128"),
        (json!({"id": "other"}), "id"),
        (json!({"account": 1}), "account"),
        (json!([]), "object"),
    ] {
        let answer = host.operator.patch(path, &patch).await;
        assert_eq!(answer.status, 400, "{patch}: {}", answer.body);
        assert!(answer.message().contains(word), "{patch}: {}", answer.message());
        assert_eq!(host.operator.get(path).await.ok(), before, "{patch}");
    }
    host.operator
        .patch("/operator/v1/tenants/nobody", &json!({}))
        .await
        .refused(404, "not_found");
    // At its birth as well.
    for (policy, word) in [(json!({"budgets": {}}), "budgets"), (json!({"weight": 0}), "weight")] {
        let mut body = policy;
        (body["id"], body["name"]) = ("other".into(), "Other".into());
        let answer = host.operator.post("/operator/v1/tenants", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.message().contains(word), "{}", answer.message());
    }
    host.operator
        .get("/operator/v1/tenants/other")
        .await
        .refused(404, "not_found");
}
