//! Snapshots in a folder as an object store: what is sent, what comes back, and what becomes of stores that are damaged, tampered with or gone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use riad_core::{
    ErrorKind, Result, Secret,
    ports::{CopiedFile, RoomCopy, SaveOutcome, SnapshotStore, StoredSnapshot},
    snapshot::SnapshotOwner,
};
use riad_objects::{ObjectsConfig, Snapshots};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const KEEP: usize = 2;

/// An object store in a folder, and rooms beside it.
struct Bench {
    folder: TempDir,
    snapshots: Snapshots,
}

fn open(folder: &Path, key: u8) -> Snapshots {
    let config = ObjectsConfig {
        url: format!("file://{}", folder.display()),
        key: Secret::new(STANDARD.encode([key; 32])),
        keep: KEEP,
    };
    Snapshots::open(&config, []).unwrap()
}

fn owner(tenant: &str) -> SnapshotOwner {
    SnapshotOwner {
        room: format!("room-{tenant}").parse().unwrap(),
        tenant: tenant.parse().unwrap(),
    }
}

/// Bytes that do not repeat.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(|_| next()).collect()
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("store")).unwrap();
        fs::create_dir(folder.path().join("room")).unwrap();
        let snapshots = open(&folder.path().join("store"), 1);
        Self { folder, snapshots }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn room_objects(&self, tenant: &str) -> PathBuf {
        self.store().join("rooms").join(format!("room-{tenant}"))
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join("room").join(name.replace('/', "-")), bytes).unwrap();
    }

    /// Of a room with these files; a database changes, others do not.
    fn copy(&self, tenant: &str, names: &[&str]) -> RoomCopy {
        let file = |name: &&str| CopiedFile {
            name: (*name).to_owned(),
            path: self.folder.path().join("room").join(name.replace('/', "-")),
            is_fixed: !name.ends_with(".db"),
        };
        RoomCopy {
            owner: owner(tenant),
            schema: 3,
            files: names.iter().map(file).collect(),
            hold: Box::new(()),
        }
    }

    async fn save(&self, tenant: &str, names: &[&str]) -> SaveOutcome {
        let copy = self.copy(tenant, names);
        let saved = self.snapshots.save(&copy).await.unwrap();
        self.snapshots.prune(&copy.owner).await.unwrap();
        saved
    }

    /// The files of the newest snapshot.
    async fn restore(&self, tenant: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let snapshot = self.snapshots.open_snapshot(&owner(tenant), None).await?;
        let mut files = Vec::new();
        for part in snapshot.parts() {
            let path = self.folder.path().join("restored");
            snapshot
                .write(&part.name, fs::File::create(&path).unwrap(), None)
                .await?;
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.len() as u64, part.bytes);
            files.push((part.name, bytes));
        }
        Ok(files)
    }

    fn blocks(&self, tenant: &str) -> Vec<PathBuf> {
        let below = fs::read_dir(self.room_objects(tenant).join("blocks")).unwrap();
        below.map(|entry| entry.unwrap().path()).collect()
    }
}

const NAMES: [&str; 3] = ["room.db", "files/a", "files/empty"];

async fn filled() -> (Bench, Vec<(String, Vec<u8>)>) {
    let bench = Bench::new();
    let contents = [noise(900_000, 1), noise(9_000_000, 2), Vec::new()];
    for (name, bytes) in NAMES.iter().zip(&contents) {
        bench.write(name, bytes);
    }
    bench.save("acme", &NAMES).await;
    let names = NAMES.iter().map(|name| (*name).to_owned());
    (bench, names.zip(contents).collect())
}

fn assert_damaged<T>(outcome: Result<T>) {
    let error = outcome.err().expect("it is damaged");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.message().contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_room_comes_back_as_it_was() {
    let (bench, contents) = filled().await;
    assert_eq!(bench.restore("acme").await.unwrap(), contents);
    let listed = bench.snapshots.list(&owner("acme")).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].bytes, listed[0].files), (9_900_000, 3));
    let rooms = bench.snapshots.rooms().await.unwrap();
    assert_eq!((rooms.len(), rooms[0].tenant.as_str()), (1, "acme"));
    let none = bench
        .snapshots
        .open_snapshot(&owner("globex"), None)
        .await
        .err()
        .unwrap();
    assert_eq!(none.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn nothing_readable_is_in_the_store() {
    let bench = Bench::new();
    bench.write("room.db", b"the secret of acme, with its name acme");
    bench.save("acme", &["room.db"]).await;
    let mut folders = vec![bench.store()];
    let mut objects = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            objects += 1;
            let bytes = fs::read(entry.path()).unwrap();
            for word in ["acme", "room.db", "secret"] {
                assert!(
                    !bytes.windows(word.len()).any(|found| found == word.as_bytes()),
                    "{word}"
                );
            }
        }
    }
    assert_eq!(objects, 3, "a key, a snapshot and a block");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let (bench, mut contents) = filled().await;
    let again = bench.save("acme", &NAMES).await;
    assert!(!again.is_new);
    assert_eq!(again.uploaded_bytes, 0);
    // A page in the middle.
    contents[0].1[500_000..504_096].fill(7);
    bench.write("room.db", &contents[0].1);
    let changed = bench.save("acme", &NAMES).await;
    assert!(changed.is_new);
    assert!((1..300_000).contains(&changed.uploaded_bytes), "{changed:?}");
    assert_eq!(bench.restore("acme").await.unwrap(), contents);
    // Files that never change are not even read again.
    bench.write("files/a", &noise(9_000_000, 9));
    assert!(!bench.save("acme", &NAMES).await.is_new);
    assert_eq!(bench.restore("acme").await.unwrap(), contents);
}

