//! `kill -9` at random instants during mixed changes and while chunks are embedded again: what was acknowledged is there, once, what was deleted is not, and index, words and files are
//! those of the documents. The same with a power cut, after which only what was synced is on the disk, and with a disk that becomes full.
//!
//! A child process (`change_until_killed`) says what it tries and what was acknowledged; its parent keeps the expected state, kills it, and
//! compares. Not here: the files that SQLite writes (`disk`).

use crate::{
    disk,
    host::{DIMENSIONS, Host, entry, metadata, query},
    random::Random,
};
use bytes::Bytes;
use riad_core::{
    Digest, DocumentJobId, ErrorKind, Limits, Result,
    document::{DocumentFile, Metadata, NewChunk, NewDocument, Original, Page, Position},
    file::{FilePage, FilePurpose, NewFile},
    ingestion::{DocumentRequest, DocumentSource, Upload},
    ports::{EmbeddingSpace, Room},
};
use riad_store::OfflineRoom;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const FOLDER: &str = "RIAD_TEST_CRASH_FOLDER";
const SEED: &str = "RIAD_TEST_CRASH_SEED";
const DISK: &str = "RIAD_TEST_CRASH_DISK";
/// Begins a line of the child.
const MARK: &str = "change ";

/// A word that no other number has, and that no rule changes.
fn word(number: u64) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrtvwxz";
    let mut random = Random::new(number);
    (0..16)
        .map(|_| char::from(LETTERS[usize::try_from(random.below(LETTERS.len() as u64)).unwrap()]))
        .collect()
}

/// What a room should have.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Expected {
    /// By their words, which are their titles.
    documents: BTreeSet<String>,
    /// By their words, which are their names and contents.
    files: BTreeSet<String>,
    /// By their words, which are the names and contents of the files that documents are to be made of.
    queued: BTreeSet<String>,
    values: BTreeMap<String, String>,
}

impl Expected {
    fn apply(&mut self, change: &str) {
        let parts: Vec<&str> = change.split(' ').collect();
        match parts.as_slice() {
            ["insert", word] => drop(self.documents.insert((*word).to_owned())),
            ["queue", word] => drop(self.queued.insert((*word).to_owned())),
            ["make", word] => {
                self.queued.remove(*word);
                self.documents.insert((*word).to_owned());
                self.files.insert((*word).to_owned());
            }
            ["cancel", word] => drop(self.queued.remove(*word)),
            ["delete", word] => {
                self.documents.remove(*word);
                // Its original, if it has one.
                self.files.remove(*word);
            }
            ["put", word] => drop(self.files.insert((*word).to_owned())),
            ["remove", word] => drop(self.files.remove(*word)),
            ["set", key, value] => drop(self.values.insert((*key).to_owned(), (*value).to_owned())),
            ["unset", key] => drop(self.values.remove(*key)),
            _ => panic!("not a change: {change}"),
        }
    }
}

async fn listed_documents(room: &Room) -> BTreeMap<String, riad_core::DocumentId> {
    let page = Page {
        after: None,
        limit: 100_000,
    };
    let listed = room.documents.list(&page).await.unwrap();
    let count = listed.len();
    let by_title: BTreeMap<_, _> = listed
        .into_iter()
        .map(|document| (document.title, document.id))
        .collect();
    assert_eq!(by_title.len(), count, "a document is there twice");
    by_title
}

async fn listed_files(room: &Room) -> BTreeMap<String, riad_core::FileId> {
    let page = FilePage {
        after: None,
        limit: 100_000,
        ascending: true,
        purpose: None,
    };
    let listed = room.files.list(&page).await.unwrap();
    let count = listed.len();
    let by_name: BTreeMap<_, _> = listed.into_iter().map(|file| (file.name, file.id)).collect();
    assert_eq!(by_name.len(), count, "a file is there twice");
    by_name
}

fn document(word: &str, random: &mut Random, file: Option<DocumentFile>) -> (NewDocument, Vec<NewChunk>) {
    let chunks = 1 + random.below(4);
    let texts: Vec<String> = (0..chunks)
        .map(|chunk| {
            format!(
                "{word} piece {chunk} {}",
                "of a lamp ".repeat(usize::try_from(random.below(200)).unwrap())
            )
        })
        .collect();
    let mut chunk = |text: &String| NewChunk {
        text: text.clone(),
        offset: 0,
        position: Position::default(),
        embedding: vector(random),
    };
    let chunks = texts.iter().map(&mut chunk).collect();
    let document = NewDocument {
        title: word.to_owned(),
        text: texts.join("\n"),
        metadata: metadata(json!({"word": word})),
        file,
    };
    (document, chunks)
}

