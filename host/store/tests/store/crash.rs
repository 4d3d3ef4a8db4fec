//! `kill -9` while documents come in: every acknowledged document is found, none twice.

use crate::host::{Host, add, query};
use riad_core::{Limits, document::Page};
use serde_json::json;
use std::{
    collections::HashSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const FOLDER: &str = "RIAD_TEST_CRASH_FOLDER";
const MARK: &str = "acknowledged ";

/// The process that is killed: run by the test below, which names a folder.
#[tokio::test]
#[ignore = "inserts until it is killed; started by the test beside it"]
async fn insert_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child process")]
    let folder = env::var(FOLDER).unwrap();
    let host = Host::at(Path::new(&folder), Limits::default()).await;
    let room = host.open(&host.pass("acme").await).await;
    let mut out = std::io::stdout();
    for n in 0_u64.. {
        let angle = n as f32 / 10_000.0;
        let text = format!("lamp number{n}");
        let document = add(&room, "lamp", &text, [angle.cos(), angle.sin(), 0.0, 0.0], json!({})).await;
        if n % 7 == 3 {
            let gone = add(&room, "gone", "gone", [1.0, 0.0, 0.0, 0.0], json!({})).await;
            room.documents.delete(&gone.id).await.unwrap();
        }
        writeln!(out, "{MARK}{} {n}", document.id).unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn every_acknowledged_document_survives_kill_9_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::at(&data, Limits::default()).await;
    host.create_tenant("acme").await;
    host.store.close().await.unwrap();
    drop(host);

    let mut acknowledged: Vec<(String, String)> = Vec::new();
    // Twice, so that the second run starts from what a crash left; long enough to pass a saved index.
    for documents in [1_300, 40] {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crash::insert_until_killed", "--nocapture"])
            .env(FOLDER, &data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            if let Some((id, number)) = line.strip_prefix(MARK).and_then(|rest| rest.split_once(' ')) {
                acknowledged.push((id.to_owned(), format!("number{number}")));
                seen += 1;
                if seen == documents {
                    // SIGKILL on Unix.
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(seen >= documents, "the child ended early after {seen}");
    }

    let host = Host::at(&data, Limits::default()).await;
    let room = host.open(&host.pass("acme").await).await;
    let page = Page {
        after: None,
        limit: 100_000,
    };
    let listed = room.documents.list(&page).await.unwrap();
    let ids: HashSet<&str> = listed.iter().map(|document| document.id.as_str()).collect();
    assert_eq!(ids.len(), listed.len());
    for (id, number) in &acknowledged {
        assert!(ids.contains(id.as_str()), "{id} was lost");
        let found = room.documents.search(&query(number, &[])).await.unwrap();
        let times = found.iter().filter(|passage| passage.document.as_str() == id).count();
        assert_eq!(times, 1, "{id}");
    }
    // By vector too: the index knows each document that is listed, once.
    let mut everything = query("", &[1.0, 0.0, 0.0, 0.0]);
    everything.limit = u32::try_from(listed.len()).unwrap() + 10;
    let found = room.documents.search(&everything).await.unwrap();
    let by_vector: HashSet<&str> = found.iter().map(|passage| passage.document.as_str()).collect();
    assert_eq!(by_vector.len(), found.len());
    let missing = acknowledged
        .iter()
        .filter(|(id, _)| !by_vector.contains(id.as_str()))
        .count();
    assert_eq!(missing, 0);
}
