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
    for missing in [&unkept, &json!({"id": "resp_x"})] {
        let answer = acme.post("/v1/responses", &next("Two", missing)).await;
        answer.refused(400, "previous_response_not_found");
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn references_to_kept_items_are_the_items() {
    let host = TestHost::start().await;
    let (acme, globex) = host.neighbors().await;
    let first = respond(&acme, &request("My drill is called Kestrel.")).await;
    let events = stream(&acme, &request("What do you sell?")).await;
    let second = events.last().unwrap()["response"].clone();
    let conversation = |one: Value, two: Value| {
        request(json!([
            {"role": "user", "content": "My drill is called Kestrel."}, one,
            {"role": "user", "content": "What do you sell?"}, two,
            {"role": "user", "content": "And its name?"},
        ]))
    };
    let reference = |response: &Value| json!({"type": "item_reference", "id": response["output"][0]["id"]});
    let said = |response: &Value| json!({"role": "assistant", "content": text(response)});
    let referring = conversation(reference(&first), reference(&second));
    let third = respond(&acme, &referring).await;
    let sent = respond(&acme, &conversation(said(&first), said(&second))).await;
    assert_eq!(text(&third), text(&sent));
    assert_eq!(third["usage"]["input_tokens"], sent["usage"]["input_tokens"]);
    // What a response was asked is kept too, and what it referred to.
    let items = acme
        .get(&format!("/v1/responses/{}/input_items?order=asc", id(&third)))
        .await
        .ok();
    assert_eq!(items["data"][1]["id"], first["output"][0]["id"]);
    let asked = json!({"type": "item_reference", "id": items["data"][4]["id"]});
    respond(&acme, &request(json!([asked]))).await;

    let unkept = respond(&acme, &with(request("One"), &json!({"store": false}))).await;
    for (caller, body, at_fault) in [
        (&globex, referring, "input[1]"),
        (&acme, conversation(reference(&first), reference(&first)), "input[3]"),
        (&acme, conversation(reference(&first), reference(&unkept)), "input[3]"),
        (
            &acme,
            request(json!([{"type": "item_reference", "id": "msg_x"}])),
            "input[0]",
        ),
    ] {
        let answer = caller.post("/v1/responses", &body).await.refused(404, "not_found");
        assert_eq!(answer.text("/error/param"), at_fault, "{body}");
    }
    acme.delete(&format!("/v1/responses/{}", id(&first))).await.ok();
    let deleted = request(json!([reference(&first), {"role": "user", "content": "And?"}]));
    acme.post("/v1/responses", &deleted).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_bounded_as_what_they_refer_to() {
    let host = TestHost::builder().limits(|limits| limits.messages = 2).start().await;
    let acme = host.tenant("acme").await;
    let mut items = Vec::new();
    for question in ["One", "Two", "Three"] {
        let response = respond(&acme, &request(question)).await;
        items.push(json!({"type": "item_reference", "id": response["output"][0]["id"]}));
    }
    assert_eq!(refused(&acme, &request(json!(items))).await, "input[2]");
}
