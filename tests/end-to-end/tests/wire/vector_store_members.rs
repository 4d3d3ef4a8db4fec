//! Lists, members and searches of `/v1/vector_stores` in their corners: what leaves while it is read, numbers that are exact, queries that are reworded.

use crate::vector_stores::{PATH, add, id, keep, make, search};
use riad_end_to_end::TestHost;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_remove_what_it_lists() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let mut files = Vec::new();
    for number in 0..7 {
        let text = format!("The pump number {number}.");
        files.push(keep(&tenant, &format!("{number}.txt"), text.as_bytes()).await);
    }
    let store = make(&tenant, json!({})).await;
    let path = format!("{PATH}/{store}/files");
    // In another order than they were sent.
    for file in files.iter().rev() {
        add(&tenant, &store, json!({"file_id": file})).await;
    }
    let mut after = String::new();
    let mut removed = Vec::new();
    loop {
        let page = tenant.get(&format!("{path}?order=asc&limit=2{after}")).await.ok();
        for file in page["data"].as_array().unwrap() {
            // From the store, or altogether.
            let gone = match removed.len() % 2 {
                0 => format!("{path}/{}", id(file)),
                _ => format!("/v1/files/{}", id(file)),
            };
            tenant.delete(&gone).await.ok();
            removed.push(id(file));
        }
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", removed.last().unwrap());
    }
    removed.reverse();
    assert_eq!(removed, files);
    // The same holds for the list of stores, and of files.
    let other = make(&tenant, json!({})).await;
    tenant.delete(&format!("{PATH}/{store}")).await.ok();
    let listed = tenant.get(&format!("{PATH}?order=asc&after={store}")).await.ok();
    assert_eq!(
        listed["data"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(),
        std::slice::from_ref(&other)
    );
    let listed = tenant
        .get(&format!("/v1/files?order=asc&after={}", files[0]))
        .await
        .ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    // What never can have been in a list is no place in it.
    let path = format!("{PATH}/{other}/files");
    for (path, param) in [
        (format!("{path}?after={}", files[1]), "after"),
        (format!("{path}?before=file-none"), "before"),
        (format!("{path}?before=NO"), "before"),
        (format!("{PATH}?after=NO"), "after"),
        (format!("{PATH}?before=NO"), "before"),
        ("/v1/files?after=NO".to_owned(), "after"),
        ("/v1/documents?after=NO".to_owned(), "after"),
    ] {
        let refused = tenant.get(&path).await.refused(400, "");
        assert_eq!(refused.text("/error/param"), param, "{path}: {}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_described_and_its_numbers_are_exact() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let made = tenant
        .post(PATH, &json!({"name": "a", "description": "What we sell."}))
        .await
        .ok();
    let store = id(&made);
    assert_eq!(made["description"], "What we sell.");
    assert_eq!(
        tenant.get(&format!("{PATH}/{store}")).await.ok()["description"],
        "What we sell."
    );
    let changed = tenant
        .post(&format!("{PATH}/{store}"), &json!({"name": "b"}))
        .await
        .ok();
    assert_eq!(
        (&changed["name"], &changed["description"]),
        (&json!("b"), &json!("What we sell."))
    );
    assert_eq!(tenant.post(PATH, &json!({})).await.ok()["description"], Value::Null);

    let file = keep(&tenant, "a.txt", b"The pump.").await;
    let greatest = 1_u64 << 53;
    let added = add(
        &tenant,
        &store,
        json!({"file_id": file, "attributes": {"a": greatest, "b": -1.5}}),
    )
    .await;
    assert_eq!(added["attributes"], json!({"a": greatest, "b": -1.5}));
    let by = |value: Value| json!({"query": "pump", "filters": {"type": "eq", "key": "a", "value": value}});
    let found = search(&tenant, &store, by(json!(greatest))).await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    // A number that would be taken for its neighbor.
    for number in ["9007199254740993", "-9007199254740993", "18446744073709551616", "1e300"] {
        let number: Value = serde_json::from_str(number).unwrap();
        let change = json!({"attributes": {"a": number}});
        let refused = tenant
            .post(&format!("{PATH}/{store}/files/{file}"), &change)
            .await
            .refused(400, "");
        assert_eq!(refused.text("/error/param"), "attributes", "{}", refused.body);
        assert!(refused.message().contains("9007199254740992"), "{}", refused.message());
        let refused = tenant
            .post(&format!("{PATH}/{store}/search"), &by(number))
            .await
            .refused(400, "");
        assert_eq!(refused.text("/error/param"), "filters", "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_words_a_query_that_is_to_be_rewritten() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let store = make(&tenant, json!({})).await;
    let file = keep(&tenant, "pump.txt", b"The pump in the hall hums at night.").await;
    add(&tenant, &store, json!({"file_id": file})).await;
    let path = format!("{PATH}/{store}/search");
    let query = "Could you please tell me what hums in the hall?";
    let plain = tenant
        .post(&path, &json!({"query": query, "rewrite_query": false}))
        .await
        .ok();
    assert_eq!(plain["search_query"], json!([query]));
    let worded = tenant
        .post(&path, &json!({"query": query, "rewrite_query": true}))
        .await
        .ok();
    let searched = worded["search_query"].as_array().unwrap();
    assert_eq!(searched.len(), 1, "{worded}");
    assert!(!searched[0].as_str().unwrap().is_empty() && !searched[0].as_str().unwrap().contains('\n'));
    // What was searched is what is named.
    let again = tenant.post(&path, &json!({"query": searched[0]})).await.ok();
    assert_eq!(again["data"], worded["data"]);
    // It is a search in the ledger, with the tokens of a generation.
    let entries = host.entries("acme").await;
    let searches: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "search").collect();
    assert_eq!(searches.len(), 3, "{entries:?}");
    for (entry, generates) in searches.into_iter().zip([false, true, false]) {
        assert_eq!(entry["completion_tokens"].as_u64().unwrap() > 0, generates, "{entry}");
        assert_eq!(entry["prompt_tokens"].as_u64().unwrap() > 0, generates, "{entry}");
        assert!(entry["embedded_tokens"].as_u64().unwrap() > 0, "{entry}");
    }
    // Whoever may not chat has no generations.
    let body = json!({"name": "searches", "role": "user", "scopes": ["documents"]});
    let searches = tenant.with_key(&tenant.post("/v1/keys", &body).await.text("/key"));
    searches.post(&path, &json!({"query": "pump"})).await.ok();
    let refused = searches
        .post(&path, &json!({"query": "pump", "rewrite_query": true}))
        .await;
    assert_eq!(refused.status, 403, "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_attributes_is_refused() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let store = make(&tenant, json!({})).await;
    let file = keep(&tenant, "pump.txt", b"The pump hums.").await;
    add(&tenant, &store, json!({"file_id": file, "attributes": {"hall": 3}})).await;
    let path = format!("{PATH}/{store}/files/{file}");
    let refused = tenant.post(&path, &json!({})).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("attributes"), "{}", refused.body);
    assert_eq!(tenant.get(&path).await.ok()["attributes"], json!({"hall": 3}));
    tenant.post(&path, &json!({"attributes": null})).await.ok();
    assert_eq!(tenant.get(&path).await.ok()["attributes"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_no_list_has_is_refused_by_name() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    for path in ["/v1/files", "/v1/vector_stores", "/v1/documents"] {
        let refused = tenant.get(&format!("{path}?after=unknown")).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.body);
        assert_eq!(refused.json()["error"]["param"], "after", "{path}: {}", refused.body);
    }
    let refused = tenant.get("/v1/vector_stores?before=unknown").await;
    assert_eq!(refused.json()["error"]["param"], "before", "{}", refused.body);
}