async fn insert(room: &Room, number: u64, random: &mut Random) -> Result<()> {
    let (document, chunks) = document(&word(number), random, None);
    room.documents.insert(document, chunks, None).await.map(drop)
}

async fn queue(room: &Room, word: &str) -> Result<()> {
    let upload = Upload {
        name: word.to_owned(),
        media_type: String::new(),
        bytes: content(word).into(),
    };
    let request = DocumentRequest {
        title: None,
        source: DocumentSource::File(upload),
        metadata: Metadata::new(),
    };
    room.document_jobs.add(request, None).await.map(drop)
}

/// The job that waits, and its word.
async fn next_job(room: &Room) -> Option<(DocumentJobId, String)> {
    let id = room.document_jobs.next_pending().await.unwrap()?;
    let pending = room.document_jobs.pending(&id).await.unwrap().unwrap();
    let DocumentSource::File(upload) = pending.request.source else {
        panic!("all jobs are of files");
    };
    assert_eq!(upload.bytes, content(&upload.name));
    Some((id, upload.name))
}

async fn make(room: &Room, id: &DocumentJobId, word: &str, random: &mut Random) -> Result<()> {
    let file = DocumentFile {
        media_type: "text/plain".into(),
        warnings: Vec::new(),
        source: Digest::of(word.as_bytes()),
        original: Some(Original {
            name: word.to_owned(),
            bytes: content(word).into(),
        }),
    };
    let (document, chunks) = document(word, random, Some(file));
    let line = entry("document.create", "");
    room.document_jobs.complete(id, document, chunks, line).await.map(drop)
}

/// Its bytes begin with its word.
fn content(word: &str) -> String {
    format!("{word} {}", "content ".repeat(word.len() * 50))
}

async fn put(room: &Room, word: &str) -> Result<()> {
    let mut writer = room.files.begin().await?;
    writer.write(Bytes::from(content(word))).await?;
    let file = NewFile {
        name: word.to_owned(),
        purpose: FilePurpose::UserData,
        expires: None,
    };
    writer.finish(file).await.map(drop)
}

fn pick<T: Clone>(from: &BTreeMap<String, T>, random: &mut Random) -> Option<(String, T)> {
    let number = random.below(from.len().max(1) as u64);
    let found = from.iter().nth(usize::try_from(number).unwrap())?;
    Some((found.0.clone(), found.1.clone()))
}

/// One of two models, as the server has it until the next start.
fn model(random: &mut Random) -> EmbeddingSpace {
    EmbeddingSpace {
        model: format!("model-{}", random.below(2)),
        dimensions: DIMENSIONS,
    }
}

/// Embeds the next chunks of another model again. Whether there were any is not said: nobody asked for it.
async fn embed_again(room: &Room, most: u32, random: &mut Random) -> Result<usize> {
    let next = room.documents.next_unembedded(most).await?;
    let embedded = next.iter().map(|chunk| (chunk.key, vector(random)));
    room.documents.set_embeddings(embedded.collect()).await?;
    Ok(next.len())
}

fn vector(random: &mut Random) -> Vec<f32> {
    (0..DIMENSIONS).map(|_| random.below(2_000) as f32 - 999.5).collect()
}

/// One change, with the name that [`Expected::apply`] knows it by, which is said before it is tried.
async fn change(room: &Room, number: u64, random: &mut Random, say: &dyn Fn(&str)) -> Option<(String, Result<()>)> {
    let documents = listed_documents(room).await;
    let crowded = documents.len() > 25;
    Some(match random.below(14) {
        0..=3 if !crowded => {
            let name = format!("insert {}", word(number));
            say(&name);
            (name, insert(room, number, random).await)
        }
        0..=5 => {
            let (word, id) = pick(&documents, random)?;
            let name = format!("delete {word}");
            say(&name);
            (name, room.documents.delete(&id).await)
        }
        6 => {
            let word = word(number);
            let name = format!("put {word}");
            say(&name);
            (name, put(room, &word).await)
        }
        7 => {
            let (word, id) = pick(&listed_files(room).await, random)?;
            let name = format!("remove {word}");
            say(&name);
            (name, room.files.delete(&id).await)
        }
        8 => {
            let word = word(number);
            let name = format!("queue {word}");
            say(&name);
            (name, queue(room, &word).await)
        }
        9..=10 => {
            let (id, word) = next_job(room).await?;
            let name = format!("make {word}");
            say(&name);
            (name, make(room, &id, &word, random).await)
        }
        11 => {
            let (id, word) = next_job(room).await?;
            let name = format!("cancel {word}");
            say(&name);
            (name, room.document_jobs.cancel(&id).await.map(drop))
        }
        12 => {
            let (key, value) = (format!("key{}", random.below(8)), word(number));
            let name = format!("set {key} {value}");
            say(&name);
            let value = value.repeat(usize::try_from(1 + random.below(300)).unwrap());
            (name, room.kv.set(&key, value.into_bytes(), 100_000).await)
        }
        _ => {
            let key = format!("key{}", random.below(8));
            let name = format!("unset {key}");
            say(&name);
            (name, room.kv.delete(&key).await.map(drop))
        }
    })
}

