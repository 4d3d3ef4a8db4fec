//! Files that come in parts: joined as they were asked for, within their bytes, and nothing is left of what ends otherwise. Not here: `kill -9`
//! (`crash`).

mod crash;

use crate::host::Host;
use bytes::Bytes;
use riad_core::{
    Error, ErrorKind, Limits, PartId, Result, UploadId,
    file::{FilePage, FilePurpose, NewFile, StoredFile},
    ports::Room,
    upload::{NewUpload, Upload, UploadPart, UploadStatus},
};
use std::{fs, slice};

fn new(bytes: usize) -> NewUpload {
    NewUpload {
        name: "joined.bin".into(),
        purpose: FilePurpose::UserData,
        bytes: bytes as u64,
        file_expires_after: None,
    }
}

async fn create(room: &Room, bytes: usize) -> Upload {
    room.uploads.create(new(bytes)).await.unwrap()
}

async fn send(room: &Room, upload: &UploadId, bytes: &[u8]) -> Result<UploadPart> {
    let mut writer = room.uploads.begin_part(upload).await?;
    for piece in bytes.chunks(50_000) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

async fn part(room: &Room, upload: &Upload, bytes: &[u8]) -> PartId {
    let part = send(room, &upload.id, bytes).await.unwrap();
    assert_eq!(part.upload, upload.id);
    part.id
}

async fn content(room: &Room, file: &StoredFile) -> Bytes {
    room.files.open(&file.id).await.unwrap().read(usize::MAX).await.unwrap()
}

async fn files(room: &Room) -> Vec<StoredFile> {
    let page = FilePage {
        after: None,
        limit: 1_000,
        purpose: None,
        ascending: true,
    };
    room.files.list(&page).await.unwrap()
}

/// Sizes of what lies in the folder of the room's files.
fn stored(host: &Host) -> Vec<u64> {
    let folder = host.room_folder("acme").join("files");
    let mut sizes: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    sizes.sort_unstable();
    sizes
}

fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, says: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(says), "{error}");
    error
}

fn connect(host: &Host) -> rusqlite::Connection {
    #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
    rusqlite::Connection::open(host.room_folder("acme").join("room.db")).unwrap()
}

/// Moves the end of all uploads by some seconds.
fn postpone(host: &Host, seconds: i64) {
    connect(host)
        .execute("UPDATE uploads SET expires = expires + ?1", [seconds])
        .unwrap();
}

#[tokio::test]
async fn parts_are_joined_in_the_order_that_is_asked_for() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let texts: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![n; 300_000 + usize::from(n)]).collect();
    let whole: Vec<u8> = [3, 0, 2, 1].iter().flat_map(|n: &usize| texts[*n].clone()).collect();
    let upload = room
        .uploads
        .create(NewUpload {
            file_expires_after: Some(5_000),
            ..new(whole.len())
        })
        .await
        .unwrap();
    assert_eq!(
        (upload.status, upload.expires - upload.created),
        (UploadStatus::Pending, 3_600)
    );
    // All at the same time.
    let mut sending = Vec::new();
    for text in texts.clone() {
        let (room, id) = (room.clone(), upload.id.clone());
        sending.push(tokio::spawn(async move { send(&room, &id, &text).await.unwrap().id }));
    }
    let mut ids = Vec::new();
    for part in sending {
        ids.push(part.await.unwrap());
    }
    assert_eq!(stored(&host), [300_000, 300_001, 300_002, 300_003]);
    assert!(files(&room).await.is_empty(), "a part is no file");

    let order = [&ids[3], &ids[0], &ids[2], &ids[1]].map(Clone::clone);
    let completed = room.uploads.complete(&upload.id, &order, None).await.unwrap();
    let file = completed.file.unwrap();
    assert_eq!(completed.status, UploadStatus::Completed);
    assert_eq!((file.name.as_str(), file.bytes), ("joined.bin", whole.len() as u64));
    assert_eq!(file.expires, Some(file.created + 5_000), "its time begins now");
    assert_eq!(content(&room, &file).await, whole);
    assert_eq!(stored(&host), [whole.len() as u64], "the parts are gone");
    assert_eq!(files(&room).await, slice::from_ref(&file));
    // What has ended says how.
    let says = format!("completed: its file is {}", file.id);
    refused(
        room.uploads.complete(&upload.id, &order, None).await,
        ErrorKind::InvalidRequest,
        &says,
    );
    refused(send(&room, &upload.id, b"more").await, ErrorKind::InvalidRequest, &says);
    refused(room.uploads.cancel(&upload.id).await, ErrorKind::InvalidRequest, &says);
    drop(room);
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(content(&room, &file).await, whole);
    refused(room.uploads.cancel(&upload.id).await, ErrorKind::InvalidRequest, &says);
}

