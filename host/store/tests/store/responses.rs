//! Kept responses: each in its own room, for a while, and no more of them than may be.

use crate::host::{Host, secret};
use bytes::Bytes;
use riad_core::{
    ErrorKind, Limits, ResponseId, Result, Timestamp,
    ports::{ConversationSize, Exchange, KeptResponse, NewResponse, ResponseStore, Retention},
};
use rusqlite::Connection;
use std::{path::Path, time::Duration};

const ANY_AGE: Timestamp = Timestamp::from_millis(0);

fn id(name: &str) -> ResponseId {
    format!("resp_{name}").parse().unwrap()
}

fn response(name: &str, previous: Option<&str>) -> NewResponse {
    let bytes = |what: &str| Bytes::from(format!("{what} of {name}"));
    NewResponse {
        id: id(name),
        previous: previous.map(id),
        messages: 2,
        response: KeptResponse {
            head: bytes("head"),
            exchange: Exchange {
                input: bytes("input"),
                output: bytes("output"),
            },
        },
    }
}

fn retention() -> Retention {
    Retention {
        not_before: ANY_AGE,
        responses: 100,
        bytes: 1 << 20,
        exchanges: 10,
    }
}

async fn put(store: &dyn ResponseStore, name: &str, previous: Option<&str>, retention: Retention) {
    // Each has a time of its own.
    tokio::time::sleep(Duration::from_millis(2)).await;
    store.put(response(name, previous), retention).await.unwrap();
}

async fn is_kept(store: &dyn ResponseStore, name: &str) -> bool {
    match store.get(&id(name), ANY_AGE).await {
        Ok(kept) => kept == response(name, None).response,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            false
        }
    }
}

async fn inputs(store: &dyn ResponseStore, name: &str) -> Result<Vec<String>> {
    let exchanges = store.conversation(&id(name), ANY_AGE, 10).await?;
    let input = |exchange: Exchange| String::from_utf8(exchange.input.into()).unwrap();
    Ok(exchanges.into_iter().map(input).collect())
}

fn connect(data: &Path) -> Connection {
    #[expect(clippy::disallowed_methods, reason = "tests look into the store from outside")]
    Connection::open(data.join("rooms/acme/room.db")).unwrap()
}

#[tokio::test]
async fn a_conversation_is_kept_in_its_room_also_after_a_restart() {
    let host = Host::new().await;
    let (room, other) = (host.room("acme").await, host.room("globex").await);
    put(&*room.responses, "a", None, retention()).await;
    put(&*room.responses, "b", Some("a"), retention()).await;
    // Another one goes on from the same.
    put(&*room.responses, "c", Some("a"), retention()).await;
    assert!(!is_kept(&*other.responses, "a").await);
    assert!(other.responses.conversation_size(&id("a"), ANY_AGE).await.is_err());
    assert!(inputs(&*other.responses, "b").await.is_err());
    assert!(other.responses.delete(&id("a"), ANY_AGE).await.is_err());
    // Named by another room, it is not part of a conversation.
    put(&*other.responses, "d", Some("a"), retention()).await;
    assert!(inputs(&*other.responses, "d").await.is_err());
    drop((room, other));
    let host = host.reopen(|_| ()).await;
    let room = host.open(&host.pass("acme").await).await;
    assert!(is_kept(&*room.responses, "c").await);
    assert_eq!(
        inputs(&*room.responses, "b").await.unwrap(),
        ["input of a", "input of b"]
    );
    let size = room.responses.conversation_size(&id("b"), ANY_AGE).await.unwrap();
    let bytes = 2 * "input of aoutput of a".len() as u64;
    assert_eq!(size, ConversationSize { messages: 4, bytes });
    assert!(
        room.responses.conversation(&id("b"), ANY_AGE, 1).await.is_err(),
        "more exchanges than were asked for"
    );
}

