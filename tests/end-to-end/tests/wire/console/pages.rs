//! What every page has and does not have, and what tenants and the operator do with them.

use super::reader::{OPERATOR_PAGES, Page, Reader, TENANT_PAGES};
use reqwest::{Method, header};
use riad_end_to_end::{Chat, MODEL, TestHost, files};
use serde_json::{Value, json};

const OPERATOR_KEY: &str = "riad_op_end_to_end_tests";
const PAGE_BYTES: usize = 150 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_small_and_has_no_code_and_no_key() {
    let host = TestHost::start().await;
    let (acme, _) = host.neighbors().await;
    let mut tenant = Reader::sign_in(&host, &acme.key).await;
    let mut operator = Reader::sign_in(&host, OPERATOR_KEY).await;
    let mut stranger = Reader::stranger(&host);
    let mut pages = vec![
        ("/console/sign-in", stranger.get("/console/sign-in").await.ok()),
        ("/console/nothing", tenant.get("/console/nothing").await.refused(404)),
    ];
    for path in TENANT_PAGES {
        pages.push((path, tenant.get(path).await.ok()));
    }
    for path in OPERATOR_PAGES.into_iter().filter(|path| !path.ends_with("/stream")) {
        pages.push((path, operator.get(path).await.ok()));
    }
    for (path, page) in &pages {
        check_headers(path, page);
        assert!(page.html.len() <= PAGE_BYTES, "{path} has {} bytes", page.html.len());
        for key in [acme.key.as_str(), OPERATOR_KEY] {
            assert!(!page.html.contains(key), "{path} shows a key");
        }
        // The policy would refuse all of them, and a page that needs them would not work.
        for code in ["<script>", "style=", "onclick=", "javascript:", "<style"] {
            assert!(!page.html.contains(code), "{path} has {code}");
        }
        assert!(
            page.html.contains("<title>") && page.html.contains("lang=\"en\""),
            "{path}"
        );
    }
    check_assets(&mut stranger, &pages[0].1).await;
}

fn check_headers(path: &str, page: &Page) {
    let header = |name: &str| page.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let policy = header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    for (name, expected) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(header(name), expected, "{path}: {name}");
    }
}