/// The process that is killed: run by the tests below, which name a folder.
#[tokio::test]
#[ignore = "changes a room until it is killed; started by the tests beside it"]
async fn change_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its child process")]
    let [folder, seed, kind] = [FOLDER, SEED, DISK].map(|name| env::var(name).unwrap());
    let seed: u64 = seed.parse().unwrap();
    let reserve = Path::new(&folder).join("reserve");
    disk::install(&kind, seed, (reserve, Limits::default().reserve_bytes));
    let mut random = Random::new(seed);
    let say = |line: &str| {
        let mut out = std::io::stdout();
        writeln!(out, "{MARK}{line}").unwrap();
        out.flush().unwrap();
    };
    let mut host = Host::with_space(Path::new(&folder), Limits::default(), model(&mut random)).await;
    let mut room = host.open(&host.pass("acme").await).await;
    say("begun");
    for number in seed * 1_000_000.. {
        if random.below(40) == 0 {
            // The index is saved while a room is closed.
            drop(room);
            // On a full disk it is not.
            let _ = host.store.close().await;
            drop(host);
            disk::set_full(false);
            host = Host::with_space(Path::new(&folder), Limits::default(), model(&mut random)).await;
            room = host.open(&host.pass("acme").await).await;
        }
        if let Err(error) = embed_again(&room, 8, &mut random).await {
            assert_eq!(
                (error.kind(), disk::is_full()),
                (ErrorKind::StorageFull, true),
                "{error:?}"
            );
        }
        if kind == "full" && random.below(6) == 0 {
            disk::set_full(random.below(2) == 0);
        }
        let tried = change(&room, number, &mut random, &|name| say(&format!("try {name}"))).await;
        match tried {
            Some((_, Ok(()))) => say("done"),
            Some((name, Err(error))) => {
                let stores = ["insert ", "put ", "queue ", "make ", "set "];
                assert!(stores.iter().any(|kind| name.starts_with(kind)), "{name}: {error:?}");
                assert_eq!(
                    (error.kind(), disk::is_full()),
                    (ErrorKind::StorageFull, true),
                    "{error:?}"
                );
                say("refused");
            }
            None => {}
        }
    }
}

/// Kills a child in the change after so many, or between two. `expected` follows what it said, and the change that it was in is returned.
fn run_child(
    data: &Path,
    kind: &str,
    seed: u64,
    random: &mut Random,
    expected: &mut Expected,
    counts: &mut [u32; 2],
) -> Option<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::change_until_killed", "--nocapture"])
        .envs([
            (FOLDER, data.as_os_str()),
            (SEED, seed.to_string().as_ref()),
            (DISK, kind.as_ref()),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (answers, answered) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        // The last line may be cut off.
        for line in lines.map_while(std::io::Result::ok) {
            if let Some(line) = line.split_once(MARK).map(|(_, line)| line.to_owned()) {
                if !line.starts_with("try ") {
                    // Nobody listens after the kill.
                    let _ = answers.send(());
                }
                said.push(line);
            }
        }
        said
    });
    let next = || {
        answered
            .recv_timeout(Duration::from_secs(60))
            .expect("the child goes on");
    };
    next();
    let begun = Instant::now();
    let changes = random.below(8) as u32;
    (0..changes).for_each(|_| next());
    // A change takes as long as the machine's disk does.
    let of_one = match changes {
        0 => Duration::from_millis(10),
        _ => begun.elapsed() / changes,
    };
    thread::sleep(of_one * random.below(1_000) as u32 / 1_000);
    // SIGKILL on Unix.
    child.kill().unwrap();
    assert_ne!(child.wait().unwrap().code(), Some(101), "the child failed by itself");
    let mut tried = None;
    for line in reader.join().unwrap() {
        match (line.strip_prefix("try "), line.as_str()) {
            (Some(name), _) => tried = Some(name.to_owned()),
            (None, "done") => {
                expected.apply(&tried.take().expect("it was tried"));
                counts[0] += 1;
            }
            (None, "refused") => {
                tried = None;
                counts[1] += 1;
            }
            (None, _) => {}
        }
    }
    tried
}

/// The names of what waits.
fn queued(data: &Path) -> BTreeSet<String> {
    #[expect(clippy::disallowed_methods, reason = "no list has what waits")]
    let connection = rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap();
    let mut statement = connection
        .prepare("SELECT name FROM document_jobs WHERE status = 'queued'")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(|name| name.unwrap()).collect()
}

