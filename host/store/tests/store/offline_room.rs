//! Checking, mending, exporting and importing a room without a server.

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

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn check(data: &Path) -> RoomReport {
    OfflineRoom::open(data, &acme()).unwrap().check().unwrap()
}

fn faults(report: &RoomReport) -> Vec<(&str, Remedy)> {
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
async fn filled(host: &Host, tenant: &str) -> Room {
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
async fn answers(room: &Room) -> Value {
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

/// Name, kind and bytes of the entries of an archive.
fn entries(archive: &Path) -> Vec<(String, tar::EntryType, Vec<u8>)> {
    let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, fs::File>>| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        (name, entry.header().entry_type(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

/// Without the checks of `tar`, which refuses to write what we want to refuse to read.
fn write(path: &Path, entries: &[(String, tar::EntryType, Vec<u8>)]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, kind, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(bytes.len() as u64);
        if !kind.is_file() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_mode(0o600);
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    builder.finish().unwrap();
}

type Entries = Vec<(String, tar::EntryType, Vec<u8>)>;
fn manifest(entries: &mut Entries, change: impl FnOnce(&mut Value)) {
    let mut manifest = serde_json::from_slice(&entries[0].2).unwrap();
    change(&mut manifest);
    entries[0].2 = serde_json::to_vec(&manifest).unwrap();
}
/// With another database, whose digest is right.
fn database(entries: &mut Entries, sql: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("room.db");
    fs::write(&path, &entries[1].2).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test makes an archive from outside")]
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    entries[1].2 = fs::read(&path).unwrap();
    let (bytes, digest) = (entries[1].2.len(), Digest::of(&entries[1].2));
    manifest(entries, |manifest| {
        manifest["parts"][0]["bytes"] = json!(bytes);
        manifest["parts"][0]["digest"] = json!(digest);
    });
}

#[tokio::test]
async fn a_crafted_archive_is_refused_and_leaves_nothing() {
    type Change = fn(&mut Entries);
    let changes: [(&str, ErrorKind, Change); 17] = [
        ("a path upwards", ErrorKind::InvalidRequest, |entries| {
            entries[3].0 = "../../evil".into();
            manifest(entries, |manifest| manifest["parts"][2]["name"] = json!("../../evil"));
        }),
        ("an absolute path", ErrorKind::InvalidRequest, |entries| {
            entries[3].0 = "/tmp/evil".into();
            manifest(entries, |manifest| manifest["parts"][2]["name"] = json!("/tmp/evil"));
        }),
        (
            "another path than the manifest's",
            ErrorKind::InvalidRequest,
            |entries| entries[3].0 = "../evil".into(),
        ),
        ("a link", ErrorKind::InvalidRequest, |entries| {
            entries[3].1 = tar::EntryType::Symlink
        }),
        ("a hard link", ErrorKind::InvalidRequest, |entries| {
            entries[3].1 = tar::EntryType::Link
        }),
        ("a wrong digest", ErrorKind::InvalidRequest, |entries| {
            entries[3].2[0] ^= 1
        }),
        ("a wrong length", ErrorKind::InvalidRequest, |entries| {
            entries[3].2.push(0)
        }),
        ("a part too many", ErrorKind::InvalidRequest, |entries| {
            let last = entries.last().unwrap().clone();
            entries.push(last);
        }),
        ("a part twice", ErrorKind::InvalidRequest, |entries| {
            let last = entries.last().unwrap().clone();
            entries.push(last);
            manifest(entries, |manifest| {
                let parts = manifest["parts"].as_array_mut().unwrap();
                parts.push(parts.last().unwrap().clone());
            });
        }),
        ("a part too few", ErrorKind::InvalidRequest, |entries| {
            drop(entries.pop())
        }),
        ("no manifest", ErrorKind::InvalidRequest, |entries| {
            drop(entries.remove(0))
        }),
        ("a manifest that is no JSON", ErrorKind::InvalidRequest, |entries| {
            entries[0].2.remove(0);
        }),
        ("a newer format", ErrorKind::Unavailable, |entries| {
            manifest(entries, |manifest| manifest["format"] = json!(2));
        }),
        ("too many bytes", ErrorKind::TooLarge, |entries| {
            manifest(entries, |manifest| manifest["parts"][0]["bytes"] = json!(1_u64 << 40));
        }),
        ("a trigger", ErrorKind::InvalidRequest, |entries| {
            database(
                entries,
                "CREATE TRIGGER evil AFTER INSERT ON kv BEGIN DELETE FROM documents; END",
            );
        }),
        ("a lost file", ErrorKind::InvalidRequest, |entries| {
            database(
                entries,
                "UPDATE files SET digest = 'sha256:' || hex(zeroblob(32)) WHERE name = 'one.txt'",
            );
        }),
        ("no database", ErrorKind::InvalidRequest, |entries| {
            entries[1].2 = b"not a database at all".to_vec();
            let digest = Digest::of(&entries[1].2);
            manifest(entries, |manifest| {
                manifest["parts"][0]["bytes"] = json!(21);
                manifest["parts"][0]["digest"] = json!(digest);
            });
        }),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (archive, before) = exported(folder.path()).await;
    let good = entries(&archive);
    let host = Host::new().await;
    host.create_tenant("globex").await;
    host.store.close().await.unwrap();
    for (what, kind, change) in changes {
        let mut entries = good.clone();
        change(&mut entries);
        let crafted = folder.path().join("crafted.tar");
        write(&crafted, &entries);
        let error = import(host.data(), "globex", &crafted, MOST)
            .err()
            .unwrap_or_else(|| panic!("{what} was imported"));
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
        assert_eq!(
            fs::read_dir(host.data().join("rooms")).unwrap().count(),
            0,
            "{what} left something"
        );
    }
    for cut in [0, 100, 512, 5_000] {
        let crafted = folder.path().join("cut.tar");
        fs::write(&crafted, &fs::read(&archive).unwrap()[..cut]).unwrap();
        assert!(
            import(host.data(), "globex", &crafted, MOST).is_err(),
            "cut after {cut}"
        );
    }
    assert_eq!(
        import(host.data(), "globex", &archive, 1_000).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    // The same entries, written by the same means, are an archive.
    let again = folder.path().join("again.tar");
    write(&again, &good);
    import(host.data(), "globex", &again, MOST).unwrap();
    let data = host.data().to_owned();
    let host = {
        let opened = Host::at(&data, Limits::default()).await;
        let room = opened.open(&opened.pass("globex").await).await;
        assert_eq!(answers(&room).await, before);
        (host, opened)
    };
    drop(host);
}

#[tokio::test]
async fn rows_that_no_server_can_read_are_refused_by_name() {
    let rows = [
        ("documents", "UPDATE documents SET metadata = '{' WHERE number = 9"),
        ("documents", "UPDATE documents SET metadata = '[]' WHERE number = 9"),
        ("documents", "UPDATE documents SET id = '../../x' WHERE number = 9"),
        (
            "documents",
            "UPDATE documents SET id = 'doc_ffffffffffffffffffffffffffffffff' WHERE number = 9",
        ),
        (
            "documents",
            "UPDATE documents SET title = CAST(x'ff' AS TEXT) WHERE number = 9",
        ),
        ("documents", "UPDATE documents SET text = 'short' WHERE number = 9"),
        ("documents", "UPDATE documents SET created = -5 WHERE number = 9"),
        ("documents", "UPDATE documents SET vector_store = 77 WHERE number = 9"),
        (
            "chunks",
            "UPDATE chunks SET embedding = CAST(x'0000c07f' || substr(embedding, 5) AS BLOB) WHERE id = 9",
        ),
        ("chunks", "UPDATE chunks SET embedding = zeroblob(16) WHERE id = 9"),
        ("chunks", "UPDATE chunks SET heading = '{' WHERE id = 9"),
        ("chunks", "UPDATE chunks SET page = -1 WHERE id = 9"),
        ("chunks", "UPDATE chunks SET start = 1000000 WHERE id = 9"),
        ("state, row odd", "INSERT INTO state VALUES ('odd', '1')"),
        ("state, row settings", "INSERT INTO state VALUES ('settings', '[]')"),
        ("state, row pipeline", "INSERT INTO state VALUES ('pipeline', '{')"),
        (
            "state, row dimensions",
            "UPDATE state SET value = '-4' WHERE key = 'dimensions'",
        ),
        (
            "vector_stores",
            "INSERT INTO vector_stores (id, name, metadata, created, last_active)
                VALUES ('vs_ffffffffffffffffffffffffffffffff', 'x', '{}', 1, 1)",
        ),
        (
            "vector_stores",
            "INSERT INTO vector_stores (id, name, metadata, created, last_active)
                VALUES ('vs_00000000000000000000000000000001', 'x', '7', 1, 1)",
        ),
        (
            "sqlite_sequence",
            "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'documents'",
        ),
        ("kv", "INSERT INTO kv VALUES ('', x'00', 1)"),
        (
            "files",
            "UPDATE files SET name = 'a' || char(10) || 'b' WHERE number = 1",
        ),
        ("files", "UPDATE files SET purpose = 'evil' WHERE number = 1"),
        (
            "replies",
            "INSERT INTO replies VALUES ('k', 'no digest', 200, 'text/plain', x'00', 1)",
        ),
        (
            "responses",
            "INSERT INTO responses VALUES (1, '../x', NULL, 1, 1, 1, 1); INSERT INTO response_contents VALUES (1, x'7b7d', x'5b5d', x'5b5d')",
        ),
        (
            "document_jobs",
            "INSERT INTO document_jobs (id, status, created) VALUES ('job_1', 'odd', 1)",
        ),
        (
            "adapters",
            "INSERT INTO adapters VALUES ('A B', 'sha256:', 1, 1, 1, 1, 0)",
        ),
        (
            "words_config",
            "INSERT INTO words (words, rank) VALUES ('rank', 'bm25(9.0)')",
        ),
        ("other tables", "CREATE VIEW evil AS SELECT 1"),
        ("other tables", "CREATE TABLE evil (x)"),
        ("other tables", "CREATE INDEX evil ON kv (value)"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (archive, before) = exported(folder.path()).await;
    let good = entries(&archive);
    let host = Host::new().await;
    host.create_tenant("globex").await;
    host.store.close().await.unwrap();
    let crafted = folder.path().join("crafted.tar");
    for (what, sql) in rows {
        let mut entries = good.clone();
        database(&mut entries, sql);
        write(&crafted, &entries);
        let error = import(host.data(), "globex", &crafted, MOST)
            .err()
            .unwrap_or_else(|| panic!("{sql} was imported"));
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{sql}: {error:?}");
        assert!(error.message().contains(what), "{sql}: {error:?}");
        assert!(!error.message().contains(char::is_control), "{sql}: {error:?}");
        assert_eq!(fs::read_dir(host.data().join("rooms")).unwrap().count(), 0, "{sql}");
    }
    // What can be made again is, and what is another server's business is left there.
    let mut entries = good;
    database(
        &mut entries,
        "DELETE FROM tags; DELETE FROM attributes; INSERT INTO state VALUES ('audit_lines', '[]')",
    );
    write(&crafted, &entries);
    import(host.data(), "globex", &crafted, MOST).unwrap();
    let kept: i64 = {
        #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
        let connection = rusqlite::Connection::open(host.data().join("rooms/globex/room.db")).unwrap();
        let sql = "SELECT count(*) FROM state WHERE key = 'audit_lines'";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(kept, 0);
    let opened = Host::at(host.data(), Limits::default()).await;
    let room = opened.open(&opened.pass("globex").await).await;
    assert_eq!(answers(&room).await, before);
    let mut filtered = query("lamp", &[]);
    filtered.filter = crate::host::metadata(json!({"kind": 7}));
    assert_eq!(titles(&room, &filtered).await, ["lamp 7"]);
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
