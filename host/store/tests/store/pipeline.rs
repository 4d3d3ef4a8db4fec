//! A room's pipeline with a canary: what may be named, and ending it beside other changes. Not here: which requests it serves (`riad-core`).

use crate::host::Host;
use bytes::Bytes;
use riad_core::{
    Digest, ErrorKind, PluginVersion,
    pipeline::{Canary, EndedCanary, Pipeline},
    plugin::{Stage, StageChoice},
    ports::Room,
};

const ONE: &[u8] = b"one";
const TWO: &[u8] = b"two";

fn choice(component: &[u8]) -> StageChoice {
    StageChoice::Plugin {
        name: "desk".parse().unwrap(),
        version: Digest::of(component),
    }
}

async fn upload(room: &Room, component: &'static [u8]) {
    let version = PluginVersion {
        name: "desk".parse().unwrap(),
        version: Digest::of(component),
        stages: vec![Stage::Prompting],
        manifest: None,
        bytes: component.len() as u64,
        created: 1,
    };
    room.plugins.put(&version, Bytes::from_static(component)).await.unwrap();
}

fn with_canary(percent: u32) -> Pipeline {
    Pipeline {
        stages: [(Stage::Prompting, choice(ONE))].into(),
        canary: Some(Canary {
            percent,
            stages: [(Stage::Prompting, choice(TWO))].into(),
        }),
        last_canary: None,
    }
}

fn ended(failures: u32) -> EndedCanary {
    EndedCanary {
        stages: [(Stage::Prompting, choice(TWO))].into(),
        requests: 8,
        failures,
        stable_requests: 20,
        stable_failures: 1,
        reason: "it failed".into(),
        ended: 7,
    }
}

#[tokio::test]
async fn a_canary_ends_once_and_the_room_remembers_it() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    upload(&room, TWO).await;
    let pipeline = with_canary(10);
    assert_eq!(room.plugins.set_pipeline(&pipeline).await.unwrap(), pipeline);
    let trial = pipeline.trial().unwrap();
    let end = async |failures| room.plugins.end_canary(&trial, &ended(failures)).await.unwrap();
    let (one, two, three) = tokio::join!(end(1), end(2), end(3));
    let first = match [one, two, three] {
        [true, false, false] => 1,
        [false, true, false] => 2,
        [false, false, true] => 3,
        ends => panic!("{ends:?}"),
    };
    let left = room.plugins.pipeline().await.unwrap();
    assert_eq!((&left.canary, &left.stages), (&None, &pipeline.stages));
    assert_eq!(left.last_canary, Some(ended(first)));

    // What a caller gives as the last one is not written; the room's own stays, also beside a new canary.
    let forged = Pipeline {
        last_canary: Some(ended(100)),
        ..pipeline
    };
    let stored = room.plugins.set_pipeline(&forged).await.unwrap();
    assert_eq!(stored.last_canary, Some(ended(first)));
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(room.plugins.pipeline().await.unwrap(), stored);
}

#[tokio::test]
async fn a_canary_that_was_replaced_is_not_ended() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    upload(&room, TWO).await;
    let trial = with_canary(10).trial().unwrap();
    let other_stages = Pipeline {
        stages: [].into(),
        ..with_canary(10)
    };
    let promoted = Pipeline {
        stages: [(Stage::Prompting, choice(TWO))].into(),
        canary: None,
        last_canary: None,
    };
    for put in [other_stages, promoted] {
        room.plugins.set_pipeline(&put).await.unwrap();
        assert!(!room.plugins.end_canary(&trial, &ended(8)).await.unwrap());
        assert_eq!(room.plugins.pipeline().await.unwrap(), put);
    }
    // Another percentage is the same canary.
    room.plugins.set_pipeline(&with_canary(50)).await.unwrap();
    assert!(room.plugins.end_canary(&trial, &ended(8)).await.unwrap());
}

#[tokio::test]
async fn a_version_that_a_canary_names_is_there_and_stays() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    let missing = room.plugins.set_pipeline(&with_canary(10)).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    upload(&room, TWO).await;
    room.plugins.set_pipeline(&with_canary(10)).await.unwrap();
    let (name, version) = ("desk".parse().unwrap(), Digest::of(TWO));
    let refused = room.plugins.delete(&name, &version).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.message().contains("canary.stages.prompting"), "{refused}");
    let trial = with_canary(10).trial().unwrap();
    room.plugins.end_canary(&trial, &ended(8)).await.unwrap();
    room.plugins.delete(&name, &version).await.unwrap();
    // How it ended is told of a version that is gone, too.
    assert!(room.plugins.pipeline().await.unwrap().last_canary.is_some());
}

#[tokio::test]
async fn a_pipeline_from_before_canaries_is_read_and_changed() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    upload(&room, TWO).await;
    drop(room);
    // As it was written then.
    let stored = format!(r#"{{"stages":{{"prompting":"{}"}}}}"#, choice(ONE));
    let host = host
        .reopen(|data| {
            #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
            let room = rusqlite::Connection::open(data.join("rooms/acme/room.db")).unwrap();
            let put = "INSERT OR REPLACE INTO state (key, value) VALUES ('pipeline', ?1)";
            assert_eq!(room.execute(put, [&stored]).unwrap(), 1);
        })
        .await;
    let room = host.open(&host.pass("acme").await).await;
    let read = room.plugins.pipeline().await.unwrap();
    assert_eq!((read.choice(Stage::Prompting), &read.canary), (choice(ONE), &None));
    room.plugins.set_pipeline(&with_canary(10)).await.unwrap();
    assert_eq!(room.plugins.pipeline().await.unwrap(), with_canary(10));
}