#[tokio::test]
async fn parts_that_do_not_fit_together_leave_the_upload_as_it_was() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let upload = create(&room, 6).await;
    let (first, second) = (part(&room, &upload, b"abc").await, part(&room, &upload, b"def").await);
    let other = create(&room, 3).await;
    let others = part(&room, &other, b"xyz").await;
    let complete = async |parts: &[&PartId], md5| {
        let parts: Vec<_> = parts.iter().map(|part| (*part).clone()).collect();
        room.uploads.complete(&upload.id, &parts, md5).await
    };
    for parts in [&[] as &[_], &[&first]] {
        let error = refused(
            complete(parts, None).await,
            ErrorKind::InvalidRequest,
            &format!("{} bytes together", 3 * parts.len()),
        );
        assert!(error.message().contains("announced with 6"), "{error}");
        assert_eq!(error.param(), Some("part_ids"));
    }
    refused(
        complete(&[&first, &first], None).await,
        ErrorKind::InvalidRequest,
        "twice",
    );
    refused(
        complete(&[&first, &others], None).await,
        ErrorKind::NotFound,
        others.as_str(),
    );
    // The MD5 of "abcdef".
    let whole = "e80b5017098950fc58aad83c8c14978e";
    let md5 = Some(whole.parse().unwrap());
    let error = refused(
        complete(&[&second, &first], md5).await,
        ErrorKind::InvalidRequest,
        whole,
    );
    assert_eq!(error.param(), Some("md5"));
    assert_eq!(stored(&host), [3, 3, 3]);
    let file = complete(&[&first, &second], md5).await.unwrap().file.unwrap();
    assert_eq!(content(&room, &file).await, "abcdef");
    assert_eq!(stored(&host), [3, 6], "the other upload has its part");
    let absent = "upload_0".parse().unwrap();
    refused(room.uploads.cancel(&absent).await, ErrorKind::NotFound, "upload_0");
    // Another room has none of them.
    let globex = host.room("globex").await;
    refused(globex.uploads.cancel(&other.id).await, ErrorKind::NotFound, "no upload");
    refused(send(&globex, &other.id, b"x").await, ErrorKind::NotFound, "no upload");
    let stolen = globex.uploads.complete(&other.id, &[others], None).await;
    refused(stolen, ErrorKind::NotFound, "no upload");
}

#[tokio::test]
async fn an_upload_has_no_more_bytes_than_it_was_announced_with() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let upload = create(&room, 5).await;
    let error = refused(
        send(&room, &upload.id, b"abcdef").await,
        ErrorKind::InvalidRequest,
        "announced with 5",
    );
    assert_eq!(error.param(), Some("data"));
    assert!(stored(&host).is_empty());
    // Two come at the same time, and there is space for one of them.
    let mut writers = Vec::new();
    for text in ["abc", "def"] {
        let mut writer = room.uploads.begin_part(&upload.id).await.unwrap();
        writer.write(text.into()).await.unwrap();
        writers.push(writer);
    }
    let second = writers.pop().unwrap();
    writers.pop().unwrap().finish().await.unwrap();
    refused(second.finish().await, ErrorKind::InvalidRequest, "announced with 5");
    assert_eq!(stored(&host), [3]);
    // The same again, of which the client did not see the answer, takes no bytes.
    let again = part(&room, &upload, b"abc").await;
    let rest = part(&room, &upload, b"gh").await;
    let completed = room.uploads.complete(&upload.id, &[again, rest], None).await.unwrap();
    assert_eq!(content(&room, &completed.file.unwrap()).await, "abcgh");
    assert_eq!(stored(&host), [5]);
}

