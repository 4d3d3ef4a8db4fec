//! A disk that is really full, of a few megabytes, which a child process has to itself: what stores something is refused and leaves nothing,
//! what deletes is done, requests are billed, and all goes on by itself when there is room again. Where a process may not mount
//! a file system for itself, it says so. Not here: a disk that is full for SQLite only, at random instants (`crash`).

use crate::{
    host::{DIMENSIONS, Host, add, document, entry, query, titles},
    ledger::receipt_chains::{self, BilledRequest, ReceiptChains},
};
use bytes::Bytes;
use riad_core::{
    Account, ErrorKind, FileId, Limits, Result, VectorStoreId,
    document::{Metadata, Page},
    file::{FilePage, FilePurpose, NewFile},
    ledger::Record,
    ports::{Ledger, Room},
    vector_store::{NewVectorStore, NewVectorStoreFile},
};
use riad_store::OfflineRoom;
use serde_json::json;
use std::{
    env,
    fs::File,
    io::{ErrorKind as IoErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

const FOLDER: &str = "RIAD_TEST_FULL_DISK";
const RESERVE_BYTES: u64 = 6 << 20;
const X: [f32; DIMENSIONS] = [1.0, 0.0, 0.0, 0.0];

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_refuses_what_stores_and_takes_deletions() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = |then: &str| {
        let script = format!("mount -t tmpfs -o size=32m tmpfs \"$0\" && {then}");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        command.arg(folder.path());
        command
    };
    match mounted("true").output() {
        Ok(tried) if tried.status.success() => {}
        Ok(tried) => {
            eprintln!("skipped: {}", String::from_utf8_lossy(&tried.stderr));
            return;
        }
        Err(error) => {
            eprintln!("skipped: unshare: {error}");
            return;
        }
    }
    let mut child = mounted("exec \"$@\"");
    child.arg(env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "full_disk::fill_a_disk", "--nocapture"]);
    let ran = child.env(FOLDER, folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

async fn put(room: &Room, name: &str, bytes: usize) -> Result<FileId> {
    let mut writer = room.files.begin().await?;
    // Noise, so that no two are the same file.
    let mut noise = name.as_bytes().repeat(bytes / name.len() + 1);
    noise.truncate(bytes);
    for piece in noise.chunks(64 << 10) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    let file = NewFile {
        name: name.into(),
        purpose: FilePurpose::UserData,
        expires: None,
    };
    Ok(writer.finish(file).await?.id)
}

async fn insert(room: &Room, title: &str) -> Result<()> {
    let (document, chunks) = document(title, &"a lamp of glass ".repeat(200), X, json!({"of": title}));
    room.documents.insert(document, chunks, None).await.map(drop)
}

async fn store(room: &Room) -> VectorStoreId {
    let new = NewVectorStore {
        description: None,
        name: "store".into(),
        metadata: Metadata::new(),
        expires_after_days: None,
    };
    room.vector_stores.create(new).await.unwrap().id
}

async fn listed(room: &Room) -> (Vec<String>, Vec<FileId>) {
    let page = Page {
        after: None,
        limit: 10_000,
    };
    let documents = room.documents.list(&page).await.unwrap();
    let files = FilePage {
        after: None,
        limit: 10_000,
        ascending: true,
        purpose: None,
    };
    let files = room.files.list(&files).await.unwrap();
    (
        documents.into_iter().map(|document| document.id.to_string()).collect(),
        files.into_iter().map(|file| file.id).collect(),
    )
}

/// How often it succeeds before it is refused.
async fn until_refused(work: impl AsyncFn(usize) -> Result<()>) -> usize {
    for number in 0..10_000 {
        if let Err(error) = work(number).await {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
            return number;
        }
    }
    panic!("the disk is never full");
}

/// Takes all that is left of the disk, as another program does.
fn take_the_rest(path: &Path) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    for bytes in [64 << 10, 4096, 1] {
        loop {
            match file.write(&vec![7; bytes]) {
                Ok(written) => assert!(written > 0),
                Err(error) => {
                    assert_eq!(error.kind(), IoErrorKind::StorageFull);
                    break;
                }
            }
        }
    }
}

async fn bill(ledger: &dyn Ledger, chains: &mut ReceiptChains, account: Account) -> Result<()> {
    let request = format!("request {}", chains.head(account).number);
    let entry = chains.settle(&BilledRequest::new(account, "acme", &request));
    ledger.append(Record::Entry(entry)).await
}

#[tokio::test]
#[ignore = "fills a disk; started by the test above, which has one"]
async fn fill_a_disk() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child process")]
    let folder = PathBuf::from(env::var(FOLDER).unwrap());
    let data = folder.join("data");
    let reserve = data.join("reserve");
    let limits = Limits {
        reserve_bytes: RESERVE_BYTES,
        ..Limits::default()
    };
    let host = Host::at(&data, limits.clone()).await;
    assert_eq!(reserve.metadata().unwrap().len(), RESERVE_BYTES);
    let acme = host.create_tenant("acme").await;
    let globex = host.create_tenant("globex").await;
    let room = host.open(&acme).await;
    let other = host.open(&globex).await;
    insert(&other, "of globex").await.unwrap();
    for number in 0..40 {
        insert(&room, &format!("document {number}")).await.unwrap();
        room.kv
            .set(&format!("key {number}"), vec![1; 500], 100_000)
            .await
            .unwrap();
    }
    let kept = put(&room, "kept", 300_000).await.unwrap();
    let stores = [store(&room).await, store(&room).await];
    for id in &stores {
        let new = NewVectorStoreFile {
            file: kept.clone(),
            attributes: Metadata::new(),
            chunk_size: None,
        };
        room.vector_stores.add(id, vec![new]).await.unwrap();
        let pending = room.vector_stores.next_pending().await.unwrap().unwrap();
        let (document, chunks) = document("kept", "a lamp in a store", X, json!({}));
        room.vector_stores.complete(&pending, document, chunks).await.unwrap();
    }
    let ledger = host.store.ledger();
    let mut chains = ReceiptChains::default();
    bill(&*ledger, &mut chains, acme.account()).await.unwrap();

    let put_first = until_refused(async |number| put(&room, &format!("file {number}"), 200_000).await.map(drop)).await;
    assert!(put_first > 20, "the disk has room for more than {put_first}");
    take_the_rest(&folder.join("ballast"));
    // SQLite's files have some room of their own.
    let (documents, kept_files) = listed(&room).await;
    let inserted = until_refused(async |number| insert(&room, &format!("late {number}")).await).await;
    let put_late = until_refused(async |number| put(&room, &format!("late {number}"), 9_000).await.map(drop)).await;
    let late = async |number| room.kv.set(&format!("late {number}"), vec![2; 500], 100_000).await;
    until_refused(late).await;
    let before = listed(&room).await;
    assert_eq!(before.0.len(), documents.len() + inserted);
    assert_eq!(before.1.len(), kept_files.len() + put_late);
    assert!(reserve.exists(), "nothing has needed it");

    // Deletions of each kind, and many of them, while somebody else takes all that becomes free.
    let is_whole = || reserve.metadata().is_ok_and(|found| found.len() == RESERVE_BYTES);
    let ballast = folder.join("ballast");
    let (documents, files) = before;
    for (deleted, id) in documents.iter().skip(1).enumerate() {
        room.documents.delete(&id.parse().unwrap()).await.unwrap();
        if deleted == 0 {
            assert!(!is_whole());
            take_the_rest(&ballast);
            // What requests need: a hold before, an entry after, and what is in the room.
            let held = BilledRequest::new(acme.account(), "acme", "while it is full").hold();
            ledger.append(Record::Hold(held)).await.unwrap();
            bill(&*ledger, &mut chains, acme.account()).await.unwrap();
            assert!(!titles(&room, &query("lamp", &[])).await.is_empty());
            assert!(!is_whole());
        }
    }
    for number in 0..40 {
        assert!(room.kv.delete(&format!("key {number}")).await.unwrap());
    }
    room.vector_stores.remove(&stores[0], &kept).await.unwrap();
    room.vector_stores.delete(&stores[1]).await.unwrap();
    take_the_rest(&ballast);
    host.store
        .audit()
        .append(entry("document.delete", "acme"))
        .await
        .unwrap();
    for _ in 0..20 {
        bill(&*ledger, &mut chains, acme.account()).await.unwrap();
    }
    take_the_rest(&ballast);
    // Requests that begin leave half of the reserve to deletions.
    let hold = async |number: usize| {
        let request = format!("held {number} {}", "x".repeat(4_000));
        let hold = BilledRequest::new(acme.account(), "acme", &request).hold();
        ledger.append(Record::Hold(hold)).await
    };
    until_refused(hold).await;
    assert!(!is_whole());
    let mut inserted = 1 + until_refused(async |number| insert(&room, &format!("later {number}")).await).await;
    assert_eq!(listed(&room).await.0.len(), inserted);

    // Another start on the full disk.
    drop((room, other, ledger));
    host.store.close().await.unwrap();
    drop(host);
    take_the_rest(&ballast);
    let host = Host::at(&data, limits).await;
    let room = host.open(&host.pass("acme").await).await;
    inserted += until_refused(async |number| insert(&room, &format!("latest {number}")).await).await;
    assert_eq!(listed(&room).await.0.len(), inserted);
    // The first one was in the stores.
    assert_eq!(files[0], kept);
    room.files.delete(&files[1]).await.unwrap();
    host.delete_tenant(&host.pass("globex").await).await;
    assert!(!data.join("rooms/globex").exists());
    for id in files.iter().skip(2) {
        room.files.delete(id).await.unwrap();
    }

    // There is room now, and nobody has to do anything.
    insert(&room, "after").await.unwrap();
    assert!(is_whole());
    add(&room, "more", "a chair", X, json!({})).await;
    assert_eq!(titles(&room, &query("chair", &[])).await, ["more"]);
    let ledger = host.store.ledger();
    let verified = ledger.verify(Box::new(receipt_chains::check)).await.unwrap();
    assert_eq!(verified.entries, 22);
    drop((room, ledger));
    host.store.close().await.unwrap();
    drop(host);
    let report = OfflineRoom::open(&data, &"acme".parse().unwrap())
        .unwrap()
        .check()
        .unwrap();
    assert_eq!(report.faults, []);
    assert_eq!((report.documents, report.files), (inserted as u64 + 2, 1));
}
