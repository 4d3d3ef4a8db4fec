//! Adapters, plugins, pipeline and settings.

use crate::host::{Host, UNDO_LANGUAGES};
use bytes::Bytes;
use riad_core::{
    AdapterAlias, Digest, ErrorKind, PluginVersion,
    adapter::{AdapterChange, AdapterFiles, AdapterInfo},
    pipeline::Pipeline,
    plugin::{Stage, StageChoice},
};
use serde_json::{Map, json};
use std::{fs, path::Path};

fn adapter(weights: &'static str) -> (AdapterFiles, AdapterInfo) {
    let files = AdapterFiles {
        config: Bytes::from_static(b"{\"r\":8}"),
        weights: Bytes::from_static(weights.as_bytes()),
    };
    let info = AdapterInfo {
        rank: 8,
        bytes: weights.len() as u64,
        tensors: 4,
    };
    (files, info)
}

fn alias(name: &str) -> AdapterAlias {
    name.parse().unwrap()
}

fn weights(folder: &Path) -> String {
    fs::read_to_string(folder.join("adapter_model.safetensors")).unwrap()
}

#[tokio::test]
async fn replacing_an_alias_keeps_the_files_that_a_request_holds() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let ((old, old_info), (new, new_info)) = (adapter("old"), adapter("newer"));
    let stored = room.adapters.put(&alias("tone"), &old, &old_info).await.unwrap();
    assert_eq!(stored.generation, old.generation());
    let held = room.adapters.resolve(&alias("tone")).await.unwrap();
    assert_eq!((held.generation, held.tensors), (old.generation(), 4));
    assert_eq!(weights(&held.folder), "old");
    assert_eq!(
        fs::read_to_string(held.folder.join("adapter_config.json")).unwrap(),
        "{\"r\":8}"
    );

    room.adapters.put(&alias("tone"), &new, &new_info).await.unwrap();
    assert_eq!(
        weights(&room.adapters.resolve(&alias("tone")).await.unwrap().folder),
        "newer"
    );
    assert_eq!(weights(&held.folder), "old");
    // Also while the room is closed and opened again, and after the alias is gone.
    let folder = held.folder.clone();
    room.adapters.delete(&alias("tone")).await.unwrap();
    assert_eq!(weights(&folder), "old");
    drop(held);
    let (third, third_info) = adapter("third");
    room.adapters.put(&alias("other"), &third, &third_info).await.unwrap();
    assert!(!folder.exists());
    let generations = fs::read_dir(host.room_folder("acme").join("adapters")).unwrap().count();
    assert_eq!(generations, 1);
}

/// The weights of the kept generations, the last upload first, and which one is current.
async fn kept(host: &Host, room: &riad_core::ports::Room, name: &str) -> (Vec<String>, usize) {
    let kept = room.adapters.generations(&alias(name)).await.unwrap();
    let folder = host.room_folder("acme").join("adapters");
    let all = kept
        .iter()
        .map(|kept| weights(&folder.join(kept.generation.hex())))
        .collect();
    let current: Vec<_> = (0..kept.len()).filter(|n| kept[*n].current).collect();
    assert_eq!(current.len(), 1);
    (all, current[0])
}

