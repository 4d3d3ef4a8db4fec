//! A server whose model runs in another one, with tenants' adapters. Not here: what that one may do wrong (`engine/tests/engine/remote`).

use riad_end_to_end::{Chat, MODEL, Stream, Tenant, TestHost, files::Adapter};
use riad_fakes::model_server::{Fault, ModelServer, Script};
use serde_json::{Value, json};
use std::time::Duration;

const TEXT: &str = "The lamp costs twelve euros. [1]";
/// `eos_token_id` of the model that ships, whose tokenizer both servers have.
const END: u32 = 5;

fn saying(tokens: &[u32]) -> Script {
    Script {
        events: tokens.iter().chain([&END]).map(|token| vec![*token]).collect(),
        texts: Vec::new(),
        finish: "stop",
        fault: Fault::None,
        pause: Duration::ZERO,
    }
}

struct Servers {
    host: TestHost,
    model: ModelServer,
    tokens: Vec<u32>,
    _adapters: tempfile::TempDir,
}

async fn start() -> Servers {
    let model = ModelServer::start(saying(&[])).await;
    let adapters = tempfile::tempdir().unwrap();
    let (endpoint, folder) = (model.base(), adapters.path().to_owned());
    let host = TestHost::builder()
        .config(|config| {
            config.engine.endpoints = vec![endpoint];
            config.engine.adapter_folder = Some(folder);
        })
        .start()
        .await;
    let tenant = host.tenant("reader").await;
    let body = json!({"model": MODEL, "prompt": TEXT});
    let counted = tenant.post("/v1/tokenize", &body).await.ok();
    let tokens: Vec<u32> = serde_json::from_value(counted["tokens"].clone()).unwrap();
    model.answer(saying(&tokens));
    Servers {
        host,
        model,
        tokens,
        _adapters: adapters,
    }
}

async fn ready(servers: &Servers, name: &str) -> Tenant {
    let tenant = servers.host.tenant(name).await;
    tenant.add_document("Lamps", "The lamp costs twelve euros.").await;
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_answered_and_billed_as_one_of_this_process() {
    let servers = start().await;
    let tenant = ready(&servers, "acme").await;
    let chat = Chat::new("What does the lamp cost?");
    let answer = tenant.chat(&chat).await;
    assert_eq!(answer["choices"][0]["message"]["content"], TEXT, "{answer}");
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], servers.tokens.len() + 1);
    let asked = servers.model.asked().remove(0);
    assert_eq!(usage["prompt_tokens"], asked["prompt"].as_array().unwrap().len());
    let entries = servers.host.entries("acme").await;
    let entry = entries.last().unwrap();
    assert_eq!(
        (&entry["prompt_tokens"], &entry["completion_tokens"]),
        (&usage["prompt_tokens"], &usage["completion_tokens"])
    );

    let events = tenant.stream(&chat).await.rest().await;
    assert_eq!(Stream::text(&events, 0), TEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_adapter_is_its_own_in_the_other_server() {
    let servers = start().await;
    for name in ["acme", "globex"] {
        let tenant = ready(&servers, name).await;
        tenant.put_adapter("voice", &Adapter::acme()).await.ok();
        tenant
            .chat(&Chat::new("What does the lamp cost?").adapter("voice"))
            .await;
    }
    let models: Vec<Value> = servers.model.asked().iter().map(|body| body["model"].clone()).collect();
    assert_eq!(models.len(), 2);
    assert_ne!(models[0], models[1], "the same files of two tenants have two names");
    let generation = |model: &Value| model.as_str().unwrap().split_once('.').unwrap().1.to_owned();
    assert_eq!(generation(&models[0]), generation(&models[1]));
    let loaded = servers.model.adapters();
    assert!(
        models.iter().all(|model| loaded.iter().any(|name| name == model)),
        "{loaded:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_model_server_is_a_503_that_costs_nothing() {
    let servers = start().await;
    let tenant = ready(&servers, "acme").await;
    servers.model.answer(Script {
        fault: Fault::Status(503),
        ..saying(&servers.tokens)
    });
    let answer = tenant.try_chat(&Chat::new("What does the lamp cost?")).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(!answer.header("retry-after").is_empty());
    let entries = servers.host.entries("acme").await;
    let entry = entries.last().unwrap();
    assert_eq!(
        (&entry["prompt_tokens"], &entry["completion_tokens"]),
        (&json!(0), &json!(0))
    );
}