#[tokio::test]
async fn older_snapshots_and_their_blocks_go() {
    let (bench, contents) = filled().await;
    let first = bench.snapshots.list(&owner("acme")).await.unwrap().remove(0);
    let mut counts = Vec::new();
    for seed in 10..14 {
        bench.write("room.db", &noise(900_000, seed));
        bench.save("acme", &NAMES).await;
        counts.push(bench.blocks("acme").len());
    }
    let listed = bench.snapshots.list(&owner("acme")).await.unwrap();
    assert_eq!(listed.len(), KEEP);
    assert!(listed.iter().all(|kept| kept.id > first.id));
    let gone = bench
        .snapshots
        .open_snapshot(&owner("acme"), Some(&first.id))
        .await
        .err()
        .unwrap();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    // 4 blocks of each database, 3 of the file.
    assert_eq!(counts, [11, 11, 11, 11]);
    let older = bench
        .snapshots
        .open_snapshot(&owner("acme"), Some(&listed[0].id))
        .await
        .unwrap();
    assert_eq!(older.snapshot(), listed[0]);
    let restored = bench.restore("acme").await.unwrap();
    assert_eq!(restored[1..], contents[1..]);
    assert_eq!(restored[0].1, noise(900_000, 13));
}

#[tokio::test]
async fn a_snapshot_that_was_not_finished_is_never_seen() {
    let (bench, contents) = filled().await;
    bench.write("room.db", &noise(900_000, 3));
    // The second file is gone while the first one has been sent.
    let copy = bench.copy("acme", &["room.db", "files/lost"]);
    assert!(bench.snapshots.save(&copy).await.is_err());
    assert_eq!(bench.snapshots.list(&owner("acme")).await.unwrap().len(), 1);
    assert_eq!(bench.restore("acme").await.unwrap()[1..], contents[1..]);
    let left = bench.blocks("acme").len();
    assert!(left > 7, "{left}");
    // What was sent is used by the next one.
    let next = bench.save("acme", &NAMES).await;
    assert_eq!((next.is_new, next.uploaded_bytes), (true, 0));
}

#[tokio::test]
async fn what_an_earlier_snapshot_had_is_not_read_again() {
    let (bench, mut contents) = filled().await;
    let at = |name: &str| bench.folder.path().join(name.replace('/', "-"));
    let first = bench.snapshots.open_snapshot(&owner("acme"), None).await.unwrap();
    for part in first.parts() {
        let file = fs::File::create(at(&part.name)).unwrap();
        first.write(&part.name, file, None).await.unwrap();
    }
    let before = bench.blocks("acme");
    contents[0].1[5] ^= 1;
    bench.write("room.db", &contents[0].1);
    bench.save("acme", &NAMES).await;
    for block in before {
        drop(fs::remove_file(block));
    }
    let second = bench.snapshots.open_snapshot(&owner("acme"), None).await.unwrap();
    let again = bench.folder.path().join("again");
    let write = async |part: &str, earlier| second.write(part, fs::File::create(&again).unwrap(), earlier).await;
    for (name, bytes) in &contents {
        write(name, first.earlier(name, at(name))).await.unwrap();
        assert!(fs::read(&again).unwrap() == *bytes, "{name}");
    }
    // The objects are really gone, and a file that has changed is found out.
    assert!(write("room.db", None).await.is_err());
    fs::write(at("room.db"), noise(900_000, 9)).unwrap();
    let error = write("room.db", first.earlier("room.db", at("room.db")))
        .await
        .unwrap_err();
    assert!(error.message().contains("other bytes"), "{error}");
    assert!(first.earlier("files/none", at("none")).is_none());
}

