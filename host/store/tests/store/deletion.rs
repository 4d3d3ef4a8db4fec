//! Real deletion: after it, no byte of what was deleted is in the data folder. Not here: whether searches find it (`documents`).

use crate::{
    host::{DIMENSIONS, Host, metadata, query, titles},
    random::Random,
};
use bytes::Bytes;
use riad_core::{
    DocumentId, FileId, Limits, ResponseId, Timestamp,
    document::{NewChunk, NewDocument, Position},
    file::{FilePurpose, NewFile},
    ports::{Exchange, KeptResponse, NewResponse, Retention, Room},
};
use serde_json::json;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

impl Random {
    /// A word that no rule changes and that begins like no other one.
    fn canary(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrtvwxz";
        let letter = |number: u64| char::from(LETTERS[usize::try_from(number).unwrap()]);
        (0..24).map(|_| letter(self.below(LETTERS.len() as u64))).collect()
    }

    fn text(&mut self, words: u64) -> String {
        let word = |number: u64| format!("word{number}");
        let words: Vec<String> = (0..words).map(|_| word(self.below(3_000))).collect();
        words.join(" ")
    }
}

/// What is searched for of a canary. Without its first letters, which an index stores once for several terms.
fn core(canary: &str) -> &[u8] {
    &canary.as_bytes()[6..]
}

/// The files below a folder that have one of the canaries.
fn found(folder: &Path, canaries: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path, canaries));
            continue;
        }
        // Zeros from before anything was stored, and most of the bytes.
        if path.file_name().is_some_and(|name| name == "reserve") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for canary in canaries {
            if memchr::memmem::find(&bytes, core(canary)).is_some() {
                found.push(format!("{canary} in {}", path.display()));
            }
        }
    }
    found
}