/// All that a page loads is the server's own, and kept for long.
async fn check_assets(reader: &mut Reader, page: &Page) {
    let mut assets = page.between("href=\"/console/assets/", "\"");
    assets.extend(page.between("src=\"/console/assets/", "\""));
    assert!(assets.len() > 1, "{}", page.html);
    for asset in assets {
        let found = reader.get(&format!("/console/assets/{asset}")).await.ok();
        let kept = found.headers[header::CACHE_CONTROL].to_str().unwrap();
        assert!(kept.contains("immutable"), "{asset}: {kept}");
        let (_, name) = asset.split_once('/').unwrap();
        reader
            .get(&format!("/console/assets/0123456789abcdef/{name}"))
            .await
            .refused(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_added_found_asked_about_and_deleted() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    let empty = reader.get("/console/documents").await.ok();
    assert!(empty.html.contains("No documents yet"), "{}", empty.html);
    let text = "The warranty of the Kestrel drill is 37 months. It begins on the day of delivery.";
    let fields = [("title", "Kestrel drill"), ("text", text), ("format", "text")];
    let document = reader.post("/console/documents", &fields).await.taken();
    let page = reader.get(&document).await.ok();
    assert!(page.html.contains("37 months") && page.html.contains("Kestrel drill"));
    let found = reader.get("/console/documents/search?q=warranty").await.ok();
    assert!(
        found.html.contains("<mark>") && found.html.contains(&document),
        "{}",
        found.html
    );
    reader
        .get("/console/documents/search?q=a&diversity=9")
        .await
        .refused(400);

    reader.get("/console/playground").await.ok();
    let question = [
        ("question", "How long is the warranty of the Kestrel drill?"),
        ("model", MODEL),
    ];
    let answer = reader.post("/console/playground", &question).await.ok();
    for part in ["37 months", "grounded", "signature verified", &document] {
        assert!(answer.html.contains(part), "{part}: {}", answer.html);
    }
    let streamed = reader.post("/console/playground/stream", &question).await.ok();
    let events = streamed.between("event: ", "\n");
    assert!(events.contains(&"text"), "{}", streamed.html);
    let end = streamed.between("event: end\ndata: ", "\n");
    let end: Value = serde_json::from_str(end[0]).unwrap();
    assert_eq!(end["receipt"]["fault"], "", "{end}");
    assert!(end["passages"][0].to_string().contains("37 months"), "{end}");
    let unknown = [("question", "Who?"), ("model", "nobody")];
    reader.post("/console/playground", &unknown).await.refused(404);

    let receipts = reader.get("/console/receipts").await.ok();
    let receipt = receipts.between("<pre class=\"wrap\">", "</pre>")[0].to_owned();
    let verified = reader.post("/console/receipts/verify", &[("jws", &receipt)]).await.ok();
    assert!(verified.html.contains("has signed it"), "{}", verified.html);
    let changed = format!("{}AAAA", &receipt[..receipt.len() - 4]);
    let refused = reader.post("/console/receipts/verify", &[("jws", &changed)]).await;
    assert!(refused.html.contains("not a valid receipt"), "{}", refused.html);
    let usage = reader.get("/console/usage?days=7&by=kind").await.ok();
    let csv = usage.between("href=\"/console/api/v1/usage", "\"")[0].replace("&amp;", "&");
    let csv = reader.get(&format!("/console/api/v1/usage{csv}")).await.ok();
    assert!(csv.html.starts_with("start_time,"), "{}", csv.html);

    reader.get(&document).await.ok();
    reader.post(&format!("{document}/delete"), &[]).await.taken();
    reader.get(&document).await.refused(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_deployed_and_rolled_back() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let mut reader = Reader::sign_in(&host, &acme.key).await;
    reader.get("/console/plugins").await.ok();
    let put = "/console/api/v1/plugins/desk";
    for component in [files::PRICE_DESK, files::STANDARD] {
        reader
            .send(Method::PUT, put, "application/wasm", component)
            .await
            .refused(201);
    }
    let broken = reader.send(Method::PUT, put, "application/wasm", "no component").await;
    broken.refused(400);
    let desk = format!("/console/plugins/of/desk/{}", files::digest(files::PRICE_DESK));
    let standard = format!("/console/plugins/of/desk/{}", files::digest(files::STANDARD));
    let prompting = async || acme.get("/v1/pipeline").await.ok()["stages"]["prompting"].to_string();
    reader.post(&format!("{desk}/use"), &[]).await.taken();
    assert!(prompting().await.contains(&files::digest(files::PRICE_DESK)));
    reader.post(&format!("{standard}/use"), &[]).await.taken();
    assert!(prompting().await.contains(&files::digest(files::STANDARD)));
    let page = reader.get("/console/plugins").await.ok();
    assert!(page.html.contains("Roll back to this"), "{}", page.html);
    reader.post(&format!("{desk}/use"), &[]).await.taken();
    assert!(prompting().await.contains(&files::digest(files::PRICE_DESK)));
    let stages = [
        ("prompting", "standard"),
        ("postprocessing", "standard"),
        ("retrieval", "standard"),
    ];
    reader.post("/console/plugins/stages", &stages).await.taken();
    assert!(prompting().await.contains("standard"));
    reader
        .post("/console/plugins/stages", &[("retrieval", "nobody")])
        .await
        .refused(400);
    reader.get("/console/plugins/of/desk").await.ok();
    reader.get("/console/plugins/of/nobody").await.refused(404);
    let settings = [("settings", r#"{"prices": {"Kestrel drill": "99 euros"}}"#)];
    reader.post("/console/plugins/settings/raw", &settings).await.taken();
    assert_eq!(
        acme.get("/v1/settings").await.ok()["prices"]["Kestrel drill"],
        "99 euros"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_changes_and_deletes_a_tenant() {
    let host = TestHost::start().await;
    let mut operator = Reader::sign_in(&host, OPERATOR_KEY).await;
    let empty = operator.get("/console/overview").await.ok();
    assert!(empty.html.contains("no tenants yet"), "{}", empty.html);
    operator.get("/console/tenants").await.ok();
    let made = operator
        .post("/console/tenants", &[("id", "acme"), ("name", "Acme Tools")])
        .await
        .taken();
    let made = operator.get(&made).await.ok();
    let mut tenant = Reader::sign_in(&host, &made.new_key()).await;
    let again = operator
        .post("/console/tenants", &[("id", "acme"), ("name", "Acme")])
        .await;
    again.refused(409);
    let list = operator.get("/console/tenants").await.ok();
    assert!(list.html.contains("Acme Tools") && !list.html.contains(&made.new_key()));
    let policy = r#"{"budget": {"monthly_tokens": 100000}}"#;
    let changed = [("name", "Acme"), ("policy", policy)];
    operator.post("/console/tenants/acme", &changed).await.taken();
    let tenant_now = host.operator.get("/operator/v1/tenants/acme").await.ok();
    assert_eq!(tenant_now["budget"]["monthly_tokens"], 100_000, "{tenant_now}");
    assert!(tenant.get("/console/usage").await.ok().html.contains("100"));
    operator.get("/console/tenants/acme").await.ok();
    operator
        .post("/console/tenants/acme/delete", &[("confirm", "no")])
        .await
        .refused(400);
    operator
        .post("/console/tenants/acme/delete", &[("confirm", "acme")])
        .await
        .taken();
    operator.get("/console/tenants/acme").await.refused(404);
    assert!(tenant.get("/console/documents").await.is_sign_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_who_used_what_and_who_was_refused() {
    let host = TestHost::start().await;
    let acme = host.tenant_with("acme", json!({"weight": 3})).await;
    let globex = host
        .tenant_with("globex", json!({"limits": {"requests_per_minute": 1}}))
        .await;
    for _ in 0..2 {
        acme.chat(&Chat::new("Hello").with("max_tokens", 4)).await;
    }
    globex.chat(&Chat::new("Hello").with("max_tokens", 4)).await;
    for _ in 0..3 {
        let refused = globex.try_chat(&Chat::new("Hello").with("max_tokens", 4)).await;
        assert_eq!(refused.status.as_u16(), 429, "{}", refused.body);
    }
    let mut operator = Reader::sign_in(&host, OPERATOR_KEY).await;
    let fairness = operator.get("/console/fairness").await.ok();
    for part in ["acme", "globex", "75 %", "25 %", "3 over a limit or the queue was full"] {
        assert!(fairness.html.contains(part), "{part}: {}", fairness.html);
    }
    let overview = operator.get("/console/overview").await.ok();
    assert_eq!(overview.between("data-live=\"requests\">", "<"), ["6"]);
    let numbers = operator.first_event("/console/overview/stream").await;
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    assert_eq!(
        (&numbers["requests"], &numbers["errors"]),
        (&"6".into(), &"3 (50 %)".into())
    );

    let rooms = operator.get("/console/rooms").await.ok();
    assert!(rooms.html.contains("GiB"), "{}", rooms.html);
    operator.get("/console/ledger").await.ok();
    let verified = operator.post("/console/ledger", &[]).await.ok();
    assert!(verified.html.contains("Consistent"), "{}", verified.html);
    let export = verified.between("href=\"/console/operator-api/", "\"")[0].replace("&amp;", "&");
    let export = operator.get(&format!("/console/operator-api/{export}")).await.ok();
    assert!(export.html.contains("acme"), "{}", export.html);
    operator
        .get("/console/operator-api/operator/v1/tenants")
        .await
        .refused(404);
    let mut tenant = Reader::sign_in(&host, &acme.key).await;
    tenant
        .get("/console/operator-api/operator/v1/ledger/entries")
        .await
        .refused(404);

    operator.get("/console/plans").await.ok();
    operator
        .post("/console/plans", &[("name", "gold"), ("fuel", "x")])
        .await
        .refused(400);
    operator
        .post("/console/plans", &[("name", "gold"), ("prompt_tokens", "500")])
        .await
        .taken();
    let plans = operator.get("/console/plans").await.ok();
    assert!(plans.html.contains("gold"), "{}", plans.html);
    let audit = operator.get("/console/audit?action=plan").await.ok();
    assert!(
        audit.html.contains("gold") && !audit.html.contains("tenant.create"),
        "{}",
        audit.html
    );
    operator.get("/console/audit?before=x").await.refused(400);

    operator.get("/console/tenants/acme").await.ok();
    let made = operator
        .post("/console/tenants/acme/keys", &[("name", "second"), ("role", "user")])
        .await
        .taken();
    let made = operator.get(&made).await.ok();
    let mut second = Reader::sign_in(&host, &made.new_key()).await;
    let keys = acme.get("/v1/keys").await.ok();
    let key = keys["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "second");
    let revoke = format!(
        "/console/tenants/acme/keys/{}/revoke",
        key.unwrap()["id"].as_str().unwrap()
    );
    operator.post(&revoke, &[]).await.taken();
    assert!(second.get("/console/documents").await.is_sign_in());
}
