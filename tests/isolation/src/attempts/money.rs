//! B asks about money, keys and changes, and names A's keys and A's answers: what it sees is its own.

use super::{Target, listing::served};
use crate::{
    attempt::{Attempt, Expected},
    client::Request,
    plant,
};
use reqwest::Method;
use serde_json::json;

pub fn attempts(target: &Target<'_>) -> Vec<Attempt> {
    let mut attempts = looks(target);
    attempts.extend(keys(target));
    // The same key and the same body as A's: an answer that is kept must be kept for A alone.
    attempts.push(served(
        "POST /v1/chat/completions",
        "A's idempotency key",
        plant::once(target.own_question(), &target.a.idempotency_key),
    ));
    attempts
}

fn looks(target: &Target<'_>) -> Vec<Attempt> {
    let (a, key) = (&target.a.tenant, &target.a.key_id);
    let by = "group_by=tenant,key,model,adapter,plugin,kind";
    let refused =
        |endpoint, what: &str, path: String| Attempt::new(endpoint, what, Request::get(path), Expected::Refused);
    vec![
        served(
            "GET /v1/usage",
            "by everything",
            Request::get(format!("/v1/usage?start_time=1&{by}&limit=1&end_time=86400")),
        ),
        served(
            "GET /v1/usage",
            "today, by everything",
            Request::get(format!("/v1/usage?{}&{by}", today())),
        ),
        served(
            "GET /v1/usage",
            "A's key",
            Request::get(format!("/v1/usage?{}&{by}&api_key_ids={key}", today())),
        ),
        refused(
            "GET /v1/usage",
            "A by name",
            format!("/v1/usage?{}&tenant={a}", today()),
        ),
        served(
            "GET /v1/costs",
            "today, by everything",
            Request::get(format!("/v1/costs?{}&{by}", today())),
        ),
        refused(
            "GET /v1/costs",
            "A by name",
            format!("/v1/costs?{}&tenant={a}", today()),
        ),
        served(
            "GET /v1/receipts",
            "look around",
            Request::get("/v1/receipts?limit=1000"),
        ),
        served(
            "GET /v1/receipts/keys",
            "the public keys",
            Request::get("/v1/receipts/keys"),
        ),
        served("GET /v1/audit", "look around", Request::get("/v1/audit?limit=1000")),
        served(
            "GET /v1/audit",
            "what A's key did",
            Request::get(format!("/v1/audit?limit=1000&actor={key}")),
        ),
        refused("GET /v1/audit", "A by name", format!("/v1/audit?tenant={a}")),
    ]
}

fn keys(target: &Target<'_>) -> Vec<Attempt> {
    let (a, key) = (&target.a.tenant, &target.a.key_id);
    let path = format!("/v1/keys/{key}");
    let absent = |endpoint, what: &str, request| Attempt::new(endpoint, what, request, Expected::NotFound);
    vec![
        served("GET /v1/keys", "look around", Request::get("/v1/keys")),
        served(
            "GET /v1/keys",
            "by the beginning of A's key",
            Request::get(format!("/v1/keys?prefix={}", target.key_prefix)),
        ),
        served("GET /v1/keys", "by a pattern", Request::get("/v1/keys?prefix=%25")),
        absent(
            "PATCH /v1/keys/{key_id}",
            "A's key",
            Request::new(Method::PATCH, &path).json(&json!({"name": "mine"})),
        ),
        absent("DELETE /v1/keys/{key_id}", "A's key", Request::delete(&path)),
        absent(
            "POST /v1/keys/{key_id}/rotate",
            "A's key",
            Request::post(format!("{path}/rotate"), &json!({"overlap_seconds": 0})),
        ),
        Attempt::new(
            "POST /v1/keys",
            "a key for A",
            Request::post("/v1/keys", &json!({"name": "stolen", "tenant": a})),
            Expected::Refused,
        ),
    ]
}

/// A span that has all of the suite in it.
fn today() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    format!("start_time={}&end_time={}&bucket_width=1h", now - 3600, now + 3600)
}
