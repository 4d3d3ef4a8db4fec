//! What a search may ask for besides its passages: weights, diversity, neighbors, highlights, and why each was found.

use crate::host::{Host, add, metadata, query, titles};
use riad_core::{
    ErrorKind,
    document::{NewChunk, NewDocument, Passage, Position},
    ports::Room,
    ranking::Ranking,
};
use serde_json::json;

async fn add_chunks(room: &Room, title: &str, text: &str, chunks: &[(u64, &str)]) {
    let document = NewDocument {
        title: title.into(),
        text: text.into(),
        metadata: metadata(json!({})),
        file: None,
    };
    let chunks = chunks.iter().map(|(offset, text)| NewChunk {
        text: (*text).into(),
        offset: *offset,
        position: Position::default(),
        embedding: vec![1.0, 0.0, 0.0, 0.0],
    });
    room.documents.insert(document, chunks.collect(), None).await.unwrap();
}

fn ranks(passage: &Passage) -> (Option<u32>, Option<u32>) {
    let hit = passage.hit.as_ref().unwrap();
    (
        hit.by_words.map(|place| place.rank),
        hit.by_vectors.map(|place| place.rank),
    )
}

#[tokio::test]
async fn a_list_that_weighs_nothing_finds_nothing() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    add(&room, "word", "a lamp", [0.0, 1.0, 0.0, 0.0], json!({})).await;
    add(&room, "vector", "a chair", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let mut query = query("lamp", &[1.0, 0.2, 0.0, 0.0]);
    for (text, embedding, expected) in [
        (1.0, 0.0, vec!["word"]),
        (0.0, 1.0, vec!["vector", "word"]),
        (1.0, 0.3, vec!["word", "vector"]),
        (0.1, 3.0, vec!["word", "vector"]),
    ] {
        query.ranking = Ranking::new(text, embedding);
        assert_eq!(titles(&room, &query).await, expected, "{text} {embedding}");
    }
    query.ranking = Ranking::new(1.0, 1.0);
    let found = room.documents.search(&query).await.unwrap();
    assert_eq!(
        found.iter().map(ranks).collect::<Vec<_>>(),
        [(Some(1), Some(2)), (None, Some(1))]
    );
    let hit = found[0].hit.as_ref().unwrap();
    assert!((hit.by_vectors.unwrap().score - 0.2 / 1.04_f64.sqrt()).abs() < 1e-3);
    assert!(hit.by_words.unwrap().score > 0.0);
    for (text, embedding, diversity, param) in [
        (0.0, 0.0, 0.0, "text_weight"),
        (-1.0, 1.0, 0.0, "text_weight"),
        (1.0, f32::NAN, 0.0, "embedding_weight"),
        (1.0, f32::INFINITY, 0.0, "embedding_weight"),
        (1.0, 1.0, 1.5, "diversity"),
        (1.0, 1.0, f32::NAN, "diversity"),
    ] {
        query.ranking = Ranking {
            diversity,
            ..Ranking::new(text, embedding)
        };
        let error = room.documents.search(&query).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)));
    }
}

#[tokio::test]
async fn a_passage_like_one_above_goes_down() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    for (title, embedding) in [
        ("first", [1.0, 0.0, 0.0, 0.0]),
        ("same", [0.999, 0.01, 0.0, 0.0]),
        ("same too", [0.998, 0.02, 0.0, 0.0]),
        ("other", [0.7, 0.0, 0.7, 0.0]),
    ] {
        add(&room, title, "lamp", embedding, json!({})).await;
    }
    let mut query = query("nothing", &[1.0, 0.0, 0.0, 0.0]);
    query.ranking = Ranking::new(0.0, 1.0);
    assert_eq!(titles(&room, &query).await, ["first", "same", "same too", "other"]);
    query.ranking.diversity = 0.5;
    assert_eq!(titles(&room, &query).await, ["first", "other", "same", "same too"]);
    query.limit = 2;
    let found = room.documents.search(&query).await.unwrap();
    assert_eq!(
        found.iter().map(|passage| passage.title.as_str()).collect::<Vec<_>>(),
        ["first", "other"]
    );
    assert!(found[0].score > found[1].score, "scores are those of the fusion");
    assert_eq!(ranks(&found[1]), (None, Some(4)));
}

#[tokio::test]
async fn neighbors_make_one_text_and_are_not_listed_again() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    // The second one overlaps with the first, and two spaces stand before the third.
    let text = "one two three. four five six.  seven";
    let chunks = [(0, "one two three."), (8, "three. four five six."), (31, "seven")];
    add_chunks(&room, "numbers", text, &chunks).await;
    let chunks = [(0, "Alpha"), (3, "beta"), (9, "gamma")];
    add_chunks(&room, "anew", "ALPHA BETA GAMMA", &chunks).await;
    let mut query = query("four", &[]);
    for (neighbors, expected, range) in [(0, "three. four five six.", 8..29), (1, text, 0..36), (4, text, 0..36)] {
        query.neighbors = neighbors;
        let found = room.documents.search(&query).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].text.as_str(), found[0].chunk), (expected, 1));
        assert_eq!(found[0].hit.as_ref().unwrap().range, range);
    }
    query.text = "alpha beta gamma".into();
    query.neighbors = 1;
    let found = room.documents.search(&query).await.unwrap();
    let texts: Vec<_> = found.iter().map(|passage| passage.text.as_str()).collect();
    // The chunker wrote its pieces anew: they are joined as they are.
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[0], "Alpha\nbeta");
    query.neighbors = 0;
    assert_eq!(room.documents.search(&query).await.unwrap().len(), 3);
}

#[tokio::test]
async fn words_of_the_query_are_marked_by_the_rules_of_the_document() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let german = "Die Häuser am Fluss wurden vor vielen Jahren gebaut, und jedes Haus hat einen eigenen Garten mit alten Bäumen.";
    add(&room, "Stadt", german, [1.0, 0.0, 0.0, 0.0], json!({})).await;
    let japanese = "東京都の図書館は日曜日も開いています。";
    add(&room, "図書館", japanese, [1.0, 0.0, 0.0, 0.0], json!({})).await;
    for (searched, text, expected) in [
        ("haus", german, vec!["Häuser", "Haus"]),
        ("東京 図書館", japanese, vec!["東京", "図書館"]),
    ] {
        let mut query = query(searched, &[]);
        let found = room.documents.search(&query).await.unwrap();
        assert!(found[0].hit.as_ref().unwrap().highlights.is_empty(), "nobody has asked");
        query.highlights = true;
        let found = room.documents.search(&query).await.unwrap();
        assert_eq!(found.len(), 1, "{searched}");
        let hit = found[0].hit.as_ref().unwrap();
        let marked: Vec<_> = hit.highlights.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(marked, expected);
        assert_eq!(hit.snippet, 0..text.len());
    }
}
