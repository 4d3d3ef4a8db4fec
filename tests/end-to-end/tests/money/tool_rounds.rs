//! A model that goes on calling a tool of its room: how often it may, how the answer ends, and that every round is billed.
//! Not here: real tools (`wire/room_tools`).

use crate::{
    checks::exact,
    engine::{MODEL, REASONING},
    guests::{HAS_TOOL, TOOL},
    script::{Engine, Guest, Script},
    server::{Plan, Server},
};
use bytes::Bytes;
use futures::StreamExt;
use riad_core::{
    Limits, PluginName,
    chat::FinishReason,
    pipeline::Pipeline,
    plugin::{Stage, StageChoice},
    policy::Budget,
    ports::LogLevel,
    receipt::Receipt,
};
use riad_services::chat::{ChatEvent, ChatMessage, ChatRequest};
use serde_json::json;
use tempfile::TempDir;

const PAYER: (usize, usize) = (0, 0);
const PROMPT: u32 = 11;
/// Of each round.
const TOKENS: u32 = 3;

struct Answer {
    text: String,
    client_calls: usize,
    finish: FinishReason,
    receipt: Receipt,
}

/// A room whose plugin has a tool.
async fn server(tool_rounds: u32) -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        policy: json!({}),
        keys: vec![Budget::default()],
    };
    let limits = Limits {
        tool_rounds,
        ..Limits::default()
    };
    let (server, _) = Server::found_with(folder.path(), &[plan], limits).await;
    let (services, pass) = (&server.services, server.pass(PAYER));
    let name: PluginName = "desk".parse().unwrap();
    let stored = services.plugins().put(pass, &name, Bytes::from_static(HAS_TOOL)).await;
    let choice = StageChoice::Plugin {
        name,
        version: stored.unwrap().version,
    };
    let pipeline = Pipeline {
        stages: [(Stage::Tools, choice)].into(),
        ..Pipeline::default()
    };
    services.pipeline().put(pass, &pipeline).await.unwrap();
    (server, folder)
}

async fn ask(server: &Server, max_tokens: Option<u32>) -> Answer {
    let script = Script {
        payer: PAYER,
        prompt: PROMPT,
        tokens: TOKENS,
        engine: Engine::CallsTool,
        guest: Guest::Works,
    };
    let request = ChatRequest {
        model: MODEL.to_owned(),
        messages: vec![ChatMessage {
            role: "user".into(),
            content: Some(script.write()),
            ..ChatMessage::default()
        }],
        max_tokens,
        ..ChatRequest::default()
    };
    let mut stream = server.services.chat().start(server.pass(PAYER), request).await.unwrap();
    let (mut text, mut client_calls, mut ends) = (String::new(), 0, Vec::new());
    loop {
        match stream.next().await.unwrap().unwrap() {
            ChatEvent::Reasoning { .. } => {}
            ChatEvent::Text { text: piece, .. } => text += &piece,
            ChatEvent::ToolCall { .. } => client_calls += 1,
            ChatEvent::ChoiceEnd { finish, .. } => ends.push(finish),
            ChatEvent::End { receipt, .. } => {
                let [finish] = ends[..] else { panic!("{ends:?}") };
                return Answer {
                    text,
                    client_calls,
                    finish,
                    receipt: receipt.receipt,
                };
            }
        }
    }
}

/// The lines of the room's log of this level that have these words.
async fn lines(server: &Server, level: LogLevel, words: &str) -> usize {
    let lines = server.services.logs().list(server.pass(PAYER)).await.unwrap();
    let found = lines
        .iter()
        .filter(|line| line.level == level && line.message.contains(words));
    found.count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_after_the_last_round_ends_the_answer() {
    for tool_rounds in [1, 3] {
        let (server, _folder) = server(tool_rounds).await;
        let answer = ask(&server, None).await;
        // As text, a call would be in the answer and its end a stop: calls are looked for after the last round, too.
        assert_eq!(answer.finish, FinishReason::Length);
        assert_eq!(answer.client_calls, 0, "the client has no such tool");
        let generations = tool_rounds + 1;
        let pieces = "piece ".repeat(((TOKENS - REASONING) * generations) as usize);
        assert_eq!(answer.text, pieces);

        let run = format!("the model called the tool {TOOL}");
        assert_eq!(
            lines(&server, LogLevel::Info, &run).await,
            tool_rounds as usize,
            "the last call is not run"
        );
        assert_eq!(lines(&server, LogLevel::Warn, "limits.tool_rounds").await, 1);
        let used = answer.receipt.used;
        assert_eq!(used.prompt_tokens, u64::from(PROMPT * generations));
        assert_eq!(used.completion_tokens, u64::from(TOKENS * generations));
        exact(&server, 0).await;
        server.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rounds_have_the_tokens_of_one_answer() {
    let (server, _folder) = server(3).await;
    let most = TOKENS + 1;
    let answer = ask(&server, Some(most)).await;
    assert_eq!(answer.finish, FinishReason::Length);
    assert_eq!(answer.receipt.used.completion_tokens, u64::from(most));
    assert_eq!(
        lines(&server, LogLevel::Warn, "limits.tool_rounds").await,
        0,
        "it was the tokens that ended it"
    );
    exact(&server, 0).await;
    server.close().await;
}
