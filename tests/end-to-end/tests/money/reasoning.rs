//! A reasoning model: who reads what it thinks, and that it is billed either way. Not here: what is reasoning (`engine`).

use crate::{
    engine::{MODEL, REASONING},
    script::{Engine, Guest, Script},
    server::{Plan, Server},
};
use bytes::Bytes;
use futures::StreamExt;
use riad_core::{
    PluginName,
    pipeline::Pipeline,
    plugin::{Stage, StageChoice},
    policy::Budget,
};
use riad_services::chat::{ChatEvent, ChatMessage, ChatRequest};
use serde_json::json;

const PAYER: (usize, usize) = (0, 0);
const TOKENS: u32 = 9;
const CHOICES: u32 = 2;

/// What a chat showed: texts of reasoning and of the answer, the tokens of reasoning, and the billed tokens of the completion.
async fn ask(server: &Server, max_tokens: u32) -> (String, String, Option<u64>, u64) {
    let script = Script {
        payer: PAYER,
        prompt: 11,
        tokens: TOKENS,
        engine: Engine::Ends,
        guest: Guest::Works,
    };
    let request = ChatRequest {
        model: MODEL.to_owned(),
        messages: vec![ChatMessage {
            role: "user".into(),
            content: Some(script.write()),
            ..ChatMessage::default()
        }],
        n: Some(CHOICES),
        max_tokens: Some(max_tokens),
        ..ChatRequest::default()
    };
    let mut stream = server.services.chat().start(server.pass(PAYER), request).await.unwrap();
    let (mut reasoning, mut content) = (String::new(), String::new());
    loop {
        match stream.next().await.unwrap().unwrap() {
            ChatEvent::Reasoning { text, .. } => reasoning += &text,
            ChatEvent::Text { text, .. } => content += &text,
            ChatEvent::ToolCall { .. } | ChatEvent::ChoiceEnd { .. } => {}
            ChatEvent::End { receipt, usage, .. } => {
                let billed = receipt.receipt.used.completion_tokens;
                return (reasoning, content, usage.reasoning_tokens, billed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_filters_answers_hides_the_reasoning() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        policy: json!({}),
        keys: vec![Budget::default()],
    };
    let (server, _) = Server::found(folder.path(), &[plan]).await;
    let (services, pass) = (&server.services, server.pass(PAYER));
    let name: PluginName = "desk".parse().unwrap();
    let component = Bytes::from_static(b"a tenant's own");
    let version = services.plugins().put(pass, &name, component).await.unwrap().version;

    let count = u64::from(REASONING * CHOICES);
    let thoughts = "thought ".repeat((REASONING * CHOICES) as usize);
    let pieces = "piece ".repeat(((TOKENS - REASONING) * CHOICES) as usize);
    for (stages, shown) in [
        (vec![], thoughts.as_str()),
        (vec![Stage::Retrieval, Stage::Prompting], &thoughts),
        (vec![Stage::Postprocessing], ""),
    ] {
        let own = StageChoice::Plugin {
            name: name.clone(),
            version,
        };
        let pipeline = Pipeline {
            stages: stages.iter().map(|stage| (*stage, own.clone())).collect(),
            ..Pipeline::default()
        };
        services.pipeline().put(pass, &pipeline).await.unwrap();
        let billed = u64::from(TOKENS * CHOICES);
        let expected = (shown.to_owned(), pieces.clone(), Some(count), billed);
        assert_eq!(ask(&server, 30).await, expected, "{stages:?}");
        // Cut off inside of the reasoning.
        let billed = u64::from(CHOICES);
        let expected = (shown[..shown.len() / REASONING as usize].to_owned(), String::new());
        let (reasoning, content, count, used) = ask(&server, 1).await;
        assert_eq!((reasoning, content), expected, "{stages:?}");
        assert_eq!((count, used), (Some(billed), billed));
    }
    server.close().await;
}
