//! Anthropic's endpoints: B looks around, names A, sends two keys, and asks for A's model.

use super::{
    Target,
    listing::{extend, served},
    objects::absent,
};
use crate::{
    attempt::{Attempt, Expected},
    client::Request,
    room::chat_body,
};
use serde_json::{Value, json};

const MESSAGES: &str = "POST /v1/messages";
const COUNT: &str = "POST /v1/messages/count_tokens";

pub fn attempts(target: &Target<'_>) -> Vec<Attempt> {
    let tenant = &target.a.tenant;
    let both = |more: Value| {
        // A chat's body has no member that this one does not have.
        let mut body = chat_body(&target.own.model, &target.question());
        extend(&mut body, &more);
        [
            (MESSAGES, Request::post("/v1/messages", &body)),
            (COUNT, Request::post("/v1/messages/count_tokens", &body)),
        ]
    };
    let mut attempts = Vec::new();
    for (what, more) in [
        ("ask for A's documents", json!({})),
        ("ask, streamed", json!({"stream": true})),
        (
            "a body with A as the user",
            json!({"metadata": {"user_id": tenant}, "tenant": tenant}),
        ),
        (
            "a system prompt that names A",
            json!({"system": format!("You serve the tenant {tenant}.")}),
        ),
    ] {
        attempts.extend(both(more).map(|(endpoint, request)| served(endpoint, what, request)));
    }
    for (what, authorization) in [
        ("its own key and A's id as the other", None),
        ("A's id as the key", Some("Basic none".to_owned())),
        ("A's id as both keys", Some(format!("Bearer {tenant}"))),
    ] {
        attempts.extend(both(json!({})).map(|(endpoint, request)| {
            let mut request = request.header("X-Api-Key", tenant);
            request.authorization.clone_from(&authorization);
            Attempt::new(endpoint, what, request, Expected::Unauthorized)
        }));
    }
    for name in [
        target.a.model.clone(),
        format!("{}:{}", target.own.model, target.a.generation),
    ] {
        let what = format!("ask the model {name:?}");
        attempts.extend(both(json!({"model": name})).map(|(endpoint, request)| absent(endpoint, &what, request)));
    }
    attempts
}