/// What the room has, as far as its lists say.
async fn actual(room: &Room, data: &Path) -> Expected {
    let mut values = BTreeMap::new();
    for key in (0..8).map(|number| format!("key{number}")) {
        if let Some(value) = room.kv.get(&key).await.unwrap() {
            let value = String::from_utf8(value).unwrap();
            // The word is repeated.
            assert!(value.as_bytes().chunks(16).all(|word| word == &value.as_bytes()[..16]));
            values.insert(key, value[..16].to_owned());
        }
    }
    Expected {
        documents: listed_documents(room).await.into_keys().collect(),
        files: listed_files(room).await.into_keys().collect(),
        queued: queued(data),
        values,
    }
}

async fn check_contents(room: &Room) {
    let documents = listed_documents(room).await;
    let mut everything = query("", &[1.0, 0.1, 0.2, 0.3]);
    everything.limit = 10_000;
    let by_vector = room.documents.search(&everything).await.unwrap();
    for (word, id) in &documents {
        let (document, text) = room.documents.get(id, 0..u64::MAX).await.unwrap();
        assert!(text.starts_with(word.as_bytes()) && text.len() as u64 == document.bytes);
        let by_words = room.documents.search(&query(word, &[])).await.unwrap();
        let of_this = by_words.iter().filter(|passage| passage.document == *id);
        assert_eq!(
            (by_words.len(), of_this.count()),
            (document.chunks as usize, document.chunks as usize),
            "{word}"
        );
        let of_this = by_vector.iter().filter(|passage| passage.document == *id);
        assert_eq!(of_this.count(), document.chunks as usize, "{word} by vector");
    }
    assert!(by_vector.iter().all(|passage| documents.contains_key(&passage.title)));
    for (word, id) in listed_files(room).await {
        let bytes = room.files.open(&id).await.unwrap().read(usize::MAX).await.unwrap();
        assert_eq!(bytes, content(&word));
    }
}

/// Kills children at random instants, and compares each time.
async fn survives(kind: &str, kills: u64) -> [u32; 2] {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = Host::at(&data, Limits::default()).await;
    host.create_tenant("acme").await;
    host.store.close().await.unwrap();
    drop(host);
    let mut random = Random::new(17);
    let mut expected = Expected::default();
    let mut counts = [0; 2];
    for seed in 1..=kills {
        let gone_before = expected.clone();
        let in_flight = run_child(&data, kind, seed, &mut random, &mut expected, &mut counts);
        let host = Host::with_space(&data, Limits::default(), model(&mut random)).await;
        let room = host.open(&host.pass("acme").await).await;
        while embed_again(&room, 1_000, &mut random).await.unwrap() > 0 {}
        let actual = actual(&room, &data).await;
        if actual != expected {
            // Whole or not at all.
            let change = in_flight.expect("nothing else was changed");
            expected.apply(&change);
            assert_eq!(actual, expected, "kill {seed}, in flight: {change}");
        }
        check_contents(&room).await;
        for word in gone_before.documents.difference(&expected.documents) {
            assert!(
                room.documents.search(&query(word, &[])).await.unwrap().is_empty(),
                "{word}"
            );
        }
        drop(room);
        // Every other child begins with what the kill has left of the index.
        if seed % 2 == 0 {
            host.store.close().await.unwrap();
        }
        drop(host);
        let offline = OfflineRoom::open(&data, &"acme".parse().unwrap()).unwrap();
        let report = offline.check().unwrap();
        assert_eq!(report.faults, [], "kill {seed}");
        assert_eq!(report.documents, expected.documents.len() as u64);
        let files = fs::read_dir(data.join("rooms/acme/files")).unwrap().count();
        assert_eq!(
            files,
            expected.files.len() + expected.queued.len(),
            "no file is left over"
        );
    }
    counts
}

#[tokio::test]
async fn what_was_acknowledged_survives_200_kills() {
    let [done, refused] = survives("good", 200).await;
    assert!(done > 400 && refused == 0, "{done} changes, {refused} refused");
}

#[tokio::test]
async fn what_was_acknowledged_survives_power_cuts() {
    let [done, refused] = survives("unsynced", 40).await;
    assert!(done > 80 && refused == 0, "{done} changes, {refused} refused");
}

#[tokio::test]
async fn a_full_disk_refuses_and_heals_by_itself() {
    let [done, refused] = survives("full", 40).await;
    assert!(done > 60 && refused > 10, "{done} changes, {refused} refused");
}

/// Else the test above would prove nothing.
#[tokio::test]
#[should_panic]
async fn a_disk_that_never_syncs_loses_what_was_acknowledged() {
    survives("never", 8).await;
}
