//! A server that is one of two cells: what is the other one's is answered with 421, whoever asks. Slots: acme 14910, globex 6906.

use super::hello;
use reqwest::Method;
use riad_core::{TenantId, slot::Slot};
use riad_end_to_end::{Answer, TestHost};
use serde_json::json;
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

/// This server is `west`, which has globex; `east` has acme.
const MAP: &str = "default = \"west\"\n\
                   [cells.west]\nurl = \"http://10.0.0.1:8080\"\nslots = [\"0-9999\"]\n\
                   [cells.east]\nurl = \"http://10.0.0.2:8080\"\nslots = [\"10000-16383\"]\n";

async fn west(folder: &TempDir, map: &str) -> TestHost {
    let path = folder.path().join("cells.toml");
    fs::write(&path, map).unwrap();
    let builder = TestHost::builder().max_sequences(1);
    let builder = builder.config(|config| {
        config.cell.name = Some("west".parse().unwrap());
        config.cell.map = Some(path);
    });
    builder.start().await
}

fn misdirected(answer: &Answer) {
    assert_eq!(answer.status, 421, "{}", answer.body);
    assert_eq!(answer.header("riad-cell"), "east");
    assert!(
        answer.body.contains("east") && !answer.body.contains("10.0.0"),
        "{}",
        answer.body
    );
}

/// Nobody has it.
fn made_up_key(tenant: &str) -> String {
    let tenant: TenantId = tenant.parse().unwrap();
    format!("{}{}", Slot::of(&tenant).key_prefix(), "x".repeat(43))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_another_cell_is_not_made_here() {
    let folder = tempfile::tempdir().unwrap();
    let host = west(&folder, MAP).await;
    let body = json!({"id": "acme", "name": "Acme"});
    misdirected(&host.operator.post("/operator/v1/tenants", &body).await);
    host.operator
        .get("/operator/v1/tenants/acme")
        .await
        .refused(404, "not_found");
    let globex = host.tenant("globex").await;
    assert!(globex.key.starts_with("riad_sk_06906_"), "its slot is in its key");
    globex.chat(&hello()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_cell_is_misdirected_not_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let host = west(&folder, MAP).await;
    let stranger = host.caller(&made_up_key("acme"));
    for answer in [
        stranger.get("/v1/models").await,
        stranger.try_chat(&hello()).await,
        stranger.get("/v1/documents/none").await,
        stranger.get("/v1/keys").await,
    ] {
        misdirected(&answer);
        assert_eq!(answer.code(), "misdirected_request");
    }
    // Before the body is read: it is no JSON.
    let request = stranger
        .request(Method::POST, "/v1/documents")
        .body(vec![b'x'; 1 << 20]);
    misdirected(&stranger.send(request).await);
    // In Anthropic's shape, where its clients ask.
    let request = host.caller("").request(Method::POST, "/v1/messages");
    let answer = stranger
        .send(request.header("x-api-key", made_up_key("acme")).json(&json!({})))
        .await;
    misdirected(&answer);
    assert_eq!(answer.text("/type"), "error");
    // A key of this cell's that nobody has, and one that says no slot, are unknown.
    host.caller(&made_up_key("globex"))
        .get("/v1/models")
        .await
        .refused(401, "invalid_api_key");
    host.caller("riad_sk_old")
        .get("/v1/models")
        .await
        .refused(401, "invalid_api_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_changes_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let host = west(
        &folder,
        &MAP.replace("0-9999", "0-16383").replace("\"10000-16383\"", ""),
    )
    .await;
    let acme = host.tenant("acme").await;
    acme.chat(&hello()).await;
    let path = folder.path().join("cells.toml");
    let become_current = async |path: &Path, map: &str, status: u16| {
        fs::write(path, map).unwrap();
        while acme.get("/v1/models").await.status != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    become_current(&path, MAP, 421).await;
    misdirected(&acme.try_chat(&hello()).await);
    misdirected(&acme.get("/v1/keys").await);
    // The operator still sees what is here, to move it.
    host.operator.get("/operator/v1/tenants/acme").await.ok();
    let back = MAP.replace("10000-16383", "16383").replace("0-9999", "0-16382");
    become_current(&path, &back, 200).await;
    acme.chat(&hello()).await;
}
