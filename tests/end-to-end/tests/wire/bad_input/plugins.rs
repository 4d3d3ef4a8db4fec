//! Components that are none, and pipelines that name what is not there.

use super::case::{Body, Case, check_all};
use reqwest::Method;
use riad_end_to_end::{TestHost, files};
use serde_json::{Value, json};

fn put(name: &str, component: impl Into<Vec<u8>>) -> Case {
    Case::new(
        Method::PUT,
        &format!("/v1/plugins/{name}"),
        Body::Raw("application/wasm", component.into()),
    )
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A component that imports one interface with one function, and exports nothing.
fn importing(interface: &str) -> Vec<u8> {
    component(&format!(
        "(component (import \"{interface}\" (instance (export \"f\" (func)))))"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_cannot_serve_is_refused_with_the_reason() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let tenant = host.tenant("acme").await;
    let stage = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i \"f\"))) (instance $e (export \"retrieve\" (func $f)))
        (export \"riad:pipeline/retrieval@0.1.0\" (instance $e)))";
    let cut = &files::ECHO[..files::ECHO.len() / 2];
    check_all(
        &tenant,
        vec![
            put("guest", "").says(&["empty"]),
            put("guest", "#!/bin/sh").says(&["not a WebAssembly component"]),
            put("guest", component("(module)")).says(&["core WebAssembly module, not a component"]),
            put("guest", cut),
            put("guest", component("(component)")).says(&["no stage", "riad:pipeline/retrieval@0.2.0"]),
            put("guest", component(stage)).says(&["retrieve", "another type"]),
            put("guest", component(&stage.replace("@0.1.0", "@0.9.0"))).says(&["0.9.0", "0.1.0"]),
            put("guest", component(&stage.replace("retrieve", "other"))).says(&["without the function `retrieve`"]),
            put("guest", importing("wasi:sockets/tcp@0.2.3")).says(&[
                "`wasi:sockets/tcp@0.2.3`",
                "not granted",
                "no network",
            ]),
            put("guest", importing("wasi:http/outgoing-handler@0.2.3")).says(&["not granted", "no network"]),
            put("guest", importing("wasi:filesystem/types@0.2.3")).says(&["not granted", "no files"]),
            put("guest", importing("acme:host/shell")).says(&["`acme:host/shell`", "not granted"]),
            put("guest", importing("riad:store/store@0.2.0")).says(&["0.2.0", "version 0.1.0"]),
            put("guest", importing("riad:store/store@0.1.0")),
            put("Guest", files::ECHO).says(&["plugin name", "a-z"]),
            put("a%2Fb", files::ECHO).says(&["plugin name"]),
        ],
    )
    .await;
    assert_eq!(
        tenant.get("/v1/plugins").await.ok()["data"],
        json!([]),
        "something was kept all the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_too_large_is_not_compiled() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.plugin_bytes = 256 << 10)
        .start()
        .await;
    let tenant = host.tenant("acme").await;
    let too_large = put("desk", files::PRICE_DESK).is(413, "too_large");
    too_large.says(&["larger"]).check(&tenant).await;
    assert!(tenant.put_plugin("echo", files::ECHO).await.status.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_names_only_what_the_room_has() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = (host.tenant("acme").await, host.tenant("globex").await);
    let desk = format!("desk@{}", acme.deploy("desk", files::PRICE_DESK, &["prompting"]).await);
    let before = acme.get("/v1/pipeline").await.ok();
    let stages = |stages: Value| Case::put("/v1/pipeline", json!({"stages": stages}));
    let other = format!("desk@{}", files::digest(b"never uploaded"));
    check_all(
        &acme,
        vec![
            stages(json!({"prompting": other}))
                .is(404, "not_found")
                .param("stages.prompting")
                .says(&[&other, "upload it first"]),
            stages(json!({"prompting": desk.replace("desk@", "disk@")}))
                .is(404, "not_found")
                .param("stages.prompting"),
            stages(json!({"retrieval": desk}))
                .param("stages.retrieval")
                .says(&["does not serve the stage retrieval"]),
            stages(json!({"prompting": "desk"}))
                .param("stages.prompting")
                .says(&["name@sha256:"]),
            stages(json!({"prompting": "desk@latest"}))
                .param("stages.prompting")
                .says(&["sha256:"]),
            stages(json!({"prompting": 5})).param("stages.prompting"),
            stages(json!({"reranking": "standard"}))
                .param("stages.reranking")
                .says(&["unknown field"]),
            Case::put("/v1/pipeline", json!({})).param("stages").says(&["missing"]),
            Case::put("/v1/pipeline", json!({"stages": {}, "more": 1}))
                .param("more")
                .says(&["unknown field"]),
        ],
    )
    .await;
    assert_eq!(acme.get("/v1/pipeline").await.ok(), before);
    // What the neighbor has is not there.
    let theirs = stages(json!({"prompting": desk})).is(404, "not_found");
    theirs.param("stages.prompting").check(&globex).await;
}
