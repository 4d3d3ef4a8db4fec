//! A plugin of B's that tries every capability for A's secrets: all that it gets comes back as passages of the answer.
//! Not here: what it tries (the guest's own source).

use super::{Target, listing::served};
use crate::{
    attempt::{Attempt, Expected, Judge, Outcome},
    client::Request,
    room::chat,
};
use anyhow::Result;
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};

const NAME: &str = "isolation-spy";
/// The suite's own spy makes more; fewer means that it did not run to its end.
const LEAST_ATTEMPTS: usize = 20;

pub async fn run(judge: &Judge<'_>, target: &Target<'_>, spy: Bytes) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let put = Request::new(Method::PUT, format!("/v1/plugins/{NAME}")).bytes("application/wasm", spy);
    let deployed = judge.client.send(&put).await?;
    let attempt = served("PUT /v1/plugins/{name}", "a spying plugin", put);
    outcomes.push(judge.judge(&attempt, &deployed));
    let plugin = deployed.json();
    let choice = format!(
        "{NAME}@{}",
        plugin.get("version").and_then(Value::as_str).unwrap_or_default()
    );

    let settings = settings(target);
    let told = settings.to_string();
    for (endpoint, what, request) in [
        (
            "PUT /v1/settings",
            "what the spy looks for",
            Request::put("/v1/settings", &settings),
        ),
        (
            "PUT /v1/pipeline",
            "the spy serves",
            Request::put("/v1/pipeline", &json!({"stages": {"prompting": choice}})),
        ),
    ] {
        outcomes.push(judge.attempt(served(endpoint, what, request)).await);
    }
    let mut asked = Attempt::new(
        "POST /v1/chat/completions",
        "the spying plugin's report",
        chat(&target.own.model, &target.question()),
        Expected::Served,
    );
    asked.told_before = told;
    let reply = judge.client.send(&asked.request).await?;
    let mut outcome = judge.judge(&asked, &reply);
    let passages = reply
        .json()
        .pointer("/riad/passages")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if passages < LEAST_ATTEMPTS {
        outcome.faults.push(format!(
            "the spy reports {passages} attempts, expected at least {LEAST_ATTEMPTS}: it did not do its work"
        ));
    }
    outcomes.push(outcome);
    outcomes.push(
        judge
            .attempt(served(
                "GET /v1/logs",
                "what the spy left in the log",
                Request::get("/v1/logs"),
            ))
            .await,
    );
    Ok(outcomes)
}

/// What the spy is told: words beside the secrets, A's ids, and where A's files could lie.
fn settings(target: &Target<'_>) -> Value {
    let a = &target.a.tenant;
    let files = ["plugin.db", "room.db"].map(|file| {
        [
            format!("../{a}/{file}"),
            format!("rooms/{a}/{file}"),
            format!("riad-data/rooms/{a}/{file}"),
            format!("file:../{a}/{file}?mode=ro"),
        ]
    });
    json!({
        "spy.needles": [target.needle, "vault", target.question(), a],
        "spy.ids": [target.a.document],
        "spy.stores": [target.a.vector_store],
        "spy.keys": [target.needle],
        "spy.paths": files.concat(),
    })
}
