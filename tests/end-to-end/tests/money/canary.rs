//! A room's canary over scripted guests: which ends of requests end it, and which say nothing about it. Not here: real components
//! (`tenants/canary`).

use crate::{
    engine::MODEL,
    guests::{DENIED, TRAPS},
    script::{Engine, Guest, Script},
    server::{Plan, Server},
};
use bytes::Bytes;
use futures::StreamExt;
use riad_core::{
    Digest, ErrorKind, Limits, PluginName, Result,
    audit::AuditQuery,
    pipeline::{Canary, Pipeline},
    plugin::{Stage, StageChoice},
    policy::Budget,
    ports::LogLevel,
    receipt::Receipt,
};
use riad_services::chat::{ChatEvent, ChatMessage, ChatRequest};
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;

const PAYER: (usize, usize) = (0, 0);
const WORKS: &[u8] = b"a component that works";
/// Of the scripted model.
const CONTEXT: u32 = 400;
/// In which what is done in the background has long been done.
const WHILE: Duration = Duration::from_millis(300);
const PATIENCE: u32 = 300;

async fn server() -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        policy: json!({}),
        keys: vec![Budget::default()],
    };
    // With time enough for each request.
    let (server, _) = Server::found_with(folder.path(), &[plan], Limits::default()).await;
    (server, folder)
}

async fn upload(server: &Server, component: &'static [u8]) -> StageChoice {
    let name: PluginName = "desk".parse().unwrap();
    let plugins = server.services.plugins();
    let stored = plugins
        .put(server.pass(PAYER), &name, Bytes::from_static(component))
        .await
        .unwrap();
    StageChoice::Plugin {
        name,
        version: stored.version,
    }
}

