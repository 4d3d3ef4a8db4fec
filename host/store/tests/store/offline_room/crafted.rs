//! Archives that no server has written, and rows in them that no server can read.

use super::*;

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
