//! The index file is a cache: whatever happens to it, a search finds what SQLite has.

use crate::{
    host::{Host, add, query, titles},
    random::Random,
};
use riad_core::{Limits, ports::Room};
use serde_json::json;
use std::{fs, path::Path};

const FILE: &str = "rooms/acme/index.usearch";

async fn fill(room: &Room) {
    for (title, embedding) in [
        ("a", [1.0, 0.0, 0.0, 0.0]),
        ("b", [0.9, 0.1, 0.0, 0.0]),
        ("c", [0.0, 0.0, 1.0, 0.0]),
    ] {
        add(room, title, title, embedding, json!({})).await;
    }
}

/// By vector only: the words cannot hide a broken index.
async fn check(host: &Host, expected: &[&str]) {
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(titles(&room, &query("", &[1.0, 0.0, 0.0, 0.0])).await, expected);
}

async fn survives(change: impl FnOnce(&Path)) {
    let host = Host::new().await;
    fill(&host.room("acme").await).await;
    let host = host.reopen(change).await;
    check(&host, &["a", "b", "c"]).await;
    // What was built anew is saved again.
    let host = host
        .reopen(|data| assert!(fs::metadata(data.join(FILE)).unwrap().is_file()))
        .await;
    check(&host, &["a", "b", "c"]).await;
}

#[tokio::test]
async fn an_index_that_was_saved_is_used_again() {
    survives(|data| assert!(fs::metadata(data.join(FILE)).unwrap().len() > 0)).await;
}

#[tokio::test]
async fn a_deleted_index_is_built_anew() {
    survives(|data| fs::remove_file(data.join(FILE)).unwrap()).await;
}

#[tokio::test]
async fn every_flipped_byte_is_noticed() {
    // A handful over the whole file; usearch itself would load most of them.
    for part in [0, 1, 2, 3, 4] {
        survives(|data| {
            let path = data.join(FILE);
            let mut bytes = fs::read(&path).unwrap();
            let at = (bytes.len() - 1) * part / 4;
            bytes[at] ^= 0x40;
            fs::write(&path, bytes).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn an_index_that_was_cut_or_replaced_by_a_folder_is_built_anew() {
    survives(|data| {
        let bytes = fs::read(data.join(FILE)).unwrap();
        fs::write(data.join(FILE), &bytes[..bytes.len() / 2]).unwrap();
    })
    .await;
    survives(|data| fs::write(data.join(FILE), b"").unwrap()).await;
}

#[tokio::test]
async fn flipped_bits_anywhere_are_noticed() {
    let mut random = Random::new(23);
    let host = Host::new().await;
    fill(&host.room("acme").await).await;
    let mut host = host.reopen(|_| ()).await;
    for _ in 0..40 {
        host = host
            .reopen(|data| {
                let path = data.join(FILE);
                let mut bytes = fs::read(&path).unwrap();
                for _ in 0..=random.below(3) {
                    let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                    bytes[at] ^= 1 << random.below(8);
                }
                fs::write(&path, bytes).unwrap();
            })
            .await;
        check(&host, &["a", "b", "c"]).await;
    }
}

#[tokio::test]
async fn an_index_of_another_room_is_built_anew() {
    let host = Host::new().await;
    fill(&host.room("acme").await).await;
    let other = host.room("other").await;
    for title in ["x", "y", "z"] {
        add(&other, title, title, [0.0, 0.0, 1.0, 1.0], json!({})).await;
    }
    drop(other);
    let host = host
        .reopen(|data| {
            fs::copy(data.join("rooms/other/index.usearch"), data.join(FILE)).unwrap();
        })
        .await;
    check(&host, &["a", "b", "c"]).await;
}

#[tokio::test]
async fn an_index_of_other_dimensions_is_built_anew() {
    survives(|data| {
        let index = usearch::Index::new(&usearch::IndexOptions {
            dimensions: 8,
            metric: usearch::MetricKind::Cos,
            quantization: usearch::ScalarKind::F16,
            ..usearch::IndexOptions::default()
        })
        .unwrap();
        index.reserve(3).unwrap();
        for key in 1..=3 {
            index.add(key, &[1.0_f32; 8]).unwrap();
        }
        let mut bytes = vec![0; index.serialized_length()];
        index.save_to_buffer(&mut bytes).unwrap();
        // With its own digest, so that only what is in it can tell.
        let digest = blake3::hash(&bytes).to_hex();
        change_state(
            data,
            &format!("UPDATE state SET value = '{digest}' WHERE key = 'index_blake3'"),
        );
        fs::write(data.join(FILE), bytes).unwrap();
    })
    .await;
}

fn change_state(data: &Path, sql: &str) {
    #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
    let connection = rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
}

#[tokio::test]
async fn an_index_that_does_not_match_the_documents_is_rebuilt() {
    survives(|data| change_state(data, "UPDATE state SET value = '4' WHERE key = 'index_watermark'")).await;
    survives(|data| change_state(data, "UPDATE state SET value = 'x' WHERE key = 'index_format'")).await;
}

#[tokio::test]
async fn changes_after_the_saved_index_are_replayed() {
    let host = Host::new().await;
    fill(&host.room("acme").await).await;
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    let page = riad_core::document::Page { after: None, limit: 1 };
    let first = room.documents.list(&page).await.unwrap().remove(0);
    room.documents.delete(&first.id).await.unwrap();
    add(&room, "d", "d", [0.5, 0.5, 0.0, 0.0], json!({})).await;
    let gone = add(&room, "e", "e", [1.0, 0.0, 0.0, 0.0], json!({})).await;
    room.documents.delete(&gone.id).await.unwrap();
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    check(&host, &["b", "d", "c"]).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(room.documents.watermark().await.unwrap(), 7);
}

#[tokio::test]
async fn an_old_index_file_put_back_is_rebuilt() {
    let host = Host::new().await;
    fill(&host.room("acme").await).await;
    let mut old = Vec::new();
    let host = host.reopen(|data| old = fs::read(data.join(FILE)).unwrap()).await;
    let room = host.open(&host.pass("acme").await).await;
    add(&room, "d", "d", [1.0, 0.0, 0.0, 0.05], json!({})).await;
    drop(room);
    let host = host.reopen(|data| fs::write(data.join(FILE), &old).unwrap()).await;
    check(&host, &["a", "d", "b", "c"]).await;
}

#[tokio::test]
async fn the_index_is_saved_while_documents_come_in() {
    let host = Host::with(Limits::default()).await;
    let room = host.room("acme").await;
    let file = host.data().join(FILE);
    assert!(!file.exists());
    for n in 0..1_001_u16 {
        add(&room, "x", "x", [1.0, f32::from(n), 0.0, 0.0], json!({})).await;
    }
    assert!(file.exists());
}
