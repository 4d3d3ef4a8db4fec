//! Jobs that make documents: what they keep and for how long, how they end, and that a kill loses nothing.

use crate::host::{DIMENSIONS, Host, metadata, query, titles};
use riad_core::{
    Digest, DocumentJobId, ErrorKind, Limits,
    audit::AuditEntry,
    document::{DocumentFile, Metadata, NewChunk, NewDocument, Original, Page, Position},
    document_job::{JobError, JobStatus},
    ingestion::{DocumentRequest, DocumentSource, TextFormat, Upload},
    ports::{KeptRequest, RequestMark, Room, StoredObject},
};
use riad_store::OfflineRoom;
use rusqlite::Connection;
use serde_json::json;
use std::{fs, path::Path};

fn text(title: &str, text: &str) -> DocumentRequest {
    DocumentRequest {
        title: Some(title.into()),
        source: DocumentSource::Text {
            text: text.into(),
            format: TextFormat::Markdown,
        },
        metadata: metadata(json!({"kind": title})),
    }
}

fn upload(name: &str, bytes: &[u8]) -> DocumentRequest {
    DocumentRequest {
        title: None,
        source: DocumentSource::File(Upload {
            name: name.into(),
            media_type: "text/plain".into(),
            bytes: bytes.to_vec().into(),
        }),
        metadata: Metadata::new(),
    }
}

async fn add(room: &Room, request: DocumentRequest) -> DocumentJobId {
    let job = room.document_jobs.add(request, None).await.unwrap();
    assert_eq!(
        (job.status, &job.document, &job.error),
        (JobStatus::Queued, &None, &None)
    );
    job.id
}

/// A document of one chunk.
fn made(title: &str, source: Option<&str>) -> (NewDocument, Vec<NewChunk>) {
    let file = source.map(|source| DocumentFile {
        media_type: "text/plain".into(),
        warnings: Vec::new(),
        original: None,
        source: Digest::of(source.as_bytes()),
    });
    let document = NewDocument {
        title: title.into(),
        text: title.into(),
        metadata: Metadata::new(),
        file,
    };
    let chunk = NewChunk {
        text: title.into(),
        offset: 0,
        position: Position::default(),
        embedding: [1.0; DIMENSIONS].to_vec(),
    };
    (document, vec![chunk])
}

fn line() -> AuditEntry {
    AuditEntry {
        actor: "server".into(),
        ..crate::host::entry("document.create", "")
    }
}

async fn complete(room: &Room, id: &DocumentJobId, title: &str) -> riad_core::Result<riad_core::DocumentId> {
    let (document, chunks) = made(title, None);
    let stored = room.document_jobs.complete(id, document, chunks, line()).await?;
    Ok(stored.id)
}

fn kept_files(host: &Host) -> usize {
    fs::read_dir(host.room_folder("acme").join("files")).unwrap().count()
}

fn connect(data: &Path) -> Connection {
    #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
    Connection::open(data.join("rooms/acme/room.db")).unwrap()
}

async fn listed(room: &Room) -> usize {
    let page = Page {
        after: None,
        limit: 100,
    };
    room.documents.list(&page).await.unwrap().len()
}