/// The first component serves retrieval, the second one is the canary: put by a client that has read how an earlier one ended.
async fn try_out(server: &Server, percent: u32, [stable, canary]: [&'static [u8]; 2]) -> Pipeline {
    let pipeline = Pipeline {
        stages: [(Stage::Retrieval, upload(server, stable).await)].into(),
        canary: Some(Canary {
            percent,
            stages: [(Stage::Retrieval, upload(server, canary).await)].into(),
        }),
        last_canary: active(server).await.last_canary,
        vector_stores: Vec::new(),
    };
    let pipelines = server.services.pipeline();
    pipelines.put(server.pass(PAYER), &pipeline).await.unwrap()
}

async fn active(server: &Server) -> Pipeline {
    server.services.pipeline().get(server.pass(PAYER)).await.unwrap()
}

async fn is_ended(server: &Server) -> bool {
    for _ in 0..PATIENCE {
        if active(server).await.canary.is_none() {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

fn request(engine: Engine, guest: Guest) -> ChatRequest {
    let script = Script {
        payer: PAYER,
        prompt: 11,
        tokens: 3,
        engine,
        guest,
    };
    ChatRequest {
        model: MODEL.to_owned(),
        messages: vec![ChatMessage {
            role: "user".into(),
            content: Some(script.write()),
            ..ChatMessage::default()
        }],
        ..ChatRequest::default()
    }
}

async fn ask(server: &Server, request: ChatRequest) -> Result<Receipt> {
    let mut stream = server.services.chat().start(server.pass(PAYER), request).await?;
    loop {
        if let ChatEvent::End { receipt, .. } = stream.next().await.unwrap()? {
            return Ok(receipt.receipt);
        }
    }
}

async fn actions(server: &Server) -> Vec<(String, String)> {
    let query = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    let page = server.services.audit().list(server.pass(PAYER), query).await.unwrap();
    let entries = page.records.into_iter().map(|record| record.entry);
    entries.map(|entry| (entry.action, entry.actor)).collect()
}

async fn ends_by_itself(component: &'static [u8], kind: ErrorKind) {
    let (server, _folder) = server().await;
    let before = try_out(&server, 50, [WORKS, component]).await;
    let (mut failures, mut others) = (0, 0);
    for _ in 0..PATIENCE {
        match ask(&server, request(Engine::Ends, Guest::Works)).await {
            Ok(receipt) => {
                assert_eq!(receipt.plugins(), Digest::of(WORKS));
                others += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), kind, "{error}");
                failures += 1;
                // Then the canary ends, in a task of its own.
                if failures >= 8 && (others >= 8 || failures >= 16) {
                    break;
                }
            }
        }
    }
    assert!(is_ended(&server).await);
    for _ in 0..20 {
        ask(&server, request(Engine::Ends, Guest::Works)).await.unwrap();
    }
    let after = active(&server).await;
    assert_eq!(after.stages, before.stages);
    let last = after.last_canary.unwrap();
    assert_eq!(last.stages, before.canary.unwrap().stages);
    assert_eq!(
        (last.requests, last.failures, last.stable_requests, last.stable_failures),
        (failures, failures, others, 0)
    );
    let own: Vec<_> = actions(&server).await;
    let ends = own.iter().filter(|(action, _)| action == "pipeline.end_canary");
    let actors: Vec<_> = ends.map(|(_, actor)| actor.as_str()).collect();
    assert_eq!(actors, ["server"]);
    let lines = server.services.logs().list(server.pass(PAYER)).await.unwrap();
    let lines: Vec<_> = lines.iter().filter(|line| line.level == LogLevel::Error).collect();
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let version = Digest::of(component).to_string();
    assert!(
        line.message.contains(&version) && line.message.contains(&format!("{failures} of the latest {failures}")),
        "{line:?}"
    );
    server.close().await;
}

trait Served {
    fn plugins(&self) -> Digest;
}

impl Served for Receipt {
    fn plugins(&self) -> Digest {
        self.served_by.plugins[&Stage::Retrieval]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_traps_is_ended_by_the_server() {
    ends_by_itself(TRAPS, ErrorKind::PluginFailed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_may_not_start_is_ended_by_the_server() {
    ends_by_itself(DENIED, ErrorKind::Forbidden).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_that_are_not_the_plugins_end_no_canary() {
    let (server, _folder) = server().await;
    try_out(&server, 100, [WORKS, b"another that works"]).await;
    for _ in 0..10 {
        let failed = ask(&server, request(Engine::Fails, Guest::Works)).await;
        assert!(failed.is_err(), "the engine failed");
        let chat = server.services.chat();
        let stream = chat
            .start(server.pass(PAYER), request(Engine::Hangs, Guest::Works))
            .await;
        drop(stream.unwrap());
        let mut long = request(Engine::Ends, Guest::Works);
        long.max_tokens = Some(CONTEXT - 1);
        let refused = ask(&server, long).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ContextTooLong);
    }
    for _ in 0..3 {
        let receipt = ask(&server, request(Engine::Ends, Guest::Works)).await.unwrap();
        assert_eq!(receipt.plugins(), Digest::of(b"another that works"));
    }
    sleep(WHILE).await;
    assert!(active(&server).await.canary.is_some());
    // The same requests with a plugin that fails: the others have left no trace, and sixteen are enough where the canary serves all.
    for _ in 0..13 {
        let trapped = ask(&server, request(Engine::Ends, Guest::TrapsInFinish)).await;
        assert_eq!(trapped.unwrap_err().kind(), ErrorKind::PluginFailed);
    }
    assert!(is_ended(&server).await);
    let last = active(&server).await.last_canary.unwrap();
    assert_eq!((last.requests, last.failures), (16, 13), "{last:?}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_as_often_as_the_others_goes_on() {
    let (server, _folder) = server().await;
    let components = [WORKS, b"another that works"];
    // Another percentage is the same trial, so that the counts go on.
    for percent in [1, 100] {
        try_out(&server, percent, components).await;
        for _ in 0..40 {
            let trapped = ask(&server, request(Engine::Ends, Guest::TrapsInPrompt)).await;
            assert_eq!(trapped.unwrap_err().kind(), ErrorKind::PluginFailed);
        }
    }
    sleep(WHILE).await;
    assert!(active(&server).await.canary.is_some());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_put_again_has_another_chance() {
    let (server, _folder) = server().await;
    let mut ends = Vec::new();
    for _ in 0..3 {
        try_out(&server, 100, [WORKS, TRAPS]).await;
        for number in 0..16 {
            assert!(active(&server).await.canary.is_some(), "after {number} failures");
            let trapped = ask(&server, request(Engine::Ends, Guest::Works)).await;
            assert_eq!(trapped.unwrap_err().kind(), ErrorKind::PluginFailed);
        }
        assert!(is_ended(&server).await);
        ends.push(active(&server).await.last_canary.unwrap().ended);
    }
    assert!(
        ends.is_sorted_by(|one, two| one < two),
        "each end has a time of its own: {ends:?}"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_of_a_stage_that_is_not_called_counts_nothing() {
    let (server, _folder) = server().await;
    let pipeline = Pipeline {
        canary: Some(Canary {
            percent: 100,
            stages: [(Stage::Retrieval, upload(&server, WORKS).await)].into(),
        }),
        ..Pipeline::default()
    };
    let (pipelines, pass) = (server.services.pipeline(), server.pass(PAYER));
    pipelines.put(pass, &pipeline).await.unwrap();
    // The tools' plugin is none, so a call of a tool runs no stage.
    for _ in 0..20 {
        assert!(server.services.tools().list(pass).await.unwrap().is_empty());
    }
    for _ in 0..16 {
        let trapped = ask(&server, request(Engine::Ends, Guest::TrapsInPrompt)).await;
        assert!(trapped.is_err());
    }
    assert!(is_ended(&server).await);
    assert_eq!(active(&server).await.last_canary.unwrap().requests, 16);
    server.close().await;
}