#[tokio::test]
async fn an_alias_keeps_so_many_generations_and_goes_back_to_each() {
    let host = Host::with(riad_core::Limits {
        adapter_generations: 2,
        ..Default::default()
    })
    .await;
    let room = host.room("acme").await;
    let uploads = ["one", "two", "three"].map(adapter);
    let put = async |n: usize| {
        let (files, info) = &uploads[n];
        room.adapters.put(&alias("tone"), files, info).await.unwrap()
    };
    let back = async |to: Option<Digest>| room.adapters.change(&alias("tone"), AdapterChange::RollBack(to)).await;
    let names = |names: &[&str], current| (names.iter().map(|name| (*name).to_owned()).collect(), current);
    for n in 0..3 {
        put(n).await;
    }
    // The oldest one is gone, with its files.
    assert_eq!(kept(&host, &room, "tone").await, names(&["three", "two"], 0));
    let folder = host.room_folder("acme").join("adapters");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    let gone = back(Some(uploads[0].0.generation())).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);

    let two = back(None).await.unwrap();
    assert_eq!(
        (two.generation, two.info),
        (uploads[1].0.generation(), uploads[1].1.clone())
    );
    assert_eq!(kept(&host, &room, "tone").await, names(&["three", "two"], 1));
    assert_eq!(
        weights(&room.adapters.resolve(&alias("tone")).await.unwrap().folder),
        "two"
    );
    assert_eq!(back(None).await.unwrap_err().kind(), ErrorKind::Conflict);
    back(Some(uploads[2].0.generation())).await.unwrap();
    assert_eq!(kept(&host, &room, "tone").await, names(&["three", "two"], 0));
    // What is uploaded again is the last upload again.
    put(1).await;
    assert_eq!(kept(&host, &room, "tone").await, names(&["two", "three"], 0));
    // A rollback of an upload goes back to what served before it, here after a rollback.
    back(None).await.unwrap();
    put(0).await;
    assert_eq!(kept(&host, &room, "tone").await, names(&["one", "three"], 0));

    fs::remove_dir_all(folder.join(uploads[2].0.generation().hex())).unwrap();
    assert_eq!(back(None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(kept_current(&room).await, uploads[0].0.generation());
    room.adapters.delete(&alias("tone")).await.unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    for error in [
        back(None).await.unwrap_err(),
        room.adapters.generations(&alias("tone")).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

async fn kept_current(room: &riad_core::ports::Room) -> Digest {
    room.adapters.resolve(&alias("tone")).await.unwrap().generation
}

#[tokio::test]
async fn a_pinned_alias_stays_pinned_until_it_is_deleted() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let pin = async |pinned| room.adapters.change(&alias("tone"), AdapterChange::Pin(pinned)).await;
    assert_eq!(pin(true).await.unwrap_err().kind(), ErrorKind::NotFound);
    let ((old, old_info), (new, new_info)) = (adapter("old"), adapter("new"));
    assert!(!room.adapters.put(&alias("tone"), &old, &old_info).await.unwrap().pinned);
    assert!(pin(true).await.unwrap().pinned);
    assert!(room.adapters.put(&alias("tone"), &new, &new_info).await.unwrap().pinned);
    assert!(
        room.adapters
            .change(&alias("tone"), AdapterChange::RollBack(None))
            .await
            .unwrap()
            .pinned
    );
    assert!(room.adapters.list().await.unwrap()[0].pinned);
    assert!(!pin(false).await.unwrap().pinned);
    pin(true).await.unwrap();
    room.adapters.delete(&alias("tone")).await.unwrap();
    assert!(!room.adapters.put(&alias("tone"), &old, &old_info).await.unwrap().pinned);
}

#[tokio::test]
async fn adapters_of_an_older_room_have_their_generation_kept() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (files, info) = adapter("old");
    room.adapters.put(&alias("tone"), &files, &info).await.unwrap();
    drop(room);
    let path = host.room_folder("acme").join("room.db");
    let host = host
        .reopen(|_| {
            // As the second version left it.
            #[expect(clippy::disallowed_methods, reason = "the test looks into the store from outside")]
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch(UNDO_LANGUAGES).unwrap();
            connection
                .execute_batch(
                    "ALTER TABLE plugins DROP COLUMN manifest; DROP TABLE kv; DROP TABLE response_contents; DROP TABLE responses; DROP TABLE adapter_generations; ALTER TABLE adapters DROP COLUMN pinned; PRAGMA user_version = 2;",
                )
                .unwrap();
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(kept(&host, &room, "tone").await, (vec!["old".to_owned()], 0));
}

#[tokio::test]
async fn a_pin_outlives_the_open_room() {
    let host = Host::with(riad_core::Limits {
        open_rooms: 1,
        ..Default::default()
    })
    .await;
    let room = host.room("acme").await;
    let (files, info) = adapter("held");
    room.adapters.put(&alias("tone"), &files, &info).await.unwrap();
    let held = room.adapters.resolve(&alias("tone")).await.unwrap();
    room.adapters.delete(&alias("tone")).await.unwrap();
    drop(room);
    host.room("other").await;
    host.room("third").await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(weights(&held.folder), "held");
    drop(held);
    drop(room);
}

#[tokio::test]
async fn aliases_share_a_generation_and_opening_sweeps_leftovers() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (files, info) = adapter("shared");
    room.adapters.put(&alias("b"), &files, &info).await.unwrap();
    room.adapters.put(&alias("a"), &files, &info).await.unwrap();
    let listed = room.adapters.list().await.unwrap();
    assert_eq!(listed.iter().map(|a| a.alias.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(
        listed
            .iter()
            .all(|a| a.generation == files.generation() && a.info == info)
    );
    room.adapters.delete(&alias("a")).await.unwrap();
    assert_eq!(
        weights(&room.adapters.resolve(&alias("b")).await.unwrap().folder),
        "shared"
    );
    drop(room);
    let generations = host.room_folder("acme").join("adapters");
    let host = host
        .reopen(|_| {
            fs::create_dir(generations.join(".new-half")).unwrap();
            fs::create_dir(generations.join("0".repeat(64))).unwrap();
        })
        .await;
    host.open(&host.pass("acme").await).await;
    assert_eq!(fs::read_dir(&generations).unwrap().count(), 1);
}

#[tokio::test]
async fn an_alias_without_files_is_repaired_by_uploading_again() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    for error in [
        room.adapters.resolve(&alias("tone")).await.map(drop).unwrap_err(),
        room.adapters.delete(&alias("tone")).await.unwrap_err(),
    ] {
        assert!(
            matches!(error.kind(), ErrorKind::ModelNotFound | ErrorKind::NotFound),
            "{error:?}"
        );
    }
    let (files, info) = adapter("weights");
    room.adapters.put(&alias("tone"), &files, &info).await.unwrap();
    let folder = room.adapters.resolve(&alias("tone")).await.unwrap().folder;
    fs::remove_file(folder.join("adapter_model.safetensors")).unwrap();
    let error = room.adapters.resolve(&alias("tone")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("tone") && !error.message().contains('/'),
        "{error}"
    );
    room.adapters.put(&alias("tone"), &files, &info).await.unwrap();
    assert_eq!(
        weights(&room.adapters.resolve(&alias("tone")).await.unwrap().folder),
        "weights"
    );
}

fn plugin(name: &str, component: &[u8], created: u64) -> PluginVersion {
    PluginVersion {
        name: name.parse().unwrap(),
        version: Digest::of(component),
        stages: vec![Stage::Prompting, Stage::Postprocessing],
        manifest: None,
        bytes: component.len() as u64,
        created,
    }
}

#[tokio::test]
async fn plugin_versions_are_kept_and_damage_is_noticed() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let (first, second) = (plugin("prices", b"one", 1), plugin("prices", b"two", 2));
    room.plugins.put(&first, Bytes::from_static(b"one")).await.unwrap();
    room.plugins.put(&second, Bytes::from_static(b"two")).await.unwrap();
    room.plugins.put(&first, Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(room.plugins.list().await.unwrap(), [second.clone(), first.clone()]);
    let (found, component) = room.plugins.load(&first.name, &first.version).await.unwrap();
    assert_eq!((found, &component[..]), (first.clone(), &b"one"[..]));
    let error = room
        .plugins
        .load(&"other".parse().unwrap(), &first.version)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(room.plugins.put(&first, Bytes::from_static(b"not one")).await.is_err());

    let file = host
        .room_folder("acme")
        .join(format!("plugins/{}.wasm", first.version.hex()));
    fs::write(&file, b"one!").unwrap();
    let error = room.plugins.load(&first.name, &first.version).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    room.plugins.put(&first, Bytes::from_static(b"one")).await.unwrap();
    assert!(room.plugins.load(&first.name, &first.version).await.is_ok());
}

#[tokio::test]
async fn pipeline_and_settings_survive_a_restart() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    assert_eq!(room.plugins.pipeline().await.unwrap(), Pipeline::default());
    assert!(room.settings.get().await.unwrap().is_empty());
    let mut pipeline = Pipeline::default();
    let choice = StageChoice::Plugin {
        name: "prices".parse().unwrap(),
        version: Digest::of(b"one"),
    };
    pipeline.stages.insert(Stage::Prompting, choice);
    let mut settings = Map::new();
    settings.insert("tone".into(), json!({"formal": true, "list": [1, null]}));
    room.plugins
        .put(&plugin("prices", b"one", 1), Bytes::from_static(b"one"))
        .await
        .unwrap();
    room.plugins.set_pipeline(&pipeline).await.unwrap();
    room.settings.put(&settings).await.unwrap();
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(room.plugins.pipeline().await.unwrap(), pipeline);
    assert_eq!(room.settings.get().await.unwrap(), settings);
}