#[tokio::test]
async fn what_waits_survives_a_kill_and_ends_once() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let mark = RequestMark {
        key: "k".into(),
        request: Digest::of(b"the request"),
    };
    let request = || text("Pumps", "# Pumps\nThe pump has 11 bar.");
    let first = room.document_jobs.add(request(), Some(mark.clone())).await.unwrap().id;
    let second = add(&room, upload("manual.txt", b"The lamp has 7 watts.")).await;
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    let stored = KeptRequest::Stored {
        request: mark.request,
        object: StoredObject::DocumentJob(first.clone()),
    };
    assert_eq!(room.idempotency.get("k", 0).await.unwrap(), Some(stored));

    assert_eq!(room.document_jobs.next_pending().await.unwrap(), Some(first.clone()));
    let pending = room.document_jobs.pending(&first).await.unwrap().unwrap();
    assert_eq!((&pending.id, pending.request), (&first, request()));
    let document = complete(&room, &first, "pumps").await.unwrap();
    let job = room.document_jobs.get(&first).await.unwrap();
    assert_eq!(
        (job.status, job.document.unwrap().id),
        (JobStatus::Completed, document.clone())
    );
    assert_eq!(titles(&room, &query("pumps", &[])).await, ["pumps"]);
    assert_eq!(room.document_jobs.pending(&first).await.unwrap(), None);
    let again = complete(&room, &first, "pumps").await.unwrap_err();
    assert_eq!((again.kind(), listed(&room).await), (ErrorKind::NotFound, 1));

    assert_eq!(room.document_jobs.next_pending().await.unwrap(), Some(second.clone()));
    let pending = room.document_jobs.pending(&second).await.unwrap().unwrap();
    assert_eq!(pending.request, upload("manual.txt", b"The lamp has 7 watts."));
    let error = JobError {
        kind: ErrorKind::UnreadableFile,
        message: "no text".into(),
        param: Some("file".into()),
        code: Some("no_text_layer".into()),
    };
    room.document_jobs.end(&second, Err(error.clone())).await.unwrap();
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    let job = room.document_jobs.get(&second).await.unwrap();
    assert_eq!((job.status, job.error), (JobStatus::Failed, Some(error)));
    assert_eq!(room.document_jobs.next_pending().await.unwrap(), None);
    assert_eq!(kept_files(&host), 0, "what documents were made of is gone");
    // A document that is deleted takes itself out of its job.
    room.documents.delete(&document).await.unwrap();
    let job = room.document_jobs.get(&first).await.unwrap();
    assert_eq!((job.status, job.document), (JobStatus::Completed, None));
    drop(room);
    let check = |data: &Path| {
        let room = OfflineRoom::open(data, &"acme".parse().unwrap()).unwrap();
        assert_eq!(room.check().unwrap().faults, []);
    };
    host.reopen(check).await;
}

#[tokio::test]
async fn a_completed_job_has_its_line_in_the_audit_log() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let id = add(&room, text("Pumps", "The pump.")).await;
    let document = complete(&room, &id, "pumps").await.unwrap();
    let query = riad_core::audit::AuditQuery {
        limit: 10,
        ..Default::default()
    };
    let lines = host.store.audit().list(query).await.unwrap();
    let found = lines.iter().find(|record| record.entry.object == document.as_str());
    assert_eq!(found.unwrap().entry.actor, "server");
}

#[tokio::test]
async fn a_cancelled_job_makes_nothing_and_keeps_nothing() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (one, same) = (upload("a.txt", b"canaryword"), upload("b.txt", b"canaryword"));
    let (one, same) = (add(&room, one).await, add(&room, same).await);
    assert_eq!(kept_files(&host), 1, "the same bytes are there once");
    assert_eq!(
        room.document_jobs.cancel(&one).await.unwrap().status,
        JobStatus::Cancelled
    );
    assert_eq!(kept_files(&host), 1, "the other one needs them");
    let late = complete(&room, &one, "late").await.unwrap_err();
    assert_eq!((late.kind(), listed(&room).await), (ErrorKind::NotFound, 0));
    assert_eq!(room.document_jobs.next_pending().await.unwrap(), Some(same.clone()));
    room.document_jobs.cancel(&same).await.unwrap();
    assert_eq!(kept_files(&host), 0);
    for file in fs::read_dir(host.room_folder("acme")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let words = [&b"canaryword"[..], b"b.txt"];
            assert!(
                words
                    .iter()
                    .all(|word| !bytes.windows(word.len()).any(|part| part == *word)),
                "{}",
                path.display()
            );
        }
    }
    // One that has ended stays as it is.
    let third = add(&room, text("T", "t")).await;
    complete(&room, &third, "t").await.unwrap();
    assert_eq!(
        room.document_jobs.cancel(&third).await.unwrap().status,
        JobStatus::Completed
    );
    assert_eq!(room.document_jobs.get(&one).await.unwrap().status, JobStatus::Cancelled);
    let other = host.room("globex").await;
    assert_eq!(
        other.document_jobs.get(&one).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        other.document_jobs.cancel(&one).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(other.document_jobs.pending(&one).await.unwrap(), None);
}

#[tokio::test]
async fn the_same_source_is_one_document() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let jobs = [
        add(&room, upload("a.txt", b"x")).await,
        add(&room, upload("a.txt", b"x")).await,
    ];
    let (document, chunks) = made("a", Some("a"));
    let (again, chunks_again) = (document.clone(), chunks.clone());
    let stored = room
        .document_jobs
        .complete(&jobs[0], document, chunks, line())
        .await
        .unwrap();
    let refused = room.document_jobs.complete(&jobs[1], again, chunks_again, line()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(
        room.document_jobs.get(&jobs[1]).await.unwrap().status,
        JobStatus::Queued
    );
    room.document_jobs.end(&jobs[1], Ok(stored.id.clone())).await.unwrap();
    for job in &jobs {
        assert_eq!(
            room.document_jobs.get(job).await.unwrap().document,
            Some(stored.clone())
        );
    }
    assert_eq!(listed(&room).await, 1);
}

