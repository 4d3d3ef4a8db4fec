//! Checking, mending, exporting and importing a room without a server.

mod crafted;

use crate::host::{DIMENSIONS, Host, add, query, titles};
use bytes::Bytes;
use riad_core::{
    Digest, ErrorKind, Limits, Result, TenantId,
    document::Page,
    file::{FilePage, FilePurpose, NewFile},
    ports::{Room, SqlValue},
};
use riad_store::{OfflineRoom, Remedy, RoomReport};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const MOST: u64 = 1 << 30;

pub fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn check(data: &Path) -> RoomReport {
    OfflineRoom::open(data, &acme()).unwrap().check().unwrap()
}

pub fn faults(report: &RoomReport) -> Vec<(&str, Remedy)> {
    report
        .faults
        .iter()
        .map(|fault| (fault.what.as_str(), fault.remedy))
        .collect()
}

async fn keep(room: &Room, name: &str, bytes: &str) {
    let mut writer = room.files.begin().await.unwrap();
    writer.write(Bytes::from(bytes.to_owned())).await.unwrap();
    let file = NewFile {
        name: name.into(),
        purpose: FilePurpose::UserData,
        expires: None,
    };
    writer.finish(file).await.unwrap();
}

/// A room with something of everything.
pub async fn filled(host: &Host, tenant: &str) -> Room {
    let room = host.room(tenant).await;
    for number in 0..30_u8 {
        let angle = f32::from(number) / 20.0;
        let text = format!("A lamp of kind{number} costs {number} euros; {tenant} sells it.");
        add(
            &room,
            &format!("lamp {number}"),
            &text,
            [angle.cos(), angle.sin(), 0.1, 0.0],
            json!({"kind": number}),
        )
        .await;
    }
    let page = Page { after: None, limit: 3 };
    for document in room.documents.list(&page).await.unwrap() {
        room.documents.delete(&document.id).await.unwrap();
    }
    keep(&room, "one.txt", "the first file").await;
    keep(&room, "two.txt", "the second file").await;
    room.kv.set("key", b"value".to_vec(), 100_000).await.unwrap();
    for sql in ["CREATE TABLE notes (text TEXT)", "INSERT INTO notes VALUES ('kept')"] {
        room.sql.execute(sql, Vec::new()).await.unwrap();
    }
    room
}

/// What a room answers.
pub async fn answers(room: &Room) -> Value {
    let mut answers = Vec::new();
    for (text, embedding) in [
        ("lamps", vec![]),
        ("kind7", vec![0.5, 0.5, 0.1, 0.0]),
        ("", vec![0.9, 0.1, 0.1, 0.0]),
        ("euro sell", vec![0.1; DIMENSIONS]),
    ] {
        let mut query = query(text, &embedding);
        query.limit = 100;
        for passage in room.documents.search(&query).await.unwrap() {
            answers.push(json!([passage.document.as_str(), passage.text, passage.score]));
        }
    }
    let page = Page {
        after: None,
        limit: 100,
    };
    for document in room.documents.list(&page).await.unwrap() {
        let (_, text) = room.documents.get(&document.id, 0..u64::MAX).await.unwrap();
        answers.push(json!([
            document.id.as_str(),
            document.title,
            document.metadata,
            text.to_vec()
        ]));
    }
    let files = FilePage {
        after: None,
        limit: 100,
        ascending: true,
        purpose: None,
    };
    for file in room.files.list(&files).await.unwrap() {
        let bytes = room.files.open(&file.id).await.unwrap().read(usize::MAX).await.unwrap();
        answers.push(json!([file.id.as_str(), file.name, bytes.to_vec()]));
    }
    answers.push(json!(room.kv.get("key").await.unwrap()));
    let notes = room.sql.query("SELECT text FROM notes", Vec::new()).await.unwrap();
    assert_eq!(notes.rows, [[SqlValue::Text("kept".into())]]);
    json!(answers)
}

fn connect(data: &Path) -> rusqlite::Connection {
    #[expect(clippy::disallowed_methods, reason = "the test damages the store from outside")]
    rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap()
}

