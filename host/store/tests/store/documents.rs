//! Documents: stored, listed, found, filtered, deleted.

use crate::host::{Host, add, metadata, query, titles};
use riad_core::{
    ErrorKind,
    document::{NewChunk, NewDocument, Page, Position},
};
use serde_json::json;

#[tokio::test]
async fn a_document_is_found_after_insert_and_never_after_delete() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let document = add(
        &room,
        "Lamps",
        "A lamp costs five euros.",
        [1.0, 0.0, 0.0, 0.0],
        json!({"kind": "price"}),
    )
    .await;
    assert_eq!((document.chunks, document.bytes), (1, 24));
    assert_eq!(room.documents.watermark().await.unwrap(), 1);

    let by_words = room.documents.search(&query("lamp?", &[])).await.unwrap();
    assert_eq!(by_words.len(), 1);
    assert_eq!(by_words[0].document, document.id);
    assert_eq!(by_words[0].text, "A lamp costs five euros.");
    assert_eq!(by_words[0].metadata, document.metadata);
    assert_eq!(titles(&room, &query("", &[2.0, 0.1, 0.0, 0.0])).await, ["Lamps"]);
    let (stored, text) = room.documents.get(&document.id, 0..u64::MAX).await.unwrap();
    assert_eq!(stored, document);
    assert_eq!(text, "A lamp costs five euros.");

    room.documents.delete(&document.id).await.unwrap();
    assert!(titles(&room, &query("lamp", &[1.0, 0.0, 0.0, 0.0])).await.is_empty());
    assert_eq!(
        room.documents.get(&document.id, 0..1).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        room.documents.delete(&document.id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(room.documents.watermark().await.unwrap(), 2);
}

#[tokio::test]
async fn a_text_is_read_in_any_pieces() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    // Over several of SQLite's pages, and with characters of two bytes.
    let text = "é1".repeat(10_000);
    let document = add(&room, "Long", &text, [1.0, 0.0, 0.0, 0.0], json!({})).await;
    for piece in [1_u64, 4_095, 30_000, 1 << 20] {
        let mut read = Vec::new();
        let mut starts = (0_u64..)
            .map(|number| number * piece)
            .skip_while(|start| piece == 1 && *start < 29_990);
        while let Some(start) = starts.next().filter(|start| *start < document.bytes) {
            let (found, part) = room.documents.get(&document.id, start..start + piece).await.unwrap();
            assert_eq!(found, document);
            read.extend_from_slice(&part);
        }
        assert!(text.as_bytes().ends_with(&read) && !read.is_empty());
        assert_eq!(read.len() == text.len(), piece > 1);
    }
    for nothing in [document.bytes..document.bytes + 1, u64::MAX - 1..u64::MAX, 5..5] {
        assert_eq!(room.documents.get(&document.id, nothing).await.unwrap().1, "");
    }
}

#[tokio::test]
async fn the_fused_score_is_the_one_computed_by_hand() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    // "lamp" stands in b (short: rank 1) and a (long: rank 2). By vector: a, c, b.
    add(
        &room,
        "a",
        "lamp and many other words that make it long",
        [1.0, 0.0, 0.0, 0.0],
        json!({}),
    )
    .await;
    add(&room, "b", "lamp", [0.0, 1.0, 0.0, 0.0], json!({})).await;
    add(&room, "c", "chair", [0.8, 0.6, 0.0, 0.0], json!({})).await;
    let found = room
        .documents
        .search(&query("lamp", &[1.0, 0.1, 0.0, 0.0]))
        .await
        .unwrap();
    let found: Vec<(&str, f64)> = found.iter().map(|p| (p.title.as_str(), p.score)).collect();
    let expected = [
        ("b", 1.0 / 61.0 + f64::from(0.3_f32) / 63.0),
        ("a", 1.0 / 62.0 + f64::from(0.3_f32) / 61.0),
        ("c", f64::from(0.3_f32) / 62.0),
    ];
    let mut sorted = expected;
    sorted.sort_by(|left, right| right.1.total_cmp(&left.1));
    assert_eq!(found.len(), 3);
    for (found, expected) in found.iter().zip(sorted) {
        assert_eq!(found.0, expected.0);
        assert!((found.1 - expected.1).abs() < 1e-12, "{found:?} {expected:?}");
    }
}

