//! Files that a tenant keeps: what is read while it is deleted or sent again, and what counts while it is written.

use crate::host::{Host, add};
use bytes::Bytes;
use riad_core::{
    ErrorKind, FileId, Limits, Result,
    file::{FilePage, FilePurpose, NewFile, StoredFile},
    ports::{FileReader, FileWriter, Room},
};
use serde_json::json;
use std::{fs, path::Path};

const MOST: u64 = 1 << 20;
const PIECE: usize = 10_000;

async fn host() -> Host {
    Host::with(Limits {
        room_bytes: MOST,
        ..Limits::default()
    })
    .await
}

async fn begin(room: &Room, fill: u8, bytes: usize) -> Result<Box<dyn FileWriter>> {
    let mut writer = room.files.begin().await?;
    writer.write(Bytes::from(vec![fill; bytes])).await?;
    Ok(writer)
}

async fn finish(writer: Box<dyn FileWriter>) -> Result<StoredFile> {
    let file = NewFile {
        name: "a.bin".into(),
        purpose: FilePurpose::UserData,
        expires: None,
    };
    writer.finish(file).await
}

async fn keep(room: &Room, fill: u8, bytes: usize) -> StoredFile {
    finish(begin(room, fill, bytes).await.unwrap()).await.unwrap()
}

async fn open_half_read(room: &Room, id: &FileId) -> Box<dyn FileReader> {
    let mut reader = room.files.open(id).await.unwrap();
    assert_eq!(reader.read(PIECE).await.unwrap(), vec![1; PIECE]);
    reader
}

fn files_on_disk(host: &Host) -> usize {
    fs::read_dir(host.room_folder("acme").join("files")).unwrap().count()
}

/// Deleted files below a folder whose bytes the disk keeps, because this process has them open.
#[cfg(target_os = "linux")]
fn deleted_and_open(folder: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    // Some go while they are read.
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|path| path.starts_with(folder) && path.to_string_lossy().ends_with("(deleted)"))
        .count()
}

#[cfg(not(target_os = "linux"))]
fn deleted_and_open(_: &Path) -> usize {
    0
}

#[tokio::test]
async fn a_file_that_is_deleted_while_it_is_read_is_gone() {
    let host = host().await;
    let room = host.room("acme").await;
    let folder = host.room_folder("acme");
    let file = keep(&room, 1, 3 * PIECE).await;
    let mut reader = open_half_read(&room, &file.id).await;
    room.files.delete(&file.id).await.unwrap();
    assert_eq!((files_on_disk(&host), deleted_and_open(&folder)), (0, 0));
    assert_eq!(reader.read(PIECE).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        room.files.open(&file.id).await.err().unwrap().kind(),
        ErrorKind::NotFound
    );
    // The same bytes again are another file.
    let again = keep(&room, 1, 3 * PIECE).await;
    assert_eq!(reader.read(PIECE).await.unwrap_err().kind(), ErrorKind::NotFound);
    let mut reader = open_half_read(&room, &again.id).await;
    drop(room);
    host.delete_tenant(&host.pass("acme").await).await;
    assert_eq!(deleted_and_open(&folder), 0);
    assert_eq!(reader.read(PIECE).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_file_that_is_sent_again_while_it_is_read_is_read_to_its_end() {
    let host = host().await;
    let room = host.room("acme").await;
    let folder = host.room_folder("acme");
    let file = keep(&room, 1, 2 * PIECE + 1).await;
    let mut reader = open_half_read(&room, &file.id).await;
    let mut other = open_half_read(&room, &file.id).await;
    let again = keep(&room, 1, 2 * PIECE + 1).await;
    assert_eq!((files_on_disk(&host), deleted_and_open(&folder)), (1, 0));
    // The other one still has the bytes.
    room.files.delete(&file.id).await.unwrap();
    for reader in [&mut reader, &mut other] {
        assert_eq!(reader.file().id, file.id);
        assert_eq!(reader.read(PIECE).await.unwrap(), vec![1; PIECE]);
        assert_eq!(reader.read(PIECE).await.unwrap(), [1][..]);
        assert!(reader.read(PIECE).await.unwrap().is_empty());
    }
    room.files.delete(&again.id).await.unwrap();
    assert_eq!((files_on_disk(&host), deleted_and_open(&folder)), (0, 0));
}

#[tokio::test]
async fn files_that_are_written_at_once_stay_within_the_quota() {
    let host = host().await;
    let room = host.room("acme").await;
    add(&room, "small", "small", [0.0, 1.0, 0.0, 0.0], json!({})).await;
    let pass = host.pass("acme").await;
    let stored = host.open(&pass).await.storage.stored;
    let most_of_it = usize::try_from((MOST - stored) / 3 * 2).unwrap();
    let first = begin(&room, 1, most_of_it).await.unwrap();
    assert_eq!(
        host.open(&pass).await.storage.stored,
        stored + most_of_it as u64,
        "what is written counts"
    );
    let refused = begin(&room, 2, most_of_it).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert!(
        refused.message().contains(&format!("so that {most_of_it} more")),
        "{refused}"
    );
    assert_eq!(files_on_disk(&host), 1, "what was refused leaves nothing");
    // What is broken off gives its bytes back.
    drop(first);
    assert_eq!(host.open(&pass).await.storage.stored, stored);
    let second = begin(&room, 2, most_of_it).await.unwrap();
    // Beside a file of its own size that is finished, it does not count twice.
    let small = begin(&room, 3, most_of_it / 4).await.unwrap();
    let small = finish(small).await.unwrap();
    let second = finish(second).await.unwrap();
    let after = host.open(&pass).await.storage.stored;
    let files = small.bytes + second.bytes;
    assert!((stored + files..stored + files + 65_536).contains(&after), "{after}");
    room.files.delete(&second.id).await.unwrap();
    keep(&room, 4, most_of_it).await;
    let page = FilePage {
        after: None,
        limit: 10,
        purpose: None,
        ascending: true,
    };
    assert_eq!(room.files.list(&page).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_expired_file_makes_room_at_the_next_request() {
    let host = host().await;
    let room = host.room("acme").await;
    let pass = host.pass("acme").await;
    let before = room.storage.stored;
    let bytes = usize::try_from((MOST - before) / 3 * 2).unwrap();
    for fill in 1..40 {
        let file = NewFile {
            name: "a.bin".into(),
            purpose: FilePurpose::UserData,
            expires: Some(1),
        };
        begin(&room, fill, 100).await.unwrap().finish(file).await.unwrap();
    }
    let file = NewFile {
        name: "large.bin".into(),
        purpose: FilePurpose::UserData,
        expires: Some(2),
    };
    let large = begin(&room, 0, bytes).await.unwrap().finish(file).await.unwrap();
    assert_eq!(room.files.get(&large.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        files_on_disk(&host),
        1,
        "each new one deletes those that have expired before it"
    );
    let room = host.open(&pass).await;
    assert_eq!(files_on_disk(&host), 0);
    assert!(room.storage.stored < before + 65_536);
    keep(&room, 5, bytes).await;
}