#[tokio::test]
async fn a_file_may_repeat_a_part() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let upload = create(&room, 6).await;
    let parts = [part(&room, &upload, b"abc").await, part(&room, &upload, b"abc").await];
    assert_eq!(stored(&host), [3], "the same bytes are there once");
    let completed = room.uploads.complete(&upload.id, &parts, None).await.unwrap();
    assert_eq!(content(&room, &completed.file.unwrap()).await, "abcabc");
}

#[tokio::test]
async fn one_part_can_be_the_whole_file() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    // Part and file lie under the same digest.
    let upload = create(&room, 3).await;
    let parts = [part(&room, &upload, b"abc").await];
    let completed = room.uploads.complete(&upload.id, &parts, None).await.unwrap();
    let file = completed.file.unwrap();
    assert_eq!(content(&room, &file).await, "abc");
    // A part that has the bytes of a file goes without it, and the other way round.
    let other = create(&room, 3).await;
    part(&room, &other, b"abc").await;
    room.uploads.cancel(&other.id).await.unwrap();
    assert_eq!(content(&room, &file).await, "abc");
    let other = create(&room, 3).await;
    let parts = [part(&room, &other, b"abc").await];
    room.files.delete(&file.id).await.unwrap();
    assert_eq!(stored(&host), [3]);
    let completed = room.uploads.complete(&other.id, &parts, None).await.unwrap();
    assert_eq!(content(&room, &completed.file.unwrap()).await, "abc");
}

#[tokio::test]
async fn what_is_canceled_is_gone_whoever_writes_or_joins_it() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let upload = create(&room, 900_000).await;
    part(&room, &upload, &[1; 400_000]).await;
    let mut late = room.uploads.begin_part(&upload.id).await.unwrap();
    late.write("late".into()).await.unwrap();
    let canceled = room.uploads.cancel(&upload.id).await.unwrap();
    assert_eq!((canceled.status, canceled.file), (UploadStatus::Cancelled, None));
    refused(late.finish().await, ErrorKind::InvalidRequest, "cancelled");
    assert!(stored(&host).is_empty());
    refused(
        room.uploads.complete(&upload.id, &[], None).await,
        ErrorKind::InvalidRequest,
        "cancelled",
    );
    // One end wins, and the folder has what it left.
    for _ in 0..20 {
        let upload = create(&room, 900_000).await;
        let parts = [
            part(&room, &upload, &[1; 400_000]).await,
            part(&room, &upload, &[2; 500_000]).await,
        ];
        let (once, twice, canceled) = tokio::join!(
            room.uploads.complete(&upload.id, &parts, None),
            room.uploads.complete(&upload.id, &parts, None),
            room.uploads.cancel(&upload.id),
        );
        let ends = [once.is_ok(), twice.is_ok(), canceled.is_ok()];
        assert_eq!(ends.iter().filter(|won| **won).count(), 1, "{ends:?}");
        for end in [once, twice, canceled].into_iter().filter_map(Result::err) {
            assert_eq!(end.kind(), ErrorKind::InvalidRequest, "{end}");
        }
        let files = files(&room).await;
        assert_eq!(stored(&host), files.iter().map(|file| file.bytes).collect::<Vec<_>>());
        for file in files {
            room.files.delete(&file.id).await.unwrap();
        }
    }
    assert!(stored(&host).is_empty());
}