#[tokio::test]
async fn any_text_is_a_valid_query() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    add(
        &room,
        "x",
        "near the \"house\" 🏠 naïve *",
        [1.0, 0.0, 0.0, 0.0],
        json!({}),
    )
    .await;
    for text in [
        "",
        " ",
        "\"",
        "\"\"\"",
        "NEAR",
        "NEAR(a b, 2)",
        "*",
        "a*",
        "AND OR NOT",
        "(",
        "title:",
        "-x",
        "^x",
        "🏠",
        "\0",
        "'; DROP TABLE documents; --",
        "{x y}:z",
        "a + b",
        "\u{200d}\u{fe0f}",
        "e\u{301}",
    ] {
        room.documents
            .search(&query(text, &[]))
            .await
            .unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
    }
    for (text, found) in [
        ("NEAR", 1),
        ("HOUSE", 1),
        ("naive", 1),
        ("absent", 0),
        ("absent OR house", 1),
    ] {
        assert_eq!(titles(&room, &query(text, &[])).await.len(), found, "{text}");
    }
    let long = "house ".repeat(100_000);
    assert_eq!(titles(&room, &query(&long, &[])).await.len(), 1);
}

#[tokio::test]
async fn a_filter_applies_to_words_and_to_vectors() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    add(
        &room,
        "a",
        "lamp",
        [1.0, 0.0, 0.0, 0.0],
        json!({"kind": "price", "year": 2026}),
    )
    .await;
    add(
        &room,
        "b",
        "lamp",
        [1.0, 0.1, 0.0, 0.0],
        json!({"kind": "price", "year": 2025, "more": {"x": [1, 2]}}),
    )
    .await;
    add(&room, "c", "lamp", [1.0, 0.2, 0.0, 0.0], json!({"kind": "manual"})).await;
    for (filter, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({"kind": "price"}), vec!["a", "b"]),
        (json!({"kind": "price", "year": 2025.0}), vec!["b"]),
        (json!({"more": {"x": [1, 2]}}), vec!["b"]),
        (json!({"kind": "Price"}), vec![]),
        (json!({"year": "2026"}), vec![]),
        (json!({"absent": null}), vec![]),
    ] {
        for (text, embedding) in [("lamp", vec![]), ("", vec![1.0, 0.0, 0.0, 0.0])] {
            let mut query = query(text, &embedding);
            query.filter = metadata(filter.clone());
            let mut found = titles(&room, &query).await;
            found.sort();
            assert_eq!(found, expected, "{filter} {text:?}");
        }
    }
}

#[tokio::test]
async fn chunks_are_read_in_their_order_and_by_their_room_alone() {
    let host = Host::new().await;
    let (room, other) = (host.room("acme").await, host.room("globex").await);
    let chunk = |number: u8| NewChunk {
        text: format!("chunk {number}"),
        offset: u64::from(number) * 10,
        position: Position {
            page: Some(u32::from(number) + 1),
            heading: vec![format!("Part {number}")],
        },
        embedding: vec![1.0, f32::from(number), 0.0, 0.0],
    };
    let document = NewDocument {
        title: "Parts".into(),
        text: "parts".into(),
        metadata: metadata(json!({})),
        file: None,
    };
    let stored = room
        .documents
        .insert(document, (0..5).map(chunk).collect(), None)
        .await
        .unwrap();
    add(&room, "Another", "chunk 9", [1.0, 0.0, 0.0, 0.0], json!({})).await;

    let (found, chunks) = room.documents.chunks(&stored.id, 1..3).await.unwrap();
    assert_eq!(found, stored);
    assert_eq!(chunks.len(), 2);
    for (number, found) in (1_u8..).zip(chunks) {
        let made = chunk(number);
        assert_eq!(found.number, u32::from(number));
        assert_eq!(
            (found.text, found.offset, found.position),
            (made.text, made.offset, made.position)
        );
    }
    assert_eq!(room.documents.chunks(&stored.id, 4..u32::MAX).await.unwrap().1.len(), 1);
    assert!(room.documents.chunks(&stored.id, 5..9).await.unwrap().1.is_empty());
    let foreign = other.documents.chunks(&stored.id, 0..9).await.unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_filter_with_many_candidates_searches_the_index() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let bulk = |title: &str, kind: &str, angles: std::ops::Range<u16>| {
        let chunks = angles
            .map(|n| {
                let angle = f32::from(n) / 10_000.0;
                NewChunk {
                    text: format!("chunk {n}"),
                    offset: 0,
                    position: Position::default(),
                    embedding: vec![angle.cos(), angle.sin(), 0.0, 0.0],
                }
            })
            .collect();
        let document = NewDocument {
            title: title.into(),
            text: "bulk".into(),
            metadata: metadata(json!({"kind": kind})),
            file: None,
        };
        (document, chunks)
    };
    let (near, near_chunks) = bulk("near", "other", 0..100);
    let (far, far_chunks) = bulk("far", "wanted", 1_000..3_500);
    room.documents.insert(near, near_chunks, None).await.unwrap();
    room.documents.insert(far, far_chunks, None).await.unwrap();
    let mut query = query("", &[1.0, 0.0, 0.0, 0.0]);
    assert_eq!(titles(&room, &query).await, ["near"; 10]);
    query.filter = metadata(json!({"kind": "wanted"}));
    assert_eq!(titles(&room, &query).await, ["far"; 10]);
}

