//! Documents over HTTP: they are found when the call that adds them returns, and gone when the call that deletes them does.
//! Not here: what is refused (`bad_input`), whose documents they are (`isolation`), a crash (`riad-app`'s `kill_nine`).

use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use riad_end_to_end::{Chat, Tenant, TestHost};
use serde_json::{Value, json};

async fn ids(tenant: &Tenant, path: &str) -> (Vec<String>, bool) {
    let page = tenant.get(path).await.ok();
    assert_eq!(page["object"], "list");
    let ids = page["data"].as_array().unwrap().iter();
    let ids = ids.map(|document| document["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["has_more"].as_bool().unwrap())
}

async fn upload(tenant: &Tenant, form: Form) -> Value {
    let request = tenant.request(Method::POST, "/v1/documents").multipart(form);
    let answer = tenant.send(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_found_once_added_and_gone_once_deleted() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let text = "The lighthouse keeper counts zebrafish at dawn.";
    let body = json!({"title": "Counting", "text": text, "metadata": {"year": 1987, "tags": ["sea"]}});
    let added = tenant.post("/v1/documents", &body).await;
    assert_eq!(added.status, StatusCode::CREATED);
    let added = added.json();
    assert_eq!(
        (&added["object"], &added["title"]),
        (&"document".into(), &"Counting".into())
    );
    assert_eq!(added["metadata"], body["metadata"]);
    assert_eq!((&added["chunks"], &added["bytes"]), (&1.into(), &text.len().into()));
    let id = added["id"].as_str().unwrap();

    // By a word of its text, by its title, and by its meaning.
    for query in ["zebrafish", "Counting", "a guard of a lighthouse"] {
        assert_eq!(tenant.search(&json!({"query": query})).await, [id], "{query}");
    }
    let found = tenant.post("/v1/search", &json!({"query": "zebrafish"})).await.ok();
    let passage = &found["data"][0];
    assert_eq!(
        (&passage["text"], &passage["title"]),
        (&text.into(), &"Counting".into())
    );
    assert_eq!(
        (&passage["metadata"], &passage["chunk"]),
        (&body["metadata"], &0.into())
    );
    let path = format!("/v1/documents/{id}");
    let read = tenant.get(&path).await.ok();
    let text = text.replace(" \n", "\n");
    assert_eq!(read["text"], text.trim_end(), "with its headings");
    assert_eq!(read["metadata"], body["metadata"]);

    let gone = tenant.delete(&path).await.ok();
    assert_eq!(gone, json!({"object": "document.deleted", "id": id, "deleted": true}));
    assert!(tenant.search(&json!({"query": "zebrafish"})).await.is_empty());
    for answer in [tenant.get(&path).await, tenant.delete(&path).await] {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"));
    }
    assert_eq!(ids(&tenant, "/v1/documents").await, (vec![], false));
    let answer = tenant.chat(&Chat::new("Who counts zebrafish?")).await;
    assert_eq!(answer["riad"]["passages"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_markdown_file_is_cut_where_its_sections_end() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let section = |name: &str, word: &str| {
        format!(
            "## {name}\n\n{}\n\n",
            format!("About {word} there is much to say. ").repeat(20)
        )
    };
    let text = format!(
        "# Guide\n\n{}{}",
        section("Sanding", "quartzite"),
        section("Sawing", "rosewood")
    );
    let file = Part::text(text.clone()).file_name("field-guide.md");
    let added = upload(&tenant, Form::new().part("file", file)).await;
    assert_eq!(
        (&added["title"], &added["media_type"]),
        (&"Guide".into(), &"text/markdown".into()),
        "the file's own title when none is given"
    );
    let chunks = added["chunks"].as_u64().unwrap();
    assert!(chunks >= 2, "{added}");

    let found = tenant.post("/v1/search", &json!({"query": "quartzite"})).await.ok();
    let best = found["data"][0]["text"].as_str().unwrap();
    assert!(best.contains("quartzite") && !best.contains("rosewood"), "{best}");
    assert_eq!(found["data"][0]["heading"], json!(["Guide", "Sanding"]));
    let read = tenant
        .get(&format!("/v1/documents/{}", added["id"].as_str().unwrap()))
        .await
        .ok();
    let text = text.replace(" \n", "\n");
    assert_eq!(read["text"], text.trim_end(), "with its headings");

    let form = Form::new()
        .part("file", Part::text("Plain words about gypsum.").file_name("notes.txt"))
        .text("title", "Notes")
        .text("metadata", r#"{"kind": "note"}"#);
    let added = upload(&tenant, form).await;
    assert_eq!(
        (&added["title"], &added["metadata"]),
        (&"Notes".into(), &json!({"kind": "note"}))
    );
    assert_eq!(
        tenant.search(&json!({"query": "gypsum", "limit": 1})).await,
        [added["id"].as_str().unwrap()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_comes_page_by_page_in_the_order_of_insertion() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let mut added = Vec::new();
    for n in 0..25 {
        added.push(
            tenant
                .add_document(&format!("Document {n}"), "A text like the others.")
                .await,
        );
    }
    assert_eq!(
        ids(&tenant, "/v1/documents").await,
        (added[..20].to_vec(), true),
        "20 when nothing is said"
    );
    let mut seen = Vec::new();
    let mut path = "/v1/documents?limit=10".to_owned();
    loop {
        let (page, more) = ids(&tenant, &path).await;
        assert_eq!(page.len(), if more { 10 } else { 5 });
        path = format!("/v1/documents?limit=10&after={}", page.last().unwrap());
        seen.extend(page);
        if !more {
            break;
        }
    }
    assert_eq!(seen, added);
    // A page may begin after a document that is gone.
    tenant.delete(&format!("/v1/documents/{}", added[9])).await.ok();
    let after = format!("/v1/documents?limit=100&after={}", added[9]);
    assert_eq!(ids(&tenant, &after).await, (added[10..].to_vec(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_only_documents_with_equal_metadata() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let mut added = Vec::new();
    for metadata in [
        json!({"kind": "invoice", "year": 2024, "paid": true}),
        json!({"kind": "invoice", "year": 2025, "paid": true}),
        json!({"kind": "letter", "year": 2025}),
        json!({}),
    ] {
        let body = json!({"title": "Bill", "text": "A bill for a lamp.", "metadata": metadata});
        added.push(
            tenant.post("/v1/documents", &body).await.ok()["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for (filter, expected) in [
        (json!({}), vec![0, 1, 2, 3]),
        (json!({"kind": "invoice"}), vec![0, 1]),
        (json!({"year": 2025}), vec![1, 2]),
        (json!({"kind": "invoice", "year": 2025}), vec![1]),
        (json!({"paid": true}), vec![0, 1]),
        (json!({"paid": "true"}), vec![]),
        (json!({"kind": "poem"}), vec![]),
        (json!({"other": null}), vec![]),
    ] {
        let mut found = tenant.search(&json!({"query": "lamp", "filter": filter})).await;
        found.sort();
        let expected: Vec<_> = expected.into_iter().map(|n: usize| added[n].clone()).collect();
        assert_eq!(found, expected, "{filter}");
    }
    let one = tenant
        .search(&json!({"query": "lamp", "limit": 1, "filter": {"year": 2025}}))
        .await;
    assert_eq!(one.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unchanged_is_not_embedded_again() {
    let host = TestHost::start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let first = "The lighthouse keeper counts zebrafish at dawn.";
    let second = "The lamp is cleaned on Sundays.";
    let long = |words: &str| format!("{first}\n\n{}\n\n{words}", "Nothing happens here. ".repeat(400));
    acme.add_document("Log", first).await;
    acme.add_document("Log", first).await;
    acme.add_document("Log", &long(second)).await;
    acme.add_document("Log", &long("The tower is painted white.")).await;
    let tokens = |entries: &[Value]| -> Vec<u64> {
        let of = entries.iter().map(|entry| entry["embedded_tokens"].as_u64().unwrap());
        of.collect()
    };
    let spent = tokens(&host.entries_when("acme", 4).await);
    assert!(spent[0] > 0 && spent[1] == 0, "{spent:?}");
    assert!(
        spent[3] > 0 && spent[3] * 4 < spent[2],
        "only its end is new: {spent:?}"
    );
    let found = acme.post("/v1/search", &json!({"query": "zebrafish"})).await.ok();
    assert!(found["data"].as_array().unwrap().len() >= 2, "{found}");
    // What another tenant has embedded is of no use to anybody else, nor visible in the bill.
    globex.add_document("Log", first).await;
    assert_eq!(tokens(&host.entries_when("globex", 1).await)[0], spent[0]);
}