#[tokio::test]
async fn an_upload_that_was_forgotten_expires_with_its_parts() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let upload = create(&room, 6).await;
    let parts = [part(&room, &upload, b"abc").await];
    let mut late = room.uploads.begin_part(&upload.id).await.unwrap();
    late.write("def".into()).await.unwrap();
    postpone(&host, -3_600);
    refused(late.finish().await, ErrorKind::InvalidRequest, "expired");
    refused(
        send(&room, &upload.id, b"def").await,
        ErrorKind::InvalidRequest,
        "expired",
    );
    refused(
        room.uploads.complete(&upload.id, &parts, None).await,
        ErrorKind::InvalidRequest,
        "expired",
    );
    assert_eq!(stored(&host), [3]);
    // The next file takes its place.
    let mut file = room.files.begin().await.unwrap();
    assert_eq!(stored(&host), [0], "of the file that has begun");
    file.write("kept".into()).await.unwrap();
    let name = NewFile {
        name: "a".into(),
        purpose: FilePurpose::UserData,
        expires: None,
    };
    let kept = file.finish(name).await.unwrap();
    refused(
        room.uploads.cancel(&upload.id).await,
        ErrorKind::InvalidRequest,
        "expired",
    );
    // So does an opening; what has ended long ago is not even known.
    let second = create(&room, 6).await;
    part(&room, &second, b"ghi").await;
    postpone(&host, -3_600);
    drop(room);
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(stored(&host), [4]);
    refused(
        room.uploads.cancel(&second.id).await,
        ErrorKind::InvalidRequest,
        "expired",
    );
    refused(room.uploads.cancel(&upload.id).await, ErrorKind::NotFound, "no upload");
    assert_eq!(files(&room).await, [kept]);
}

#[tokio::test]
async fn parts_count_as_stored_bytes() {
    let host = Host::with(Limits {
        room_bytes: (1 << 20) + (1 << 17),
        ..Limits::default()
    })
    .await;
    let room = host.room("acme").await;
    refused(
        room.uploads.create(new(2 << 20)).await,
        ErrorKind::StorageFull,
        "may store 1179648",
    );
    let upload = create(&room, 700_000).await;
    let first = part(&room, &upload, &[1; 350_000]).await;
    let again = async || host.open(&host.pass("acme").await).await.storage.stored;
    let one = again().await;
    // The same bytes, as a part or as a file, are there once.
    part(&room, &upload, &[1; 350_000]).await;
    assert!(again().await < one + 50_000);
    let second = part(&room, &upload, &[2; 350_000]).await;
    let full = create(&room, 100_000).await;
    let more = create(&room, 100_000).await;
    part(&room, &full, &[3; 100_000]).await;
    refused(
        send(&room, &more.id, &[4; 100_000]).await,
        ErrorKind::StorageFull,
        "may store 1179648",
    );
    assert_eq!(stored(&host), [100_000, 350_000, 350_000]);
    // The room has space for the file because it has no parts then.
    let completed = room.uploads.complete(&upload.id, &[first, second], None).await.unwrap();
    assert_eq!(completed.file.unwrap().bytes, 700_000);
    room.uploads.cancel(&full.id).await.unwrap();
    part(&room, &more, &[4; 100_000]).await;
    // Nobody gets around it by a part that is repeated.
    let upload = create(&room, 20_000).await;
    let parts = [
        part(&room, &upload, &[5; 10_000]).await,
        part(&room, &upload, &[5; 10_000]).await,
    ];
    let before = again().await;
    drop(room);
    let host = host
        .with_limits_changed(|limits| limits.room_bytes = before + 5_000)
        .await;
    let room = host.open(&host.pass("acme").await).await;
    refused(
        room.uploads.complete(&upload.id, &parts, None).await,
        ErrorKind::StorageFull,
        "may store",
    );
    assert_eq!(stored(&host), [10_000, 100_000, 700_000], "it goes on");
    room.uploads.cancel(&upload.id).await.unwrap();
}

#[tokio::test]
async fn a_room_has_a_bounded_number_of_pending_uploads() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mut last = create(&room, 1).await;
    for _ in 1..100 {
        last = create(&room, 1).await;
    }
    refused(room.uploads.create(new(1)).await, ErrorKind::StorageFull, "100 uploads");
    room.uploads.cancel(&last.id).await.unwrap();
    create(&room, 1).await;
    refused(room.uploads.create(new(1)).await, ErrorKind::StorageFull, "cancel some");
    postpone(&host, -3_600);
    create(&room, 1).await;
}