#[tokio::test]
async fn damage_is_found_and_a_whole_save_mends_it() {
    let (bench, contents) = filled().await;
    type Damage = fn(&Path);
    let damages: [Damage; 4] = [
        |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for damage in damages {
        damage(&bench.blocks("acme")[0]);
        assert_damaged(bench.restore("acme").await);
        let outcome = bench.snapshots.save_whole(&bench.copy("acme", &NAMES)).await.unwrap();
        assert!(!outcome.is_new);
        assert_eq!(bench.restore("acme").await.unwrap(), contents);
        let snapshots = bench.room_objects("acme").join("snapshots");
        let manifest = fs::read_dir(&snapshots).unwrap().next().unwrap().unwrap().path();
        let kept = fs::read(&manifest).unwrap();
        damage(&manifest);
        assert!(bench.restore("acme").await.is_err());
        fs::write(&manifest, kept).unwrap();
    }
    // Blocks that were cut off or are missing are seen at the next save.
    bench.write("room.db", &noise(900_000, 5));
    fs::write(&bench.blocks("acme")[0], "cut").unwrap();
    bench.save("acme", &NAMES).await;
    let restored = bench.restore("acme").await.unwrap();
    assert_eq!(restored[1..], contents[1..]);
}

#[tokio::test]
async fn objects_of_others_do_not_open() {
    let (bench, _) = filled().await;
    for (name, seed) in NAMES.iter().zip(20..) {
        bench.write(name, &noise(300_000, seed));
    }
    bench.save("globex", &NAMES).await;
    let (acme, globex) = (bench.room_objects("acme"), bench.room_objects("globex"));
    // Blocks of the same room, in each other's places.
    let blocks = bench.blocks("acme");
    let (one, other) = (fs::read(&blocks[0]).unwrap(), fs::read(&blocks[1]).unwrap());
    fs::write(&blocks[0], &other).unwrap();
    fs::write(&blocks[1], &one).unwrap();
    assert_damaged(bench.restore("acme").await);
    fs::write(&blocks[0], &one).unwrap();
    fs::write(&blocks[1], &other).unwrap();
    bench.restore("acme").await.unwrap();
    // Another tenant's block.
    fs::copy(&bench.blocks("globex")[0], &blocks[0]).unwrap();
    assert_damaged(bench.restore("acme").await);
    fs::write(&blocks[0], &one).unwrap();
    // Another tenant's key, and its whole room.
    let key = fs::read(acme.join("key")).unwrap();
    fs::copy(globex.join("key"), acme.join("key")).unwrap();
    assert_damaged(bench.restore("acme").await);
    fs::write(acme.join("key"), key).unwrap();
    bench.restore("acme").await.unwrap();
    // One who names another's room.
    let stolen = SnapshotOwner {
        room: owner("globex").room,
        ..owner("acme")
    };
    let refused = bench.snapshots.open_snapshot(&stolen, None).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(bench.snapshots.list(&stolen).await.is_err());
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let (bench, _) = filled().await;
    bench.snapshots.check().await.unwrap();
    bench.snapshots.check().await.unwrap();
    let other = open(&bench.store(), 2);
    let refused = other.check().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    assert!(refused.message().starts_with("RIAD_SNAPSHOT_KEY is not"), "{refused}");
    assert!(other.open_snapshot(&owner("acme"), None).await.is_err());
    assert!(other.save(&bench.copy("acme", &NAMES)).await.is_err());
}

#[tokio::test]
async fn a_deleted_room_is_gone_with_its_key_first() {
    let (bench, _) = filled().await;
    let kept = tempfile::tempdir().unwrap();
    let snapshot = fs::read_dir(bench.room_objects("acme").join("snapshots"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let saved = kept.path().join("snapshot");
    fs::copy(snapshot.path(), &saved).unwrap();
    let room = owner("acme").room;
    bench.snapshots.delete_room(&room).await.unwrap();
    bench.snapshots.delete_room(&room).await.unwrap();
    assert!(bench.snapshots.rooms().await.unwrap().is_empty());
    assert!(bench.snapshots.list(&owner("acme")).await.unwrap().is_empty());
    // A copy that somebody has kept does not open with the room's next key.
    bench.save("acme", &NAMES).await;
    fs::copy(&saved, snapshot.path()).unwrap();
    let id = snapshot.file_name().into_string().unwrap().parse().unwrap();
    assert_damaged(bench.snapshots.open_snapshot(&owner("acme"), Some(&id)).await);
}

#[tokio::test]
async fn a_store_that_is_away_is_an_error_that_says_so() {
    let (bench, _) = filled().await;
    let away = bench.folder.path().join("away");
    fs::rename(bench.store(), &away).unwrap();
    fs::write(bench.store(), "no folder").unwrap();
    let error = bench.snapshots.save(&bench.copy("acme", &NAMES)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("file://"), "{error}");
    assert!(bench.snapshots.delete_room(&owner("acme").room).await.is_err());
    fs::remove_file(bench.store()).unwrap();
    fs::rename(&away, bench.store()).unwrap();
    bench.restore("acme").await.unwrap();
}

#[tokio::test]
async fn a_server_that_nobody_answers_for_is_unavailable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let environment = [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID", "id".into()),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-the-store".into()),
    ];
    let config = ObjectsConfig {
        url: "s3://bucket/prefix".into(),
        key: Secret::new(STANDARD.encode([1; 32])),
        keep: KEEP,
    };
    let environment = environment.map(|(name, value)| (name.into(), value.into()));
    let snapshots = Snapshots::open(&config, environment).unwrap();
    let error = snapshots.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("s3://bucket/prefix"), "{error}");
    assert!(!error.message().contains("secret-of-the-store"), "{error}");
}