/// Waits for what is erased a moment later.
async fn assert_gone(folder: &Path, canaries: &[String]) {
    let begun = Instant::now();
    loop {
        let found = found(folder, canaries);
        if found.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{found:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A document with canaries in its title, metadata, headings and text.
async fn add(room: &Room, random: &mut Random, chunks: u64, words: u64) -> (DocumentId, Vec<String>) {
    let canaries: Vec<String> = (0..chunks + 3).map(|_| random.canary()).collect();
    let texts: Vec<String> = canaries[3..]
        .iter()
        .map(|canary| format!("{} {canary} {}", random.text(words), random.text(words)))
        .collect();
    let chunk = |text: &String| NewChunk {
        text: text.clone(),
        offset: 0,
        position: Position {
            heading: vec![format!("heading {}", canaries[2])],
            ..Position::default()
        },
        embedding: (0..DIMENSIONS).map(|_| random.below(1_000) as f32 - 500.0).collect(),
    };
    let chunks = texts.iter().map(chunk).collect();
    let document = NewDocument {
        title: format!("title {}", canaries[0]),
        text: texts.join("\n"),
        metadata: metadata(json!({"about": canaries[1]})),
        file: None,
    };
    let stored = room.documents.insert(document, chunks, None).await.unwrap();
    (stored.id, canaries)
}

async fn add_file(room: &Room, random: &mut Random) -> (FileId, Vec<String>) {
    let canaries = vec![random.canary(), random.canary()];
    let mut writer = room.files.begin().await.unwrap();
    writer
        .write(Bytes::from(format!("{} {}", random.text(500), canaries[0])))
        .await
        .unwrap();
    let file = NewFile {
        name: format!("{}.txt", canaries[1]),
        purpose: FilePurpose::UserData,
        expires: None,
    };
    (writer.finish(file).await.unwrap().id, canaries)
}

async fn add_response(room: &Room, random: &mut Random) -> (ResponseId, Vec<String>) {
    let canaries: Vec<String> = (0..3).map(|_| random.canary()).collect();
    let mut bytes = |canary: &String| Bytes::from(format!("{} {canary}", random.text(300)));
    let id: ResponseId = format!("resp_{}", canaries[0]).parse().unwrap();
    let response = NewResponse {
        id: id.clone(),
        previous: None,
        messages: 1,
        response: KeptResponse {
            head: bytes(&canaries[0]),
            exchange: Exchange {
                input: bytes(&canaries[1]),
                output: bytes(&canaries[2]),
            },
        },
    };
    let retention = Retention {
        not_before: Timestamp::from_millis(0),
        responses: 1_000,
        bytes: 1 << 30,
        exchanges: 10,
    };
    room.responses.put(response, retention).await.unwrap();
    (id, canaries)
}

#[tokio::test]
async fn no_byte_of_deleted_documents_is_found() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mut random = Random::new(7);
    let mut there = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    for step in 0..260_u64 {
        // Many of one chunk, whose terms are taken out one by one, and some of many, after which everything is merged.
        let chunks = if step % 20 == 3 { 60 } else { 1 + random.below(3) };
        let words = 5 + random.below(150);
        there.push(add(&room, &mut random, chunks, words).await);
        if step % 3 == 2 {
            let number = random.below(there.len() as u64);
            let (id, canaries) = there.swap_remove(usize::try_from(number).unwrap());
            assert!(
                !found(host.data(), &canaries[..1]).is_empty(),
                "the search finds what is there"
            );
            room.documents.delete(&id).await.unwrap();
            assert_eq!(found(host.data(), &canaries), [""; 0], "step {step}");
            gone.extend(canaries);
        }
    }
    assert_eq!(found(host.data(), &gone), [""; 0]);
    for (_, canaries) in &there {
        for canary in [&canaries[0], &canaries[2], &canaries[3]] {
            let about = room.documents.search(&query(canary, &[])).await.unwrap();
            assert!(about.iter().all(|passage| passage.title.ends_with(&canaries[0])));
            assert!(!about.is_empty(), "{canary}");
        }
    }
    for canary in &gone {
        assert!(titles(&room, &query(canary, &[])).await.is_empty());
    }
    let folder = host.room_folder("acme");
    drop(room);
    let _host = host.reopen(|_| ()).await;
    // FTS5's own check of its tables is a part of SQLite's.
    #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
    let connection = rusqlite::Connection::open(folder.join("room.db")).unwrap();
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let pages: Vec<Vec<u8>> = connection
        .prepare("SELECT term FROM words_idx WHERE length(term) > 4")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for page in &pages {
        let beginning = &page[1..];
        assert!(!gone.iter().any(|canary| canary.as_bytes().starts_with(beginning)));
    }
}

#[tokio::test]
async fn no_byte_of_files_responses_and_values_is_found() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mut random = Random::new(11);
    let mut kept = Vec::new();
    for step in 0..60_u64 {
        let (file, of_file) = add_file(&room, &mut random).await;
        let (response, of_response) = add_response(&room, &mut random).await;
        let value = [random.canary(), random.canary()];
        let bytes = format!("{} {}", random.text(step * 7), value[1]);
        room.kv.set(&value[0], bytes.into_bytes(), 1_000).await.unwrap();
        let canaries: Vec<String> = of_file.into_iter().chain(of_response).chain(value.clone()).collect();
        if step % 2 == 0 {
            kept.extend(canaries);
            continue;
        }
        for canary in &canaries {
            assert!(!found(host.data(), std::slice::from_ref(canary)).is_empty(), "{canary}");
        }
        room.files.delete(&file).await.unwrap();
        assert_eq!(found(host.data(), &canaries[..2]), [""; 0]);
        room.responses
            .delete(&response, Timestamp::from_millis(0))
            .await
            .unwrap();
        assert_eq!(found(host.data(), &canaries[2..5]), [""; 0]);
        assert!(room.kv.delete(&value[0]).await.unwrap());
        if step % 10 == 1 {
            assert_gone(host.data(), &canaries).await;
        }
    }
    assert!(
        kept.iter()
            .all(|canary| !found(host.data(), std::slice::from_ref(canary)).is_empty())
    );
}

#[tokio::test]
async fn no_byte_of_a_deleted_tenant_is_found() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let room = host.open(&pass).await;
    let mut random = Random::new(3);
    let (_, mut canaries) = add(&room, &mut random, 3, 50).await;
    canaries.extend(add_file(&room, &mut random).await.1);
    drop(room);
    assert!(!found(host.data(), &canaries).is_empty());
    host.delete_tenant(&pass).await;
    assert_eq!(found(host.data(), &canaries), [""; 0]);
}