#[tokio::test]
async fn a_deleted_response_ends_the_conversations_through_it() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    put(&*room.responses, "a", None, retention()).await;
    put(&*room.responses, "b", Some("a"), retention()).await;
    room.responses.delete(&id("a"), ANY_AGE).await.unwrap();
    let again = room.responses.delete(&id("a"), ANY_AGE).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    assert!(is_kept(&*room.responses, "b").await);
    let error = inputs(&*room.responses, "b").await.unwrap_err();
    assert!(error.message().contains("resp_a"), "{error}");
    // Nothing of its text is left.
    let left: u32 = connect(host.data())
        .query_row("SELECT count(*) FROM response_contents", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn an_expired_response_is_not_there_and_goes_later() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    put(&*room.responses, "old", None, retention()).await;
    put(&*room.responses, "root", None, retention()).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let not_before = Timestamp::now();
    for missing in [
        room.responses.get(&id("old"), not_before).await.err(),
        room.responses.conversation_size(&id("old"), not_before).await.err(),
        room.responses.conversation(&id("old"), not_before, 10).await.err(),
        room.responses.delete(&id("old"), not_before).await.err(),
    ] {
        assert_eq!(missing.unwrap().kind(), ErrorKind::NotFound);
    }
    // What goes on keeps what it goes on from.
    let retention = Retention {
        not_before,
        ..retention()
    };
    put(&*room.responses, "new", Some("root"), retention).await;
    assert!(!is_kept(&*room.responses, "old").await, "gone for every age");
    assert!(room.responses.get(&id("root"), not_before).await.is_ok());
    let exchanges = room.responses.conversation(&id("new"), not_before, 10).await.unwrap();
    assert_eq!(exchanges.len(), 2);
}

#[tokio::test]
async fn a_room_that_nobody_uses_loses_them_when_it_is_opened() {
    let host = Host::with(Limits {
        response_days: 2,
        ..Limits::default()
    })
    .await;
    let room = host.room("acme").await;
    put(&*room.responses, "old", None, retention()).await;
    put(&*room.responses, "new", None, retention()).await;
    drop(room);
    let days = |days: u64| Timestamp::now().minus(Duration::from_secs(days * 86_400)).as_millis();
    let host = host
        .reopen(|data| {
            let room = connect(data);
            for (name, used) in [("resp_old", days(3)), ("resp_new", days(1))] {
                let used = used.cast_signed();
                room.execute("UPDATE responses SET used = ?2 WHERE id = ?1", (name, used))
                    .unwrap();
            }
        })
        .await;
    let pass = host.authorize(&secret("acme"), 1).await.unwrap();
    let room = host.open(&pass).await;
    assert!(!is_kept(&*room.responses, "old").await);
    assert!(is_kept(&*room.responses, "new").await);
}

#[tokio::test]
async fn the_least_recently_used_make_room() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    let three = Retention {
        responses: 3,
        ..retention()
    };
    for name in ["a", "b", "c"] {
        put(&*room.responses, name, None, three).await;
    }
    // It uses the oldest again.
    put(&*room.responses, "d", Some("a"), three).await;
    assert!(!is_kept(&*room.responses, "b").await);
    assert_eq!(
        inputs(&*room.responses, "d").await.unwrap(),
        ["input of a", "input of d"]
    );
    // By their bytes, too; a new one is kept in any case.
    let little = Retention {
        bytes: 1,
        ..retention()
    };
    put(&*room.responses, "e", None, little).await;
    assert!(is_kept(&*room.responses, "e").await);
    for name in ["a", "c", "d"] {
        assert!(!is_kept(&*room.responses, name).await, "{name}");
    }
}

#[tokio::test]
async fn one_new_response_deletes_a_bounded_number() {
    let host = Host::new().await;
    let room = host.room("acme").await;
    for number in 0..80 {
        let name = format!("n{number}");
        room.responses.put(response(&name, None), retention()).await.unwrap();
    }
    let count = || {
        connect(host.data())
            .query_row("SELECT count(*) FROM responses", [], |row| row.get::<_, u32>(0))
            .unwrap()
    };
    let one = Retention {
        responses: 1,
        ..retention()
    };
    room.responses.put(response("last", None), one).await.unwrap();
    let left = count();
    assert!((2..80).contains(&left), "{left}");
    for name in ["x", "y"] {
        room.responses.put(response(name, None), one).await.unwrap();
    }
    assert_eq!(count(), 1);
    assert!(is_kept(&*room.responses, "y").await);
}
