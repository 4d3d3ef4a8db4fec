//! What the server says it has, and what of it was not tried. Not here: trying it (`attempts`).

use crate::{
    attempt::Outcome,
    client::{Client, Request},
};
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];

/// Every endpoint of the OpenAPI document, as `GET /v1/models`.
pub async fn read(client: &Client) -> Result<BTreeSet<String>> {
    let document = client.expect(200, Request::get("/openapi.json")).await?.json();
    let endpoints = endpoints(&document);
    if endpoints.is_empty() {
        bail!("GET /openapi.json names no endpoint");
    }
    Ok(endpoints)
}

fn endpoints(document: &Value) -> BTreeSet<String> {
    let paths = document.get("paths").and_then(Value::as_object);
    paths
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            METHODS
                .iter()
                .filter(|method| item.get(**method).is_some())
                .map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

/// The endpoints that no attempt went to.
pub fn uncovered(mut endpoints: BTreeSet<String>, outcomes: &[Outcome]) -> Vec<String> {
    for outcome in outcomes {
        endpoints.remove(&outcome.endpoint);
    }
    endpoints.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_that_is_not_tried_is_named() {
        let document = json!({"paths": {"/a": {"get": {}, "post": {}, "parameters": []}, "/b/{id}": {"delete": {}}}});
        let endpoints = endpoints(&document);
        assert_eq!(endpoints.len(), 3);
        let tried = Outcome {
            endpoint: "POST /a".into(),
            ..Outcome::default()
        };
        assert_eq!(uncovered(endpoints, &[tried]), ["DELETE /b/{id}", "GET /a"]);
    }
}