#[tokio::test]
async fn what_a_file_was_sent_as_is_its_documents_original() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let id = add(&room, upload("a.txt", b"canaryword")).await;
    let (mut document, chunks) = made("a", Some("a"));
    document.file.as_mut().unwrap().original = Some(Original {
        name: "a.txt".into(),
        bytes: b"canaryword".to_vec().into(),
    });
    let stored = room
        .document_jobs
        .complete(&id, document, chunks, line())
        .await
        .unwrap();
    let file = stored.file.unwrap();
    assert_eq!(room.files.get(&file).await.unwrap().name, "a.txt");
    let bytes = room.files.open(&file).await.unwrap().read(100).await.unwrap();
    assert_eq!((bytes.as_ref(), kept_files(&host)), (&b"canaryword"[..], 1));
    room.documents.delete(&stored.id).await.unwrap();
    assert_eq!(
        (room.files.get(&file).await.unwrap_err().kind(), kept_files(&host)),
        (ErrorKind::NotFound, 0)
    );
}

#[tokio::test]
async fn what_waits_counts_as_stored_and_its_number_is_bounded() {
    let host = Host::with(Limits {
        room_bytes: 4 << 20,
        ..Default::default()
    })
    .await;
    let room = host.room("acme").await;
    let before = room.storage.stored;
    let id = add(&room, upload("big", &vec![b'x'; 2 << 20])).await;
    let stored = host.open(&host.pass("acme").await).await.storage.stored;
    assert!(stored >= before + (2 << 20), "{before} {stored}");
    let full = room.document_jobs.add(upload("more", &vec![b'y'; 2 << 20]), None).await;
    assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(kept_files(&host), 1);
    room.document_jobs.cancel(&id).await.unwrap();
    let stored = host.open(&host.pass("acme").await).await.storage.stored;
    assert!(stored < before + (1 << 20), "{before} {stored}");

    // The row of one, many times.
    let last = add(&room, text("T", "t")).await;
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
        INSERT INTO document_jobs (id, status, created, title, metadata, format, digest, bytes)
            SELECT 'job_' || i, status, created, title, metadata, format, digest, bytes FROM document_jobs, n WHERE status = 'queued'";
    drop(room);
    let host = host.reopen(|data| connect(data).execute_batch(rows).unwrap()).await;
    let room = host.open(&host.pass("acme").await).await;
    let refused = room.document_jobs.add(text("T", "one more"), None).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Busy);
    room.document_jobs.cancel(&last).await.unwrap();
    add(&room, text("T", "one more")).await;
}

#[tokio::test]
async fn jobs_are_forgotten_a_day_after_their_end_or_after_many_others() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let [old, newer, queued] = ["old", "newer", "queued"].map(|title| text(title, title));
    let (old, newer, queued) = (add(&room, old).await, add(&room, newer).await, add(&room, queued).await);
    for id in [&old, &newer] {
        complete(&room, id, id.as_str()).await.unwrap();
    }
    drop(room);
    let age = format!(
        "UPDATE document_jobs SET ended = ended - 86500 WHERE id = '{old}';
        UPDATE document_jobs SET created = created - 1000000 WHERE id = '{queued}'"
    );
    let host = host.reopen(|data| connect(data).execute_batch(&age).unwrap()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(
        room.document_jobs.get(&old).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        room.document_jobs.get(&newer).await.unwrap().status,
        JobStatus::Completed
    );
    assert_eq!(room.document_jobs.get(&queued).await.unwrap().status, JobStatus::Queued);
    assert_eq!(listed(&room).await, 2, "their documents stay");
    drop(room);
    let others = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        INSERT INTO document_jobs (id, status, created, ended) SELECT 'job_' || i, 'cancelled', 0, ended + i % 2
            FROM document_jobs, n WHERE ended IS NOT NULL";
    let host = host.reopen(|data| connect(data).execute_batch(others).unwrap()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(
        room.document_jobs.get(&newer).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(room.document_jobs.get(&queued).await.unwrap().status, JobStatus::Queued);
    let left: u32 = connect(host.data())
        .query_row(
            "SELECT count(*) FROM document_jobs WHERE ended IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 10_000);
}
