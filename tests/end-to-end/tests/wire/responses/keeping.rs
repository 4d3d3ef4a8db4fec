//! Responses that are read again, and for how long.

use super::{PATH, get, id, request, respond, stream, with};
use reqwest::Method;
use riad_core::Timestamp;
use riad_end_to_end::{Stream, TestHost};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_response_is_read_as_it_was_answered() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let body = with(
        request(json!([
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        ])),
        &json!({"metadata": {"case": "4711"}, "instructions": "Be kind.", "user": "u"}),
    );
    let response = respond(&acme, &body).await;
    assert_eq!(response["metadata"], json!({"case": "4711"}));
    let host = host.restart().await;
    let acme = host.caller(&acme.key);
    assert_eq!(get(&acme, &id(&response)).await.ok(), response);
    let items = acme
        .get(&format!("{PATH}/{}/input_items?order=asc", id(&response)))
        .await
        .ok();
    assert_eq!(items["has_more"], false);
    let data = items["data"].as_array().unwrap();
    assert_eq!(
        (&data[0]["role"], &data[1]["role"]),
        (&json!("developer"), &json!("user"))
    );
    assert_eq!(data[1]["content"], json!([{"type": "input_text", "text": "Hello"}]));
    assert_eq!(items["last_id"], data[1]["id"]);
    let events = stream(&acme, &request("Hello")).await;
    let last = &events.last().unwrap()["response"];
    assert_eq!(get(&acme, &id(last)).await.ok(), *last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_expires() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let response = respond(&acme, &request("Hello")).await;
    get(&acme, &id(&response)).await.ok();
    let days = |days: u64| Timestamp::now().minus(Duration::from_secs(days * 86_400)).as_millis();
    let set_used = |used: u64| {
        #[expect(clippy::disallowed_methods, reason = "time passes in no other way")]
        let room = rusqlite::Connection::open(host.data().join("rooms/acme/room.db")).unwrap();
        room.execute("UPDATE responses SET used = ?1", [used.cast_signed()])
            .unwrap();
    };
    set_used(days(29));
    get(&acme, &id(&response)).await.ok();
    set_used(days(31));
    get(&acme, &id(&response)).await.refused(404, "not_found");
    let items = format!("{PATH}/{}/input_items", id(&response));
    acme.get(&items).await.refused(404, "not_found");
    acme.delete(&format!("{PATH}/{}", id(&response)))
        .await
        .refused(404, "not_found");
    let next = with(request("And?"), &json!({"previous_response_id": id(&response)}));
    assert_eq!(super::refused(&acme, &next).await, "previous_response_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_keeps_the_last_used_responses() {
    let host = TestHost::builder().limits(|limits| limits.responses = 2).start().await;
    let acme = host.tenant("acme").await;
    let first = respond(&acme, &request("One")).await;
    let second = respond(&acme, &request("Two")).await;
    let third = respond(&acme, &request("Three")).await;
    get(&acme, &id(&first)).await.refused(404, "not_found");
    get(&acme, &id(&second)).await.ok();
    get(&acme, &id(&third)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_its_client_left_is_not_kept() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let body = with(
        request("Tell me all that you know."),
        &json!({"stream": true, "max_output_tokens": 400}),
    );
    let response = acme.request(Method::POST, PATH).json(&body).send().await.unwrap();
    let mut events = Stream::new(response);
    let created = events.next_json().await;
    drop(events);
    host.entries_when("acme", 1).await;
    get(&acme, &id(&created["response"])).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_keeps_no_more_and_answers_without() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    respond(&acme, &request("Hello")).await;
    let policy = json!({"limits": {"stored_bytes": 1}});
    host.operator.patch("/operator/v1/tenants/acme", &policy).await.ok();
    let full = acme.post(PATH, &request("Hello")).await.refused(507, "quota_exceeded");
    assert_eq!(full.text("/error/param"), "store");
    respond(&acme, &with(request("Hello"), &json!({"store": false}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_all_could_have_no_place_for_is_not_kept() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let policy = json!({"limits": {"stored_bytes": 400_000}});
    host.operator.patch("/operator/v1/tenants/acme", &policy).await.ok();
    let long = with(
        request("Hello"),
        &json!({"instructions": "x ".repeat(200), "tools": [
        {"type": "function", "name": "f", "description": "y".repeat(120_000)},
    ], "tool_choice": "none"}),
    );
    let response = respond(&acme, &long).await;
    assert_eq!(response["store"], false, "{response}");
    get(&acme, &id(&response)).await.refused(404, "not_found");
    let next = respond(&acme, &request("Hello")).await;
    assert_eq!(next["store"], true);
    get(&acme, &id(&next)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_one_response() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let first = acme.post_once(PATH, &request("Hello"), "k").await;
    let again = acme.post_once(PATH, &request("Hello"), "k").await;
    assert_eq!(first.body, again.body);
    let response: Value = again.ok();
    get(&acme, &id(&response)).await.ok();
    assert!(
        first.header("x-ratelimit-limit-requests").is_empty(),
        "there is no limit"
    );
}
