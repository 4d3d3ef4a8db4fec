//! `/v1/search`: what a search can be asked for besides its passages.

use riad_end_to_end::{Tenant, TestHost};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const PATH: &str = "/v1/search";
/// Two chunks at least.
const MANUAL: &str = "# Manual\n\n## Care\n\nThe Kestrel drill is cleaned with a dry cloth after each use. ";

fn manual() -> String {
    let filler = "Keep the tool dry and store it where children cannot reach it. ".repeat(60);
    format!("{MANUAL}{filler}\n\n## Warranty\n\nThe warranty of the Kestrel drill is 37 months, in Zürich 40. {filler}")
}

async fn search(tenant: &Tenant, body: Value) -> Vec<Value> {
    let found = tenant.post(PATH, &body).await.ok();
    found["data"].as_array().unwrap().clone()
}

/// The model that ships with one bit changed: another one for whoever compares digests.
fn another_model(folder: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/models/embed");
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let mut bytes = fs::read(shipped.join(name)).unwrap();
        if name == "model.safetensors" {
            *bytes.last_mut().unwrap() ^= 1;
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// The part of a text, by characters.
fn part(text: &Value, span: &Value) -> String {
    let at = |name: &str| usize::try_from(span[name].as_u64().unwrap()).unwrap();
    let characters = text.as_str().unwrap().chars();
    characters.skip(at("start")).take(at("end") - at("start")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_says_where_it_stands_and_why_it_was_found() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    let id = tenant.add_document("Manual", &manual()).await;
    let plain = search(&tenant, json!({"query": "warranty zurich"})).await;
    for member in ["highlights", "snippet", "explanation"] {
        assert!(plain[0].get(member).is_none(), "nobody has asked for {member}");
    }
    let body = json!({"query": "warranty zurich", "highlights": true, "explain": true});
    let found = search(&tenant, body).await;
    assert_eq!(found[0]["document"], id);
    let text = &found[0]["text"];
    let marked: Vec<String> = found[0]["highlights"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| part(text, span))
        .collect();
    assert!(
        marked.contains(&"warranty".to_owned()) && marked.contains(&"Zürich".to_owned()),
        "{marked:?}"
    );
    let snippet = part(text, &found[0]["snippet"]);
    assert!(
        snippet.contains("37 months, in Zürich") && snippet.len() < 260,
        "{snippet}"
    );
    let explanation = &found[0]["explanation"];
    assert_eq!(explanation["words"]["rank"], 1, "{explanation}");
    assert!(
        explanation["embeddings"]["score"].as_f64().unwrap() <= 1.0,
        "{explanation}"
    );
    // The range is of the text that the document has.
    let whole = tenant.get(&format!("/v1/documents/{id}")).await.text("/text");
    let bytes = |name: &str| usize::try_from(found[0]["bytes"][name].as_u64().unwrap()).unwrap();
    assert_eq!(&whole[bytes("start")..bytes("end")], text.as_str().unwrap());

    let wide = search(&tenant, json!({"query": "warranty zurich", "neighbors": 4})).await;
    assert!(wide[0]["text"].as_str().unwrap().len() > text.as_str().unwrap().len());
    assert!(wide.len() < plain.len(), "{} {}", wide.len(), plain.len());
    let bytes = |name: &str| usize::try_from(wide[0]["bytes"][name].as_u64().unwrap()).unwrap();
    assert_eq!(&whole[bytes("start")..bytes("end")], wide[0]["text"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_weigh_what_a_request_says() {
    let host = TestHost::start().await;
    let tenant = host.tenant("acme").await;
    tenant.add_document("Lamps", "A lamp costs 12 euros.").await;
    tenant.add_document("Chairs", "A chair costs 40 euros.").await;
    let lists = |found: &[Value]| -> Vec<(bool, bool)> {
        let explanation = |passage: &Value, list: &str| !passage["explanation"][list].is_null();
        let both = |passage: &Value| (explanation(passage, "words"), explanation(passage, "embeddings"));
        found.iter().map(both).collect()
    };
    for (options, expected) in [
        (json!({"hybrid_search": {"embedding_weight": 0}}), vec![(true, false)]),
        (
            json!({"hybrid_search": {"text_weight": 0}}),
            vec![(false, true), (false, true)],
        ),
        (
            json!({"ranker": "auto", "diversity": 0.5}),
            vec![(true, true), (false, true)],
        ),
        (json!({"score_threshold": 1}), vec![(true, true)]),
    ] {
        let body = json!({"query": "lamp", "explain": true, "ranking_options": options});
        let found = search(&tenant, body).await;
        assert_eq!(lists(&found), expected, "{options}");
    }
    for (member, value, param) in [
        (
            "ranking_options",
            json!({"hybrid_search": {"text_weight": -1}}),
            "ranking_options.text_weight",
        ),
        (
            "ranking_options",
            json!({"hybrid_search": {"text_weight": 0, "embedding_weight": 0}}),
            "ranking_options.text_weight",
        ),
        ("ranking_options", json!({"diversity": 2}), "ranking_options.diversity"),
        (
            "ranking_options",
            json!({"score_threshold": -1}),
            "ranking_options.score_threshold",
        ),
        ("ranking_options", json!({"ranker": "best"}), "ranking_options.ranker"),
        ("neighbors", json!(5), "neighbors"),
    ] {
        let answer = tenant.post(PATH, &json!({"query": "lamp", member: value})).await;
        let refused = answer.refused(400, "");
        assert_eq!(refused.text("/error/param"), param, "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_embedding_model_embeds_the_documents_again() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let lamp = acme.add_document("Lamps", "A lamp costs 12 euros.").await;
    acme.add_document("Manual", &manual()).await;
    let by_meaning = json!({"query": "lamp", "limit": 1, "ranking_options": {"hybrid_search": {"text_weight": 0}}});
    assert_eq!(acme.search(&by_meaning).await.first(), Some(&lamp));
    let folder = tempfile::tempdir().unwrap();
    another_model(folder.path());
    let host = host
        .restart_with(|config| config.embeddings.model = Some(folder.path().to_owned()))
        .await;
    let acme = host.caller(&acme.key);
    // The first search begins it.
    let found = acme.post(PATH, &json!({"query": "lamp"})).await.ok();
    assert_eq!(found["data"][0]["document"], lamp, "words find it at once");
    assert!(
        found["unembedded_chunks"].as_u64().is_some_and(|chunks| chunks > 1),
        "{found}"
    );
    loop {
        let found = acme.post(PATH, &by_meaning).await.ok();
        if found.get("unembedded_chunks").is_none() {
            let again = acme.post(PATH, &by_meaning).await.ok();
            assert_eq!(again["data"][0]["document"], lamp);
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Two uploads, and one batch that was embedded again.
    let documents = async || {
        let entries = host.entries("acme").await;
        entries.iter().filter(|entry| entry["kind"] == "document").count()
    };
    while documents().await < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(documents().await, 3);
    // Another tenant's search begins nothing for this one.
    let globex = host.tenant("globex").await;
    assert!(
        globex
            .post(PATH, &json!({"query": "lamp"}))
            .await
            .ok()
            .get("unembedded_chunks")
            .is_none()
    );
}
