//! What people, their files, plugins and the model wrote is text on every page.

use super::reader::Reader;
use reqwest::Method;
use riad_end_to_end::{MODEL, TestHost, files};
use serde_json::json;

const SCRIPT: &str = "<script>hacked()</script><img src=x onerror=hacked()>\"'><b>bold</b>";
/// What of it would be code if it stood in a page as it is.
const RAW: [&str; 3] = ["<script>hacked", "<img src=x", "<b>bold"];

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_is_text_on_every_page() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    host.change("acme", json!({"name": SCRIPT})).await;
    let mut tenant = Reader::sign_in(&host, &acme.key).await;
    let mut operator = Reader::sign_in(&host, "riad_op_end_to_end_tests").await;

    tenant.get("/console/documents").await.ok();
    let text = format!("The code of the vault is 4711. {SCRIPT}");
    let fields = [("title", SCRIPT), ("text", text.as_str()), ("format", "text")];
    let document = tenant.post("/console/documents", &fields).await.taken();
    let boundary = "XX";
    let part = "content-disposition: form-data; name=\"file\"; filename=\"<b>bold<img src=x>.txt\"\r\ncontent-type: text/plain";
    let upload = format!("--{boundary}\r\n{part}\r\n\r\n{text}\r\n--{boundary}--\r\n");
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let added = tenant
        .send(Method::POST, "/console/api/v1/documents", &content_type, upload)
        .await;
    assert!(added.status.is_success(), "{}", added.html);
    acme.put("/v1/settings", &json!({"shop": SCRIPT})).await.ok();
    let named = json!({"name": SCRIPT, "role": "user"});
    acme.post("/v1/keys", &named).await.ok();

    let question = format!("What is the code of the vault? {SCRIPT}");
    tenant.get("/console/playground").await.ok();
    let asked = tenant
        .post("/console/playground", &[("question", &question), ("model", MODEL)])
        .await
        .ok();
    // A setting that the plugin cannot read is what it says in its log.
    acme.deploy("desk", files::PRICE_DESK, &["prompting"]).await;
    acme.put("/v1/settings", &json!({"shop": SCRIPT, "prices": SCRIPT}))
        .await
        .ok();
    let failed = tenant
        .post("/console/playground", &[("question", &question), ("model", MODEL)])
        .await
        .refused(422);
    let logged = acme.get("/v1/logs").await.ok().to_string();
    assert!(logged.contains("<b>bold"), "{logged}");
    let mut shown = vec![("the answer", asked), ("an answer that failed", failed)];
    for path in [
        document.as_str(),
        "/console/playground",
        "/console/documents",
        "/console/documents/search?q=vault",
        "/console/documents/search?q=%3Cscript%3Ehacked()%3C/script%3E%22%27%3E%3Cb%3Ebold",
        "/console/plugins",
        "/console/plugins/settings",
        "/console/plugins/of/desk",
        "/console/plugins/logs",
        "/console/usage?by=key",
        "/console/keys",
        "/console/receipts",
    ] {
        shown.push((path, tenant.get(path).await.ok()));
    }
    for path in [
        "/console/overview",
        "/console/tenants",
        "/console/tenants/acme",
        "/console/fairness",
        "/console/rooms",
        "/console/audit",
    ] {
        shown.push((path, operator.get(path).await.ok()));
    }
    for path in ["/console/documents/%3Cb%3Ebold", "/console/adapters/%3Cb%3Ebold"] {
        shown.push((path, tenant.get(path).await.refused(404)));
    }
    for (path, page) in &shown {
        for raw in RAW {
            assert!(!page.html.contains(raw), "{path} has {raw}: {}", page.html);
        }
    }
    let log = shown.iter().find(|(path, _)| *path == "/console/plugins/logs").unwrap();
    assert!(log.1.html.contains("&lt;b&gt;bold"), "the log line is not shown");
    let escaped = shown.iter().filter(|(_, page)| page.html.contains("&lt;b&gt;bold"));
    assert!(escaped.count() > 6, "what was written is not shown");
}
