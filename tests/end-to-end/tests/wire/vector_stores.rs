//! `/v1/vector_stores` over a real server: what is added is found when the answer is there, batches end, jobs go on after a restart, and
//! answers cite files.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use riad_end_to_end::{MODEL, Stream, Tenant, TestHost};
use serde_json::{Value, json};
use std::time::Duration;

pub const PATH: &str = "/v1/vector_stores";
const MANUAL: &[u8] = include_bytes!("../../files/manual.pdf");

pub async fn keep(tenant: &Tenant, name: &str, bytes: &[u8]) -> String {
    let file = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    let form = Form::new().text("purpose", "assistants").part("file", file);
    let answer = tenant
        .send(tenant.request(Method::POST, "/v1/files").multipart(form))
        .await;
    id(&answer.ok())
}

pub fn id(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

pub async fn make(tenant: &Tenant, body: Value) -> String {
    id(&tenant.post(PATH, &body).await.ok())
}

pub async fn add(tenant: &Tenant, store: &str, body: Value) -> Value {
    tenant.post(&format!("{PATH}/{store}/files"), &body).await.ok()
}

pub async fn search(tenant: &Tenant, store: &str, body: Value) -> Value {
    let found = tenant.post(&format!("{PATH}/{store}/search"), &body).await.ok();
    assert_eq!(found["object"], "vector_store.search_results.page");
    found["data"].clone()
}

/// Asks until nothing waits any more.
async fn ended(tenant: &Tenant, path: &str) -> Value {
    loop {
        let found = tenant.get(path).await.ok();
        if found["file_counts"]["in_progress"] == 0 {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_found_when_the_answer_is_there() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let store = make(&tenant, json!({"name": "manuals", "metadata": {"team": "tools"}})).await;
    let manual = keep(&tenant, "manual.pdf", MANUAL).await;
    let strategy = json!({"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 20}});
    let attributes = json!({"year": 2026, "public": true, "kind": "manual"});
    let body = json!({"file_id": manual, "attributes": attributes, "chunking_strategy": strategy});
    let added = add(&tenant, &store, body).await;
    assert_eq!(
        (
            &added["status"],
            &added["last_error"],
            &added["attributes"],
            &added["chunking_strategy"]
        ),
        (&json!("completed"), &Value::Null, &attributes, &strategy)
    );
    let found = search(
        &tenant,
        &store,
        json!({"query": "Kestrel drill warranty", "max_num_results": 1}),
    )
    .await;
    let best = &found[0];
    assert_eq!(
        (&best["file_id"], &best["filename"]),
        (&json!(manual), &json!("manual.pdf"))
    );
    assert!(
        best["content"][0]["text"].as_str().unwrap().contains("37 months"),
        "{best}"
    );
    assert_eq!(best["attributes"], attributes);
    let score = best["score"].as_f64().unwrap();
    assert!(score > 0.0 && score <= 1.0, "{score}");
    // A file in a store is none of the room's own documents.
    assert_eq!(tenant.get("/v1/documents").await.ok()["data"], json!([]));
    let own = tenant
        .post("/v1/search", &json!({"query": "Kestrel drill warranty"}))
        .await
        .ok();
    assert_eq!(own["data"], json!([]));

    for (filters, is_found) in [
        (json!({"type": "eq", "key": "year", "value": 2026}), true),
        (json!({"type": "gt", "key": "year", "value": 2026}), false),
        (json!({"type": "in", "key": "kind", "value": ["bill", "manual"]}), true),
        (
            json!({"type": "and", "filters": [{"type": "eq", "key": "public", "value": true},
            {"type": "ne", "key": "kind", "value": "manual"}]}),
            false,
        ),
    ] {
        let found = search(&tenant, &store, json!({"query": "warranty", "filters": filters})).await;
        assert_eq!(found.as_array().unwrap().is_empty(), !is_found, "{filters}");
    }
    let high = json!({"query": "warranty", "ranking_options": {"ranker": "auto", "score_threshold": 1.0}});
    assert!(search(&tenant, &store, high).await.as_array().unwrap().len() <= 1);

    let path = format!("{PATH}/{store}/files/{manual}");
    let content = tenant.get(&format!("{path}/content")).await.ok();
    assert!(content["data"][0]["text"].as_str().unwrap().contains("37 months"));
    let changed = tenant.post(&path, &json!({"attributes": {"year": 2027}})).await.ok();
    assert_eq!(changed["attributes"], json!({"year": 2027}));
    let later = json!({"query": "warranty", "filters": {"type": "eq", "key": "year", "value": 2027}});
    assert!(!search(&tenant, &store, later).await.as_array().unwrap().is_empty());

    let shown = tenant.get(&format!("{PATH}/{store}")).await.ok();
    assert_eq!(
        (&shown["status"], &shown["file_counts"]["completed"]),
        (&json!("completed"), &json!(1))
    );
    assert!(shown["usage_bytes"].as_u64().unwrap() > 0);
    tenant.delete(&path).await.ok();
    assert_eq!(search(&tenant, &store, json!({"query": "warranty"})).await, json!([]));
    assert_eq!(id(&tenant.get(&format!("/v1/files/{manual}")).await.ok()), manual);
    let deleted = tenant.delete(&format!("{PATH}/{store}")).await.ok();
    assert_eq!(
        deleted,
        json!({"id": store, "object": "vector_store.deleted", "deleted": true})
    );
    tenant.get(&format!("{PATH}/{store}")).await.refused(404, "not_found");
    let actions = tenant.get("/v1/audit").await.ok();
    let actions = actions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["action"].as_str().unwrap());
    for action in [
        "vector_store.create",
        "vector_store_file.create",
        "vector_store_file.delete",
        "vector_store.delete",
    ] {
        assert!(actions.clone().any(|found| found == action), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_ends_with_what_became_of_each_file() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let mut files = Vec::new();
    for number in 0..5 {
        files.push(
            keep(
                &tenant,
                &format!("{number}.txt"),
                format!("The pump number {number}.").as_bytes(),
            )
            .await,
        );
    }
    let noise: Vec<u8> = (0..=255).collect();
    files.push(keep(&tenant, "noise.bin", &noise).await);
    let store = make(&tenant, json!({})).await;
    let path = format!("{PATH}/{store}/file_batches");
    let batch = tenant
        .post(&path, &json!({"file_ids": files, "attributes": {"a": 1}}))
        .await
        .ok();
    assert_eq!(batch["object"], "vector_store.files_batch");
    let batch = ended(&tenant, &format!("{path}/{}", id(&batch))).await;
    assert_eq!(
        (
            &batch["status"],
            &batch["file_counts"]["completed"],
            &batch["file_counts"]["failed"]
        ),
        (&json!("completed"), &json!(5), &json!(1))
    );
    let failed = tenant
        .get(&format!("{path}/{}/files?filter=failed", id(&batch)))
        .await
        .ok();
    assert_eq!(failed["data"][0]["last_error"]["code"], "unsupported_file", "{failed}");
    let found = search(&tenant, &store, json!({"query": "pump", "max_num_results": 50})).await;
    assert_eq!(found.as_array().unwrap().len(), 5);
    // Page by page, in both directions.
    let list = async |query: &str| {
        let page = tenant.get(&format!("{PATH}/{store}/files?{query}")).await.ok();
        let ids: Vec<_> = page["data"].as_array().unwrap().iter().map(id).collect();
        (ids, page["has_more"].as_bool().unwrap())
    };
    assert_eq!(list("order=asc&limit=2").await, (files[..2].to_vec(), true));
    assert_eq!(
        list(&format!("order=asc&limit=4&after={}", files[1])).await,
        (files[2..].to_vec(), false)
    );
    assert_eq!(
        list(&format!("order=asc&limit=2&before={}", files[3])).await,
        (files[1..3].to_vec(), true)
    );
    // A file that is deleted leaves the store.
    tenant.delete(&format!("/v1/files/{}", files[0])).await.ok();
    assert_eq!(list("order=asc&limit=1").await.0, files[1..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_on_after_a_restart() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let mut files = Vec::new();
    for number in 0..30 {
        let text = format!("The pump number {number}. ").repeat(200);
        files.push(keep(&tenant, &format!("{number}.txt"), text.as_bytes()).await);
    }
    let store = make(&tenant, json!({"file_ids": files})).await;
    let key = tenant.key.clone();
    let host = host.restart().await;
    let tenant = host.caller(&key);
    let path = format!("{PATH}/{store}");
    loop {
        let found = tenant.get(&path).await.ok();
        if found["file_counts"]["in_progress"] == 0 {
            assert_eq!(found["file_counts"]["completed"], 30, "{found}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_searches_the_stores_that_it_names() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let own = json!({"title": "Own", "text": "The Kestrel drill of the room has 11 gears."});
    tenant.post("/v1/documents", &own).await.ok();
    let store = make(&tenant, json!({})).await;
    let manual = keep(&tenant, "manual.pdf", MANUAL).await;
    add(&tenant, &store, json!({"file_id": manual})).await;
    let tool = json!({"type": "file_search", "vector_store_ids": [store], "max_num_results": 2});
    let body = json!({"model": MODEL, "input": "Which warranty has the Kestrel drill?", "tools": [tool],
        "include": ["file_search_call.results"], "temperature": 0, "max_output_tokens": 96});
    let response = tenant.post("/v1/responses", &body).await.ok();
    let call = &response["output"][0];
    assert_eq!(
        (&call["type"], &call["status"]),
        (&json!("file_search_call"), &json!("completed"))
    );
    for (choice, searches) in [
        (json!("none"), false),
        (json!("required"), true),
        (json!({"type": "file_search"}), true),
    ] {
        let mut chosen = body.clone();
        chosen["tool_choice"] = choice.clone();
        let chosen = tenant.post("/v1/responses", &chosen).await.ok();
        assert_eq!(chosen["output"][0]["type"] == "file_search_call", searches, "{chosen}");
        assert_eq!(chosen["tool_choice"], choice);
    }
    let unnamed = json!({"model": MODEL, "input": "a", "tool_choice": {"type": "file_search"}});
    let refused = tenant.post("/v1/responses", &unnamed).await.refused(400, "");
    assert_eq!(refused.text("/error/param"), "tool_choice");
    assert_eq!(call["queries"], json!(["Which warranty has the Kestrel drill?"]));
    let results = call["results"].as_array().unwrap();
    assert!(!results.is_empty() && results.len() <= 2, "{call}");
    for result in results {
        assert_eq!(result["file_id"], json!(manual), "only the store is searched");
    }
    assert_eq!(response["tools"][0]["vector_store_ids"], json!([store]));
    let message = response["output"].as_array().unwrap().last().unwrap();
    let (text, annotations) = (&message["content"][0]["text"], &message["content"][0]["annotations"]);
    for annotation in annotations.as_array().unwrap() {
        let index = usize::try_from(annotation["index"].as_u64().unwrap()).unwrap();
        let cited: String = text.as_str().unwrap().chars().skip(index).take(1).collect();
        assert_eq!((cited.as_str(), &annotation["file_id"]), ("[", &json!(manual)));
    }
    let cites = response["riad"]["citations"].as_array().unwrap().len();
    assert_eq!(annotations.as_array().unwrap().len(), cites, "{response}");
    // The stream has the same items, and the search first.
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    streamed["store"] = json!(false);
    let sent = tenant
        .request(Method::POST, "/v1/responses")
        .json(&streamed)
        .send()
        .await
        .unwrap();
    let events = Stream::new(sent).rest().await;
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types[2..7],
        [
            "response.output_item.added",
            "response.file_search_call.in_progress",
            "response.file_search_call.searching",
            "response.file_search_call.completed",
            "response.output_item.done"
        ]
    );
    assert_eq!(
        events.last().unwrap()["response"]["output"][0]["results"],
        call["results"]
    );
    // A conversation goes on from it, and may send its items back.
    // What was found is kept, and shown to whoever asks for it, whether the answer had it or not.
    let mut unasked = body.clone();
    unasked.as_object_mut().unwrap().remove("include");
    let unasked = tenant.post("/v1/responses", &unasked).await.ok();
    assert_eq!(unasked["output"][0]["results"], Value::Null, "{unasked}");
    for kept in [&response, &unasked] {
        let path = format!("/v1/responses/{}", kept["id"].as_str().unwrap());
        let plain = tenant.get(&path).await.ok();
        assert_eq!(plain["output"][0]["results"], Value::Null, "{plain}");
        for query in ["include[]=file_search_call.results", "include=file_search_call.results"] {
            let shown = tenant.get(&format!("{path}?{query}")).await.ok();
            assert_eq!(shown["output"][0]["results"], call["results"], "{shown}");
        }
    }
    let next = json!({"model": MODEL, "input": "And the gears?", "previous_response_id": response["id"], "max_output_tokens": 8});
    let next = tenant.post("/v1/responses", &next).await.ok();
    assert_ne!(next["output"][0]["type"], "file_search_call", "it names no store");
    let again = json!({"model": MODEL, "input": [call, {"role": "user", "content": "Hello"}], "store": false, "max_output_tokens": 8});
    tenant.post("/v1/responses", &again).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_store_can_be_is_refused_by_name() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let store = make(&tenant, json!({})).await;
    let file = keep(&tenant, "a.txt", b"The pump.").await;
    let path = format!("{PATH}/{store}");
    let long = "x".repeat(513);
    let many: serde_json::Map<_, _> = (0..17).map(|n| (format!("k{n}"), json!(n))).collect();
    let strategy = |most: u32, overlap: u32| json!({"type": "static", "static": {"max_chunk_size_tokens": most, "chunk_overlap_tokens": overlap}});
    for (path, body, param) in [
        (PATH, json!({"name": "x".repeat(257)}), "name"),
        (PATH, json!({"metadata": {"a": 1}}), "metadata"),
        (
            PATH,
            json!({"expires_after": {"anchor": "created_at", "days": 1}}),
            "expires_after.anchor",
        ),
        (
            PATH,
            json!({"expires_after": {"anchor": "last_active_at", "days": 0}}),
            "expires_after.days",
        ),
        (
            &format!("{path}/files"),
            json!({"file_id": file, "attributes": {"a": long}}),
            "attributes",
        ),
        (
            &format!("{path}/files"),
            json!({"file_id": file, "attributes": {"a": [1]}}),
            "attributes",
        ),
        (
            &format!("{path}/files"),
            json!({"file_id": file, "attributes": many}),
            "attributes",
        ),
        (
            &format!("{path}/files"),
            json!({"file_id": file, "chunking_strategy": strategy(99, 0)}),
            "chunking_strategy",
        ),
        (
            &format!("{path}/files"),
            json!({"file_id": file, "chunking_strategy": strategy(100, 51)}),
            "chunking_strategy",
        ),
        (&format!("{path}/file_batches"), json!({}), "file_ids"),
        (&format!("{path}/file_batches"), json!({"file_ids": []}), "file_ids"),
        (
            &format!("{path}/file_batches"),
            json!({"file_ids": [file, file]}),
            "file_ids[1]",
        ),
        (
            &format!("{path}/file_batches"),
            json!({"files": [{"file_id": file}, {"file_id": file}]}),
            "files[1]",
        ),
        (
            &format!("{path}/file_batches"),
            json!({"file_ids": [file], "attributes": {"a": [1]}}),
            "attributes",
        ),
        (
            &format!("{path}/file_batches"),
            json!({"files": [{"file_id": file, "attributes": {"a": [1]}}]}),
            "files[0].attributes",
        ),
        (
            &format!("{path}/file_batches"),
            json!({"files": [{"file_id": file, "chunking_strategy": strategy(99, 0)}]}),
            "files[0].chunking_strategy",
        ),
        // Also where there is nothing to cut.
        (PATH, json!({"chunking_strategy": strategy(99, 0)}), "chunking_strategy"),
        (PATH, json!({"description": "x".repeat(513)}), "description"),
        (&format!("{path}/search"), json!({"query": " "}), "query"),
        (
            &format!("{path}/search"),
            json!({"query": "a", "max_num_results": 51}),
            "max_num_results",
        ),
        (
            &format!("{path}/search"),
            json!({"query": "a", "ranking_options": {"ranker": "best"}}),
            "ranking_options.ranker",
        ),
        (
            &format!("{path}/search"),
            json!({"query": "a", "ranking_options": {"score_threshold": 2}}),
            "ranking_options.score_threshold",
        ),
        (
            &format!("{path}/search"),
            json!({"query": "a", "filters": {"type": "in", "key": "a", "value": 1}}),
            "filters",
        ),
        (
            &format!("{path}/search"),
            json!({"query": "a", "filters": {"type": "and", "filters": []}}),
            "filters",
        ),
    ] {
        let refused = tenant.post(path, &body).await;
        assert_eq!(refused.status.as_u16(), 400, "{body}: {}", refused.body);
        assert_eq!(refused.text("/error/param"), param, "{body}: {}", refused.body);
    }
    for query in ["limit=0", "limit=101", "order=up", "after=NO"] {
        let refused = tenant.get(&format!("{PATH}?{query}")).await;
        assert_eq!(refused.status.as_u16(), 400, "{query}: {}", refused.body);
    }
    for (path, absent, param) in [
        (format!("{path}/files"), json!({"file_id": "file-none"}), "file_id"),
        (format!("{path}/files"), json!({"file_id": "NO"}), "file_id"),
        (
            format!("{path}/file_batches"),
            json!({"file_ids": [file, "file-none"]}),
            "file_ids[1]",
        ),
        (
            format!("{path}/file_batches"),
            json!({"file_ids": [file, "NO"]}),
            "file_ids[1]",
        ),
        (
            format!("{path}/file_batches"),
            json!({"files": [{"file_id": "file-none"}]}),
            "files[0]",
        ),
        (
            format!("{path}/file_batches"),
            json!({"files": [{"file_id": "NO"}]}),
            "files[0].file_id",
        ),
        (PATH.to_owned(), json!({"file_ids": ["file-none"]}), "file_ids[0]"),
        (PATH.to_owned(), json!({"file_ids": ["NO"]}), "file_ids[0]"),
    ] {
        let refused = tenant.post(&path, &absent).await.refused(404, "not_found");
        assert_eq!(refused.text("/error/param"), param, "{absent}: {}", refused.body);
    }
    let absent =
        json!({"model": MODEL, "input": "a", "tools": [{"type": "file_search", "vector_store_ids": ["vs_none"]}]});
    tenant.post("/v1/responses", &absent).await.refused(404, "not_found");
    // Nothing of all that is there.
    let shown = tenant.get(&path).await.ok();
    assert_eq!(shown["file_counts"]["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_leaves_the_tenants_requests_to_its_users() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let mut files = Vec::new();
    for number in 0..6 {
        let text = format!("Pump {number} moves {number} liters.");
        files.push(keep(&tenant, &format!("{number}.txt"), text.as_bytes()).await);
    }
    let store = make(&tenant, json!({})).await;
    // The second one in a minute would wait for 30 seconds.
    let limits = json!({"limits": {"requests_per_minute": 2, "concurrent_requests": 1}});
    host.change("acme", limits).await;
    let path = format!("{PATH}/{store}/file_batches");
    let batch = tenant.post(&path, &json!({"file_ids": files})).await.ok();
    let batch = ended(&tenant, &format!("{path}/{}", id(&batch))).await;
    assert_eq!(batch["file_counts"]["completed"], 6, "{batch}");
    for _ in 0..2 {
        assert!(
            !search(&tenant, &store, json!({"query": "pump"}))
                .await
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
    let third = tenant
        .post(&format!("{PATH}/{store}/search"), &json!({"query": "pump"}))
        .await;
    assert_eq!(third.status.as_u16(), 429, "{}", third.body);
}
