//! Host calls through WIT: what a guest passes arrives, and what comes back is what the port said. Not here: the rules behind the ports.

use crate::{
    guests::{Act, asked, guest, prompted_by, puppet},
    host::{Host, request},
    room::Room,
};
use riad_core::{
    ErrorKind, Timestamp,
    plugin::Stage,
    ports::{GuestCallEnd, HttpMethod},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// The results of calls, in words.
async fn results(host: &Host, room: &Room, calls: Value) -> Vec<String> {
    room.set(json!({ "calls": calls }));
    let run = host.start(&prompted_by(&guest("caller")), room).await;
    let prompt = run.build_prompt(&request("Hello"), &[]).await.unwrap();
    prompt.passages.into_iter().map(|passage| passage.text).collect()
}

#[tokio::test]
async fn values_outlive_the_request_that_set_them() {
    let (host, room) = (Host::new(), Room::empty());
    let first = json!([
        ["kv.get", "a"],
        ["kv.set", "a", "drill", 60],
        ["kv.increment", "n", 7, 60]
    ]);
    assert_eq!(results(&host, &room, first).await, ["Ok(None)", "Ok(())", "Ok(7)"]);
    let second = json!([
        ["kv.get", "a"],
        ["kv.increment", "n", -2, 60],
        ["kv.delete", "a"],
        ["kv.delete", "a"]
    ]);
    assert_eq!(
        results(&host, &room, second).await,
        ["Ok(Some(\"drill\"))", "Ok(5)", "Ok(true)", "Ok(false)"]
    );
    let refused = results(&host, &room, json!([["kv.set", "a", "drill", 0]])).await;
    assert_eq!(
        refused,
        ["Err(Error::InvalidArgument(\"a value lives for 1 second at least\"))"]
    );
}

#[tokio::test]
async fn the_clock_goes_in_steps_of_100_ms() {
    let (host, room) = (Host::new(), Room::empty());
    let before = Timestamp::now().as_millis();
    let now: u64 = results(&host, &room, json!([["clock.now"]])).await[0].parse().unwrap();
    assert_eq!(now % 100, 0);
    assert!(
        (before - 100..=Timestamp::now().as_millis()).contains(&now),
        "{before} {now}"
    );
}

#[tokio::test]
async fn a_timer_is_no_finer_than_the_clock() {
    const SLEEPS: u32 = 4;
    let (host, puppet) = (Host::new(), prompted_by(&puppet()));
    let run = host.start(&puppet, &Room::empty()).await;
    let begun = Instant::now();
    for _ in 0..SLEEPS {
        run.build_prompt(&asked(Act::Sleep, 1, 0), &[]).await.unwrap();
    }
    // Each ends at a step: between the first and the last are three.
    let steps = Duration::from_millis(100) * (SLEEPS - 1);
    assert!(begun.elapsed() >= steps, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn random_bytes_differ_and_are_bounded() {
    let (host, room) = (Host::new(), Room::empty());
    let calls = json!([
        ["random.bytes", 16],
        ["random.bytes", 16],
        ["random.bytes", 0],
        ["random.bytes", 4097]
    ]);
    let found = results(&host, &room, calls).await;
    assert!(
        found[0].starts_with("Ok([") && found[0].matches(',').count() == 15,
        "{}",
        found[0]
    );
    assert_eq!(HashSet::<&String>::from_iter(&found[..2]).len(), 2);
    assert!(
        found[2].contains("1 to 4096") && found[3].contains("1 to 4096"),
        "{found:?}"
    );
}

#[tokio::test]
async fn documents_are_listed_after_an_id() {
    let host = Host::new();
    let room = Room::with(&[("Drills", "One."), ("Saws", "Two."), ("Nails", "Three.")]);
    let calls = json!([
        ["documents.list", null, 2],
        ["documents.list", "d1", 2],
        ["documents.list", "../d1", 2]
    ]);
    let found = results(&host, &room, calls).await;
    assert!(found[0].contains("Drills") && found[0].contains("Saws") && !found[0].contains("Nails"));
    assert!(
        found[0].contains("bytes: 4") && found[0].contains("chunks: 1"),
        "{}",
        found[0]
    );
    assert!(found[1].contains("Nails") && !found[1].contains("Saws"));
    assert!(found[2].contains("must be the id of a document"), "{}", found[2]);
}

#[tokio::test]
async fn a_guest_generates_within_its_bounds() {
    let host = Host::with(|limits| {
        limits.guest_generations = 2;
        limits.guest_generation_tokens = 32;
    });
    let room = Room::empty();
    let calls = json!([
        ["generate", "rewrite", 33, 0.0],
        ["generate", "rewrite", 32, 0.5],
        ["generate", "again", 1, 0.0],
        ["generate", "once more", 1, 0.0]
    ]);
    let found = results(&host, &room, calls).await;
    assert!(found[0].contains("1 to 32"), "{}", found[0]);
    assert!(
        found[1].contains("text: \"REWRITE\"") && found[1].contains("prompt-tokens: 3"),
        "{}",
        found[1]
    );
    assert!(found[2].contains("AGAIN"));
    assert!(found[3].contains("limits.guest_generations"), "{}", found[3]);
    let prompts = room.prompts();
    assert_eq!(prompts.len(), 2);
    assert_eq!((prompts[0].max_tokens, prompts[0].temperature), (32, 0.5));
}

#[tokio::test]
async fn http_requests_pass_and_are_counted() {
    let host = Host::with(|limits| limits.guest_http_requests = 3);
    let room = Room::empty();
    let calls = json!([
        ["http.get", "https://api.acme.example/orders", "accept", "text/plain"],
        ["http.post", "https://api.acme.example/orders", "drill"],
        ["http.get", "http://169.254.169.254/latest/meta-data/", "a", "b"],
        ["http.get", "https://api.acme.example/orders", "a", "b"]
    ]);
    let found = results(&host, &room, calls).await;
    assert!(
        found[0].contains("status: 418") && found[0].contains("x-pot"),
        "{}",
        found[0]
    );
    assert!(
        found[2].contains("NotGranted") && found[2].contains("169.254.169.254"),
        "{}",
        found[2]
    );
    assert!(found[3].contains("limits.guest_http_requests"), "{}", found[3]);
    let requests = room.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].method, HttpMethod::Get);
    assert_eq!(requests[0].headers, [("accept".to_owned(), "text/plain".to_owned())]);
    assert_eq!(
        (requests[1].method, &requests[1].body[..]),
        (HttpMethod::Post, &b"\"drill\""[..])
    );
}

#[tokio::test]
async fn waiting_for_others_is_no_guest_time() {
    let host = Host::with(|limits| limits.guest_ms = 200);
    let room = Room::slow(&[], Duration::from_millis(150), Duration::ZERO);
    let calls = json!([
        ["generate", "one", 1, 0.0],
        ["http.get", "https://api.acme.example/", "a", "b"],
        ["generate", "two", 1, 0.0]
    ]);
    assert_eq!(results(&host, &room, calls).await.len(), 3);
}

#[tokio::test]
async fn each_call_is_observed_with_what_it_used() {
    let (host, room) = (Host::new(), Room::empty());
    let run = host.start(&prompted_by(&guest("echo")), &room).await;
    run.build_prompt(&request("Hello"), &[]).await.unwrap();
    drop(run);
    let run = host.start(&prompted_by(&guest("loop")), &room).await;
    run.build_prompt(&request("Hello"), &[]).await.unwrap_err();
    let ends: Vec<_> = room
        .guest_calls()
        .iter()
        .filter(|call| call.stage == Stage::Prompting)
        .map(|call| call.end)
        .collect();
    assert!(ends.contains(&GuestCallEnd::Returned), "{ends:?}");
    assert_eq!(ends.last(), Some(&GuestCallEnd::Failed(ErrorKind::PluginLimit)));
    assert!(room.guest_calls().iter().all(|call| call.memory > 0));
    assert!(
        room.guest_calls()
            .last()
            .is_some_and(|call| call.fuel > 1_000_000 && !call.time.is_zero())
    );
}
