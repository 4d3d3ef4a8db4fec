//! `kill -9` while parts come and are joined: what was acknowledged is there, whole, and nothing else.

use super::{connect, content, create, part, send, stored};
use crate::host::Host;
use bytes::Bytes;
use riad_core::{Digest, FileId, Limits, PartId, UploadId};
use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    mem,
    path::Path,
    process::{Command, Stdio},
};

const FOLDER: &str = "RIAD_TEST_UPLOAD_FOLDER";
const PART: &str = "part ";
const FILE: &str = "file ";

/// The two parts of the nth upload.
fn texts(n: u64) -> [Vec<u8>; 2] {
    ["first", "second"].map(|which| format!("{which} {n} ").repeat(3_000).into_bytes())
}

/// The process that is killed: run by the test below, which names a folder.
#[tokio::test]
#[ignore = "uploads until it is killed; started by the test beside it"]
async fn upload_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child process")]
    let folder = env::var(FOLDER).unwrap();
    let host = Host::at(Path::new(&folder), Limits::default()).await;
    let room = host.open(&host.pass("acme").await).await;
    let mut out = std::io::stdout();
    for n in 0_u64.. {
        let texts = texts(n);
        let upload = create(&room, texts[0].len() + texts[1].len()).await;
        let mut parts = Vec::new();
        for text in &texts {
            let part = part(&room, &upload, text).await;
            writeln!(out, "{PART}{} {part} {n}", upload.id).unwrap();
            out.flush().unwrap();
            parts.push(part);
        }
        match n % 5 {
            // Stays as it is.
            0 => {}
            1 => {
                room.uploads.cancel(&upload.id).await.unwrap();
                writeln!(out, "gone {}", upload.id).unwrap();
            }
            _ => {
                let completed = room.uploads.complete(&upload.id, &parts, None).await.unwrap();
                writeln!(out, "{FILE}{} {} {n}", completed.file.unwrap().id, upload.id).unwrap();
            }
        }
        out.flush().unwrap();
    }
}

#[derive(Default)]
struct Acknowledged {
    parts: HashMap<UploadId, (Vec<PartId>, u64)>,
    files: HashMap<FileId, u64>,
}

impl Acknowledged {
    fn read(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["part", upload, part, n] => {
                let parts = self.parts.entry(upload.parse().unwrap()).or_default();
                parts.0.push(part.parse().unwrap());
                parts.1 = n.parse().unwrap();
            }
            ["file", file, upload, n] => {
                self.parts.remove(&upload.parse().unwrap());
                self.files.insert(file.parse().unwrap(), n.parse().unwrap());
            }
            ["gone", upload] => {
                self.parts.remove(&upload.parse().unwrap());
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_acknowledged_part_and_file_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::at(&data, Limits::default()).await;
    host.create_tenant("acme").await;
    host.store.close().await.unwrap();
    drop(host);

    let mut acknowledged = Acknowledged::default();
    // The others start from what a crash left.
    for lines in [90, 41, 32, 23] {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "uploads::crash::upload_until_killed",
                "--nocapture",
            ])
            .env(FOLDER, &data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            acknowledged.read(&line);
            seen += 1;
            if seen == lines {
                // SIGKILL on Unix.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= lines, "the child ended early after {seen}");
    }

    let host = Host::at(&data, Limits::default()).await;
    let room = host.open(&host.pass("acme").await).await;
    let whole = |n: u64| Bytes::from(texts(n).concat());
    for (id, n) in &acknowledged.files {
        let file = room.files.get(id).await.unwrap();
        assert_eq!(content(&room, &file).await, whole(*n));
    }
    assert!(!acknowledged.parts.is_empty());
    for (upload, (parts, n)) in &acknowledged.parts {
        if let [_, _] = parts.as_slice() {
            match room.uploads.complete(upload, parts, None).await {
                Ok(completed) => assert_eq!(content(&room, &completed.file.unwrap()).await, whole(*n)),
                // It was killed between the end and its line.
                Err(error) => {
                    let message = error.message();
                    assert!(
                        message.contains("completed: its file") || message.contains("cancelled"),
                        "{error}"
                    );
                }
            }
        } else {
            let rest = send(&room, upload, &texts(*n)[1]).await.unwrap();
            let parts = [parts[0].clone(), rest.id];
            let completed = room.uploads.complete(upload, &parts, None).await.unwrap();
            assert_eq!(content(&room, &completed.file.unwrap()).await, whole(*n));
        }
    }
    // In the folder lies what is named, and nothing else.
    let connection = connect(&host);
    let mut statement = connection
        .prepare("SELECT substr(digest, 8) FROM files UNION SELECT substr(digest, 8) FROM upload_parts ORDER BY 1")
        .unwrap();
    let named = statement.query_map([], |row| row.get(0)).unwrap();
    let named: Vec<String> = named.map(Result::unwrap).collect();
    let mut lying: Vec<_> = fs::read_dir(host.room_folder("acme").join("files"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    lying.sort_unstable();
    assert_eq!(lying, named);
}

#[tokio::test]
async fn what_a_crash_left_unnamed_is_swept_and_parts_stay() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let upload = create(&room, 6).await;
    let first = part(&room, &upload, b"abc").await;
    let mut half = room.uploads.begin_part(&upload.id).await.unwrap();
    half.write("half".into()).await.unwrap();
    // A process that ends deletes nothing.
    mem::forget(half);
    drop(room);
    assert_eq!(stored(&host), [3, 4]);
    let files = host.room_folder("acme").join("files");
    let host = host
        .reopen_unclosed(|_| {
            // In place, and not yet named: a part, or what parts were joined to.
            fs::write(files.join(Digest::of(b"joined").hex()), "joined").unwrap();
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(stored(&host), [3]);
    let second = part(&room, &upload, b"def").await;
    let completed = room.uploads.complete(&upload.id, &[first, second], None).await.unwrap();
    assert_eq!(content(&room, &completed.file.unwrap()).await, "abcdef");
    assert_eq!(stored(&host), [6]);
}