#[tokio::test]
async fn a_sound_room_has_no_faults_and_a_server_keeps_checks_out() {
    let host = Host::new().await;
    let room = filled(&host, "acme").await;
    let refused = OfflineRoom::open(host.data(), &acme()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    drop(room);
    let host = host
        .reopen(|data| {
            let report = check(data);
            assert_eq!(faults(&report), []);
            assert_eq!((report.documents, report.chunks, report.files), (27, 27, 2));
            let nobody = OfflineRoom::open(data, &"nobody".parse().unwrap()).err().unwrap();
            assert_eq!(nobody.kind(), ErrorKind::NotFound);
        })
        .await;
    host.create_tenant("empty").await;
    host.reopen(|data| {
        let empty = OfflineRoom::open(data, &"empty".parse().unwrap()).unwrap();
        assert_eq!(empty.check().unwrap_err().kind(), ErrorKind::NotFound);
    })
    .await;
}

#[tokio::test]
async fn what_can_be_made_again_is_repaired() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("words", |data| {
            let sql = "INSERT INTO words (words, rowid, title, text, characters) VALUES ('delete', 9, 'x', 'lamp', '')";
            connect(data).execute(sql, []).unwrap();
        }),
        ("words", |data| {
            let sql = "INSERT INTO words (rowid, title, text, characters) VALUES (1000, '', 'stale', '')";
            connect(data).execute(sql, []).unwrap();
        }),
        ("vector index", |data| {
            let path = data.join("rooms/acme/index.usearch");
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("left is named by nothing", |data| {
            fs::write(data.join("rooms/acme/files/left"), "x").unwrap()
        }),
        ("was not finished", |data| {
            fs::write(data.join("rooms/acme/.new-x"), "x").unwrap()
        }),
    ];
    for (what, damage) in damages {
        let host = Host::new().await;
        let room = filled(&host, "acme").await;
        let before = answers(&room).await;
        drop(room);
        let host = host
            .reopen(|data| {
                damage(data);
                let found = check(data);
                assert!(
                    found.faults.iter().any(|fault| fault.what.contains(what)),
                    "{what}: {found:?}"
                );
                assert!(found.faults.iter().all(|fault| fault.remedy != Remedy::Nothing));
                let (was, now) = OfflineRoom::open(data, &acme()).unwrap().repair().unwrap();
                assert_eq!(was, found);
                assert_eq!(faults(&now), [], "{what}");
            })
            .await;
        let room = host.open(&host.pass("acme").await).await;
        assert_eq!(answers(&room).await, before, "{what}");
    }
}

#[tokio::test]
async fn what_is_lost_is_said_and_stays() {
    let host = Host::new().await;
    drop(filled(&host, "acme").await);
    host.reopen(|data| {
        let files = data.join("rooms/acme/files");
        let of = |text: &str| files.join(Digest::of(text.as_bytes()).hex());
        fs::remove_file(of("the first file")).unwrap();
        fs::write(of("the second file"), "the SECOND file").unwrap();
        connect(data).execute("DELETE FROM chunks WHERE id = 10", []).unwrap();
        let (_, now) = OfflineRoom::open(data, &acme()).unwrap().repair().unwrap();
        let lost: Vec<&str> = faults(&now).into_iter().map(|(what, _)| what).collect();
        assert_eq!(lost.len(), 3, "{lost:?}");
        for what in ["is lost", "is damaged", "does not have all of its chunks"] {
            assert!(lost.iter().any(|fault| fault.ends_with(what)), "{what}: {lost:?}");
        }
        let archive = data.join("room.tar");
        let refused = OfflineRoom::open(data, &acme()).unwrap().export(&archive).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(!archive.exists());
    })
    .await;
}

#[tokio::test]
async fn a_damaged_database_is_a_fault() {
    let host = Host::new().await;
    drop(filled(&host, "acme").await);
    host.store.close().await.unwrap();
    let path = host.room_folder("acme").join("room.db");
    let mut bytes = fs::read(&path).unwrap();
    // Not the first page, by which SQLite knows that it is a database.
    for page in (1..bytes.len() / 4_096).step_by(2) {
        bytes[page * 4_096..][..64].fill(0xA5);
    }
    fs::write(&path, bytes).unwrap();
    let report = OfflineRoom::open(host.data(), &acme()).unwrap().check().unwrap();
    assert!(
        report.faults.iter().any(|fault| fault.remedy == Remedy::Nothing),
        "{report:?}"
    );
}

/// Exports acme's room; returns its archive and what it answered.
async fn exported(folder: &Path) -> (PathBuf, Value) {
    let host = Host::new().await;
    let room = filled(&host, "acme").await;
    let before = answers(&room).await;
    drop(room);
    let archive = folder.join("acme.tar");
    host.reopen(|data| {
        let room = OfflineRoom::open(data, &acme()).unwrap();
        assert_eq!(room.export(&archive).unwrap().documents, 27);
        assert_eq!(
            room.export(&archive).unwrap_err().kind(),
            ErrorKind::Conflict,
            "it is there"
        );
        drop(room);
        assert_eq!(faults(&check(data)), [], "nothing is left over");
    })
    .await;
    (archive, before)
}

fn import(data: &Path, tenant: &str, archive: &Path, most: u64) -> Result<RoomReport> {
    OfflineRoom::open(data, &tenant.parse().unwrap())
        .unwrap()
        .import(archive, most)
}

#[tokio::test]
async fn a_room_of_another_server_answers_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, before) = exported(folder.path()).await;
    let host = Host::new().await;
    host.create_tenant("globex").await;
    // Opened before, and nothing in it.
    drop(host.room("initech").await);
    let other = filled(&host, "other").await;
    drop(other);
    let host = host
        .reopen(|data| {
            for tenant in ["globex", "initech"] {
                assert_eq!(import(data, tenant, &archive, MOST).unwrap().documents, 27);
                assert_eq!(
                    import(data, tenant, &archive, MOST).unwrap_err().kind(),
                    ErrorKind::Conflict
                );
            }
            assert_eq!(
                import(data, "other", &archive, MOST).unwrap_err().kind(),
                ErrorKind::Conflict
            );
            let rooms = fs::read_dir(data.join("rooms")).unwrap().count();
            assert_eq!(rooms, 3, "nothing is left over");
        })
        .await;
    for tenant in ["globex", "initech"] {
        let room = host.open(&host.pass(tenant).await).await;
        assert_eq!(answers(&room).await, before, "{tenant}");
        add(&room, "new", "A sofa.", [1.0, 0.0, 0.0, 0.0], json!({})).await;
        assert_eq!(titles(&room, &query("sofa", &[])).await, ["new"]);
    }
}

#[tokio::test]
async fn what_a_killed_export_or_import_leaves_is_removed() {
    let host = Host::new().await;
    let room = filled(&host, "acme").await;
    let before = answers(&room).await;
    drop(room);
    let host = host
        .reopen(|data| {
            for left in ["rooms/.new-x/files", "rooms/acme/.new-y"] {
                fs::create_dir_all(data.join(left)).unwrap();
                fs::write(data.join(left).join("part"), "x").unwrap();
            }
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(answers(&room).await, before);
    for left in ["rooms/.new-x", "rooms/acme/.new-y"] {
        assert!(!host.data().join(left).exists(), "{left}");
    }
}