#[tokio::test]
async fn a_search_in_progress_delays_the_erasure_only() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mut random = Random::new(5);
    let (id, canaries) = add(&room, &mut random, 3, 50).await;
    // Another program reads a state from before the deletion.
    #[expect(clippy::disallowed_methods, reason = "the test is another program")]
    let connection = rusqlite::Connection::open(host.room_folder("acme").join("room.db")).unwrap();
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM documents;")
        .unwrap();
    room.documents.delete(&id).await.unwrap();
    assert!(titles(&room, &query(&canaries[3], &[])).await.is_empty());
    assert!(!found(host.data(), &canaries).is_empty(), "the reader needs it");
    connection.execute_batch("COMMIT").unwrap();
    assert_gone(host.data(), &canaries).await;
}

#[tokio::test]
async fn what_a_crash_has_left_is_gone_at_the_next_opening() {
    let host = Host::new().await;
    let pass = host.create_tenant("acme").await;
    let room = host.open(&pass).await;
    let mut random = Random::new(9);
    let (id, canaries) = add(&room, &mut random, 3, 50).await;
    // With a reader in the way, the log stays. A copy of the folder is what a crash leaves.
    #[expect(clippy::disallowed_methods, reason = "the test is another program")]
    let connection = rusqlite::Connection::open(host.room_folder("acme").join("room.db")).unwrap();
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM documents;")
        .unwrap();
    room.documents.delete(&id).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    let data = copy.path().join("data");
    fs::create_dir_all(data.join("rooms/acme")).unwrap();
    for name in [
        "control.db",
        "control.db-wal",
        "rooms/acme/room.db",
        "rooms/acme/room.db-wal",
    ] {
        fs::copy(host.data().join(name), data.join(name)).unwrap();
    }
    assert!(!found(&data, &canaries).is_empty());
    let crashed = Host::at(&data, Limits::default()).await;
    let room = crashed.open(&crashed.pass("acme").await).await;
    assert!(titles(&room, &query(&canaries[3], &[])).await.is_empty());
    assert_eq!(found(&data, &canaries), [""; 0]);
}

/// The vectors of a file that usearch wrote, as bytes: a matrix of rows, in front of which its height and width stand.
fn rows(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (height, width) = (number(0), number(4));
    bytes[8..].chunks(width).take(height).map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn vectors_of_removed_chunks_leave_the_index_file() {
    for kept in [40, 3, 0] {
        let host = Host::new().await;
        let room = host.room("acme").await;
        let mut random = Random::new(13);
        let mut ids = Vec::new();
        for _ in 0..50 {
            ids.push(add(&room, &mut random, 1, 5).await.0);
        }
        drop(room);
        let file = host.room_folder("acme").join("index.usearch");
        let host = host.reopen(|_| ()).await;
        let before = rows(&file);
        assert_eq!(before.len(), 50);
        let room = host.open(&host.pass("acme").await).await;
        for id in &ids[kept..] {
            room.documents.delete(id).await.unwrap();
        }
        drop(room);
        let host = host.reopen(|_| ()).await;
        let bytes = fs::read(&file).unwrap();
        let is_there = |row: &Vec<u8>| memchr::memmem::find(&bytes, row).is_some();
        assert!(before[..kept].iter().all(is_there));
        assert!(!before[kept..].iter().any(is_there), "{kept} of 50 are kept");
        // What is left is found, and what comes takes the free places.
        let room = host.open(&host.pass("acme").await).await;
        for _ in 0..20 {
            add(&room, &mut random, 1, 5).await;
        }
        let mut everything = query("", &[1.0, 0.0, 0.0, 0.0]);
        everything.limit = 100;
        assert_eq!(titles(&room, &everything).await.len(), kept + 20);
    }
}