#[tokio::test]
async fn a_chunk_without_a_known_token_is_found_by_words_only() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    add(&room, "zeros", "xyzzy", [0.0; 4], json!({})).await;
    add(&room, "other", "chair", [0.0, 1.0, 0.0, 0.0], json!({})).await;
    assert_eq!(titles(&room, &query("xyzzy", &[])).await, ["zeros"]);
    assert_eq!(titles(&room, &query("", &[1.0, 0.0, 0.0, 0.0])).await, ["other"]);
    assert!(titles(&room, &query("", &[0.0; 4])).await.is_empty());
}

#[tokio::test]
async fn listing_follows_insertion_page_by_page() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(
            add(&room, &n.to_string(), "text", [1.0, 0.0, 0.0, 0.0], json!({}))
                .await
                .id,
        );
    }
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = room.documents.list(&Page { after, limit: 3 }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        listed.extend(page.into_iter().map(|document| document.id));
    }
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn a_document_with_a_wrong_embedding_changes_nothing() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let document = |title: &str| NewDocument {
        title: title.into(),
        text: String::new(),
        metadata: metadata(json!({})),
        file: None,
    };
    let empty = room
        .documents
        .insert(document("empty"), Vec::new(), None)
        .await
        .unwrap();
    for embedding in [vec![1.0; 3], vec![f32::NAN; 4]] {
        let chunk = NewChunk {
            text: "wrong".into(),
            offset: 0,
            position: Position::default(),
            embedding,
        };
        assert!(
            room.documents
                .insert(document("wrong"), vec![chunk], None)
                .await
                .is_err()
        );
    }
    assert_eq!(
        room.documents
            .list(&Page { after: None, limit: 10 })
            .await
            .unwrap()
            .len(),
        1
    );
    room.documents.delete(&empty.id).await.unwrap();
    for embedding in [vec![1.0; 3], vec![f32::INFINITY; 4]] {
        let error = room.documents.search(&query("x", &embedding)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }
}

#[tokio::test]
async fn concurrent_inserts_deletes_and_searches_agree_in_the_end() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mut tasks = Vec::new();
    for n in 0..8_u8 {
        let room = room.clone();
        tasks.push(tokio::spawn(async move {
            for m in 0..10_u8 {
                let kept = add(
                    &room,
                    &format!("keep-{n}-{m}"),
                    "lamp",
                    [1.0, f32::from(n), f32::from(m), 0.0],
                    json!({}),
                )
                .await;
                let gone = add(&room, "gone", "lamp", [1.0, f32::from(n), f32::from(m), 0.1], json!({})).await;
                room.documents.delete(&gone.id).await.unwrap();
                let mut query = query("lamp", &[1.0, f32::from(n), f32::from(m), 0.0]);
                query.limit = 1_000;
                let found = room.documents.search(&query).await.unwrap();
                assert!(found.iter().any(|passage| passage.document == kept.id));
                assert!(found.iter().all(|passage| passage.document != gone.id));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut query = query("lamp", &[1.0, 0.0, 0.0, 0.0]);
    query.limit = 1_000;
    let found = titles(&room, &query).await;
    assert_eq!(found.len(), 80);
    assert!(found.iter().all(|title| title.starts_with("keep")));
    assert_eq!(room.documents.watermark().await.unwrap(), 240);
}
