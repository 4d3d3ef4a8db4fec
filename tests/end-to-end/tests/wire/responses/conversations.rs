//! Conversations that go on from a response.

use super::{id, refused, request, respond, stream, text, with};
use riad_end_to_end::TestHost;
use serde_json::{Value, json};

fn next(input: &str, previous: &Value) -> Value {
    with(request(input), &json!({"previous_response_id": previous["id"]}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_without_its_instructions() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let begin = with(
        request("My drill is called Kestrel."),
        &json!({"instructions": "Answer in one word."}),
    );
    let first = respond(&acme, &begin).await;
    // A streamed response is kept as well.
    let events = stream(&acme, &next("What is its name?", &first)).await;
    let second = events.last().unwrap()["response"].clone();
    assert_eq!(second["instructions"], Value::Null);
    let third = respond(&acme, &next("And again?", &second)).await;
    let sent = respond(
        &acme,
        &request(json!([
            {"role": "user", "content": "My drill is called Kestrel."},
            {"role": "assistant", "content": text(&first)},
            {"role": "user", "content": "What is its name?"},
            {"role": "assistant", "content": text(&second)},
            {"role": "user", "content": "And again?"},
        ])),
    )
    .await;
    assert_eq!(text(&third), text(&sent));
    assert_eq!(third["usage"]["input_tokens"], sent["usage"]["input_tokens"]);
    // Also from its middle.
    let other = respond(&acme, &next("And now?", &first)).await;
    assert_eq!(other["previous_response_id"], first["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_is_too_long_does_not_go_on() {
    let host = TestHost::builder().limits(|limits| limits.messages = 4).start().await;
    let acme = host.tenant("acme").await;
    let first = respond(&acme, &request("One")).await;
    let second = respond(&acme, &next("Two", &first)).await;
    assert_eq!(refused(&acme, &next("Three", &second)).await, "previous_response_id");
    let three = json!(vec![json!({"role": "user", "content": "x"}); 3]);
    let body = with(request(three), &json!({"previous_response_id": first["id"]}));
    assert_eq!(refused(&acme, &body).await, "input");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_from_what_is_not_kept() {
    let host = TestHost::start().await;
    let acme = host.tenant("acme").await;
    let unkept = respond(&acme, &with(request("One"), &json!({"store": false}))).await;
    assert_eq!(unkept["store"], false);
    assert_eq!(refused(&acme, &next("Two", &unkept)).await, "previous_response_id");
    let first = respond(&acme, &request("One")).await;
    let second = respond(&acme, &next("Two", &first)).await;
    let deleted = acme.delete(&format!("/v1/responses/{}", id(&first))).await.ok();
    assert_eq!(
        deleted,
        json!({"id": first["id"], "object": "response", "deleted": true})
    );
    assert_eq!(refused(&acme, &next("Two", &first)).await, "previous_response_id");
    assert_eq!(refused(&acme, &next("Three", &second)).await, "previous_response_id");
}
