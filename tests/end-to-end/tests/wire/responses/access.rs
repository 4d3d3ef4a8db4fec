//! Who may read what.

use super::{PATH, get, id, refused, request, respond, with};
use riad_end_to_end::TestHost;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_finds_nothing() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let response = id(&respond(&acme, &request("Hello")).await);
    let own = id(&respond(&globex, &request("Hello")).await);
    get(&globex, &response).await.refused(404, "not_found");
    let items = format!("{PATH}/{response}/input_items");
    globex.get(&items).await.refused(404, "not_found");
    globex
        .delete(&format!("{PATH}/{response}"))
        .await
        .refused(404, "not_found");
    let next = with(request("And?"), &json!({"previous_response_id": response}));
    assert_eq!(refused(&globex, &next).await, "previous_response_id");
    for nothing in ["resp_x", "x%00", "%25", "..", "RESP_1"] {
        let answer = get(&globex, nothing).await;
        assert_eq!(answer.status, 404, "{nothing}: {}", answer.body);
    }
    get(&acme, &response).await.ok();
    get(&globex, &own).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_needs_the_scope_and_to_write_the_role() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let response = id(&respond(&acme, &request("Hello")).await);
    let key = async |role: &str, scope: &str| {
        let body = json!({"name": "k", "role": role, "scopes": [scope]});
        let made = acme.post("/v1/keys", &body).await.ok();
        acme.with_key(made["key"].as_str().unwrap())
    };
    let (reader, other) = (key("read-only", "chat").await, key("admin", "documents").await);
    get(&reader, &response).await.ok();
    reader.get(&format!("{PATH}/{response}/input_items")).await.ok();
    let denied = "insufficient_permissions";
    let next = with(request("And?"), &json!({"previous_response_id": response}));
    for caller in [&reader, &other] {
        caller.post(PATH, &next).await.refused(403, denied);
        caller.delete(&format!("{PATH}/{response}")).await.refused(403, denied);
    }
    get(&other, &response).await.refused(403, denied);
    let referring = request(json!([{"type": "item_reference", "id": format!("msg_{}_0", &response["resp_".len()..])}]));
    other.post(PATH, &referring).await.refused(403, denied);
    get(&other, "resp_x").await.refused(403, denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_in_the_audit_log_and_goes_with_the_room() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let response = id(&respond(&acme, &request("Hello")).await);
    acme.delete(&format!("{PATH}/{response}")).await.ok();
    let audit = acme.get("/v1/audit").await.ok();
    let entry = &audit["data"][0];
    assert_eq!(
        (&entry["action"], &entry["object"]),
        (&json!("response.delete"), &json!(response))
    );
    // A tenant of the same name later has none of it.
    let kept = id(&respond(&acme, &request("Hello")).await);
    host.operator.delete("/operator/v1/tenants/acme").await.ok();
    let again = host.tenant("acme").await;
    get(&again, &kept).await.refused(404, "not_found");
}
