//! A room's pipeline with a canary: what may be named, and ending it beside other changes. Not here: which requests it serves (`riad-core`).

use crate::host::Host;
use bytes::Bytes;
use riad_core::{
    Digest, ErrorKind, PluginVersion, TenantPass,
    audit::{AuditEntry, AuditQuery, Origin},
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
        vector_stores: Vec::new(),
    }
}

/// A line of the audit log about a canary's end at this time.
fn line(pass: &TenantPass, ended: u64) -> AuditEntry {
    AuditEntry {
        at_ms: ended * 1000,
        actor: "server".into(),
        account: Some(pass.account()),
        tenant: Some(pass.tenant().clone()),
        action: "pipeline.end_canary".into(),
        object: "pipeline".into(),
        detail: Some(format!(r#"{{"ended":{ended}}}"#)),
        origin: Origin::default(),
    }
}

/// The times in the lines of the audit log, newest first.
async fn audited(host: &Host) -> Vec<u64> {
    let query = AuditQuery {
        action: Some("pipeline.end_canary".into()),
        limit: 10,
        ..AuditQuery::default()
    };
    let records = host.store.audit().list(query).await.unwrap();
    records.iter().map(|record| record.entry.at_ms / 1000).collect()
}

/// Ends the canary of [`with_canary`] like this; the line about it has the same time.
async fn end(room: &Room, pass: &TenantPass, ended: &EndedCanary) -> bool {
    let (trial, line) = (with_canary(10).trial().unwrap(), line(pass, ended.ended));
    room.plugins.end_canary(&trial, ended, &line).await.unwrap()
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
    let pass = host.pass("acme").await;
    let ends = [ended(1), ended(2), ended(3)];
    let (one, two, three) = tokio::join!(
        end(&room, &pass, &ends[0]),
        end(&room, &pass, &ends[1]),
        end(&room, &pass, &ends[2])
    );
    let first = match [one, two, three] {
        [true, false, false] => 1,
        [false, true, false] => 2,
        [false, false, true] => 3,
        ends => panic!("{ends:?}"),
    };
    let left = room.plugins.pipeline().await.unwrap();
    assert_eq!((&left.canary, &left.stages), (&None, &pipeline.stages));
    assert_eq!(left.last_canary, Some(ended(first)));

    // Who does not know of the end cannot bring the canary back; who does can, and cannot write another end.
    let refused = room.plugins.set_pipeline(&pipeline).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(room.plugins.pipeline().await.unwrap(), left);
    let knowing = Pipeline {
        last_canary: Some(ended(100)),
        ..pipeline
    };
    let stored = room.plugins.set_pipeline(&knowing).await.unwrap();
    assert_eq!(stored.last_canary, Some(ended(first)));
    drop(room);
    let host = host.reopen_unclosed(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert_eq!(room.plugins.pipeline().await.unwrap(), stored);
}

#[tokio::test]
async fn a_crash_after_a_canarys_end_loses_no_line_of_the_audit_log() {
    let mut host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    upload(&room, TWO).await;
    room.plugins.set_pipeline(&with_canary(10)).await.unwrap();
    assert!(end(&room, &host.pass("acme").await, &ended(8)).await);
    assert_eq!(audited(&host).await, Vec::<u64>::new());
    drop(room);
    for _ in 0..2 {
        host = host.reopen_unclosed(|_| ()).await;
        host.open(&host.pass("acme").await).await;
        assert_eq!(audited(&host).await, [7], "once, by the first opening");
    }
}

#[tokio::test]
async fn an_audit_log_that_cannot_be_written_gets_its_lines_later() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    upload(&room, TWO).await;
    let pass = host.pass("acme").await;
    let log = |sql| {
        #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
        let control = rusqlite::Connection::open(host.data().join("control.db")).unwrap();
        control.execute_batch(sql).unwrap();
    };
    log("CREATE TRIGGER no_lines BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    let mut last_canary = None;
    for seconds in [7, 8] {
        let put = Pipeline {
            last_canary: last_canary.clone(),
            ..with_canary(10)
        };
        room.plugins.set_pipeline(&put).await.unwrap();
        let now = EndedCanary {
            ended: seconds,
            ..ended(8)
        };
        assert!(end(&room, &pass, &now).await);
        assert!(room.plugins.move_audit_lines().await.is_err());
        last_canary = Some(now);
    }
    log("DROP TRIGGER no_lines");
    assert_eq!(audited(&host).await, Vec::<u64>::new());
    for _ in 0..2 {
        room.plugins.move_audit_lines().await.unwrap();
        assert_eq!(audited(&host).await, [8, 7]);
    }
}

#[tokio::test]
async fn a_canary_that_was_replaced_is_not_ended() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    upload(&room, ONE).await;
    upload(&room, TWO).await;
    let pass = host.pass("acme").await;
    let other_stages = Pipeline {
        stages: [].into(),
        ..with_canary(10)
    };
    let promoted = Pipeline {
        stages: [(Stage::Prompting, choice(TWO))].into(),
        canary: None,
        last_canary: None,
        vector_stores: Vec::new(),
    };
    for put in [other_stages, promoted] {
        room.plugins.set_pipeline(&put).await.unwrap();
        assert!(!end(&room, &pass, &ended(8)).await);
        assert_eq!(room.plugins.pipeline().await.unwrap(), put);
    }
    // Another percentage is the same canary.
    room.plugins.set_pipeline(&with_canary(50)).await.unwrap();
    assert!(end(&room, &pass, &ended(8)).await);
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
    assert!(end(&room, &host.pass("acme").await, &ended(8)).await);
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
