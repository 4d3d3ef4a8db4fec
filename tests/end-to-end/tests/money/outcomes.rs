//! Each way in which a request can end, one by one: what its entry says, and that telemetry records the same.
//! Not here: mixes of them (`main`).

use crate::{
    checks::{closes, entries, exact},
    engine::{MODEL, SEQUENCES},
    ops::{Ask, Client, Op, Receipts, play},
    script::{Engine, Guest, Script},
    server::{Plan, Server},
};
use bytes::Bytes;
use futures::future::join_all;
use riad_core::{
    ErrorKind, Limits,
    adapter::AdapterFiles,
    ledger::{Entry, Kind, Outcome},
    policy::Budget,
    price::Usage,
};
use riad_services::{
    accrual,
    chat::{ChatMessage, ChatRequest},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const PAYER: (usize, usize) = (0, 0);

const SCRIPT: Script = Script {
    payer: PAYER,
    prompt: 11,
    tokens: 9,
    engine: Engine::Ends,
    guest: Guest::Works,
};

fn chat(script: Script) -> Op {
    op(Ask::Chat {
        script,
        choices: 1,
        max_tokens: None,
        adapter: false,
        flex: false,
    })
}

fn op(ask: Ask) -> Op {
    Op {
        payer: PAYER,
        ask,
        client: Client::Stays,
        wait: Duration::ZERO,
    }
}

fn plain() -> Plan {
    Plan {
        policy: json!({}),
        keys: vec![Budget::default()],
    }
}

/// The only new entry after an op, if there is one.
async fn entry_of(server: &Server, op: Op) -> (Option<Entry>, Option<ErrorKind>) {
    let before = entries(server).await.len();
    let result = play(server, op, &Receipts::default()).await;
    exact(server, 0).await;
    let mut new = entries(server).await.split_off(before);
    assert!(new.len() <= 1, "{new:?}");
    (new.pop(), result.err().map(|error| error.kind()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_of_a_request_is_billed_what_was_done_until_then() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = Server::found(folder.path(), &[plain()]).await;
    let tokens = |prompt, completion, embedded| (prompt, completion, embedded);
    let script = |engine, guest| Script {
        engine,
        guest,
        ..SCRIPT
    };
    let works = |engine| script(engine, Guest::Works);
    let ends = |guest| script(Engine::Ends, guest);
    let leaves = |client, script| Op { client, ..chat(script) };
    let cases = [
        ("stop", chat(SCRIPT), None, Outcome::Completed, tokens(11, 9, 0)),
        (
            "length",
            op(Ask::Chat {
                script: SCRIPT,
                choices: 2,
                max_tokens: Some(4),
                adapter: true,
                flex: true,
            }),
            None,
            Outcome::Completed,
            tokens(22, 8, 0),
        ),
        (
            "the engine fails",
            chat(works(Engine::Fails)),
            Some(ErrorKind::Internal),
            Outcome::EngineFailed,
            tokens(11, 9, 0),
        ),
        (
            "the engine refuses",
            chat(works(Engine::Refuses)),
            Some(ErrorKind::Unavailable),
            Outcome::EngineFailed,
            tokens(0, 0, 0),
        ),
        (
            // The engine finishes the token that it is working on when it is cancelled.
            "the deadline passes",
            chat(works(Engine::Hangs)),
            Some(ErrorKind::Timeout),
            Outcome::TimedOut,
            tokens(11, 10, 0),
        ),
        (
            "the client leaves a stream",
            leaves(Client::HangsUpAfter(9), works(Engine::Hangs)),
            Some(ErrorKind::Cancelled),
            Outcome::Cancelled,
            tokens(11, 10, 0),
        ),
        (
            "a guest traps before the engine is asked",
            chat(ends(Guest::TrapsInPrompt)),
            Some(ErrorKind::PluginFailed),
            Outcome::PluginFailed,
            tokens(0, 0, 0),
        ),
        (
            "a guest traps at the end",
            chat(ends(Guest::TrapsInFinish)),
            Some(ErrorKind::PluginFailed),
            Outcome::PluginFailed,
            tokens(11, 9, 0),
        ),
        (
            "a guest embeds",
            chat(ends(Guest::Embeds(6))),
            None,
            Outcome::Completed,
            tokens(11, 9, 7),
        ),
        (
            "a prompt is too long",
            chat(Script { prompt: 400, ..SCRIPT }),
            Some(ErrorKind::ContextTooLong),
            Outcome::Refused,
            tokens(0, 0, 0),
        ),
        (
            "an embedding",
            op(Ask::Embed {
                words: 5,
                poisoned: false,
            }),
            None,
            Outcome::Completed,
            tokens(0, 0, 8),
        ),
        (
            "the embedder fails",
            op(Ask::Embed {
                words: 5,
                poisoned: true,
            }),
            Some(ErrorKind::Internal),
            Outcome::EngineFailed,
            tokens(0, 0, 0),
        ),
        ("a search", op(Ask::Search), None, Outcome::Completed, tokens(0, 0, 5)),
        (
            // 20 words in one chunk, and its title.
            "a document",
            op(Ask::Document { words: 20 }),
            None,
            Outcome::Completed,
            tokens(0, 0, 21),
        ),
    ];
    for (name, op, expected_error, outcome, billed) in cases {
        let (entry, error) = entry_of(&server, op).await;
        assert_eq!(error, expected_error, "{name}");
        let entry = entry.unwrap_or_else(|| panic!("{name} left no entry"));
        let used = entry.used;
        assert_eq!(entry.outcome, outcome, "{name}");
        assert_eq!(
            (used.prompt_tokens, used.completion_tokens, used.embedded_tokens),
            billed,
            "{name}"
        );
        // A third of each prompt, as the scripted engine has it.
        let prompts = used.prompt_tokens / u64::from(SCRIPT.prompt);
        assert_eq!(used.cached_tokens, u64::from(SCRIPT.prompt / 3) * prompts, "{name}");
        let is_chat = matches!(op.ask, Ask::Chat { .. });
        let has_guests = is_chat || matches!(op.ask, Ask::Document { .. });
        assert_eq!(used.fuel > 0, has_guests, "{name}");
        assert_eq!(used.requests, u64::from(used.tokens() > 0), "{name}");
        let seen = server.recorder.seen.lock().last().cloned().unwrap();
        assert_eq!(
            (seen.outcome, seen.used, seen.kind),
            (outcome, used, entry.purpose.kind)
        );
        if outcome == Outcome::Completed && is_chat {
            assert!(seen.first_token.is_some() && seen.queued.is_some() && seen.per_token.is_some());
            assert!(seen.plugin > Duration::ZERO && seen.first_token.unwrap() <= seen.duration);
            assert_eq!(entry.purpose.plugin, "standard");
        }
    }
    // What is refused before anything worked for it leaves no entry.
    let before = entries(&server).await.len();
    let request = ChatRequest {
        model: format!("{MODEL}:nobodys"),
        messages: vec![ChatMessage {
            role: "user".into(),
            content: Some(SCRIPT.write()),
            ..ChatMessage::default()
        }],
        ..ChatRequest::default()
    };
    let refused = server.services.chat().start(server.pass(PAYER), request).await;
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::ModelNotFound);
    exact(&server, 0).await;
    assert_eq!(entries(&server).await.len(), before);
    assert_eq!(server.recorder.seen.lock().last().unwrap().outcome, Outcome::Refused);
    closes(&server).await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_chats_at_once_spend_exactly_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    // Prompt and completion of a request are 20 tokens: 9 of them and 19 tokens over.
    let plan = Plan {
        policy: json!({"budget": {"daily_tokens": 199}}),
        keys: vec![Budget::default(), Budget::default()],
    };
    // Long enough for all of them on any machine.
    let limits = Limits {
        queue: 1000,
        ..Limits::default()
    };
    let (server, _) = Server::found_with(folder.path(), &[plan], limits).await;
    let server = Arc::new(server);
    let receipts = Receipts::default();
    let asked = (0..1000_usize).map(|number| {
        let payer = (0, number % 2);
        let chat = op(Ask::Chat {
            script: Script { payer, ..SCRIPT },
            choices: 1,
            max_tokens: Some(9),
            adapter: false,
            flex: false,
        });
        let op = Op { payer, ..chat };
        let (server, receipts) = (Arc::clone(&server), Arc::clone(&receipts));
        tokio::spawn(async move { play(&server, op, &receipts).await })
    });
    let answers: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    let kinds = |kind| {
        let failed = answers.iter().filter_map(|answer| answer.as_ref().err());
        failed.filter(|error| error.kind() == kind).count()
    };
    exact(&server, 0).await;
    let billed: u64 = entries(&server).await.iter().map(|entry| entry.used.tokens()).sum();
    assert_eq!((receipts.lock().len(), billed), (9, 180));
    assert_eq!(kinds(ErrorKind::QuotaExceeded), 991);
    let refused = answers.iter().find_map(|answer| answer.as_ref().err()).unwrap();
    assert!(refused.message().contains("daily_tokens"), "{refused}");
    assert!(refused.retry_after().is_some());
    Arc::into_inner(server).unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_over_the_budget_is_refused_before_embedding() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        policy: json!({"budget": {"total_tokens": 60_000}}),
        keys: vec![Budget::default()],
    };
    let (server, _) = Server::found(folder.path(), &[plan]).await;
    // Some hundred chunks, in more than one batch: the first alone would have room.
    let (entry, error) = entry_of(&server, op(Ask::Document { words: 55_000 })).await;
    assert_eq!(error, Some(ErrorKind::QuotaExceeded));
    // Its chunks have been cut by then.
    let entry = entry.unwrap();
    assert_eq!(entry.outcome, Outcome::Refused);
    let fuel = entry.used.fuel;
    assert!(fuel > 0);
    let cut = Usage {
        requests: 1,
        fuel,
        ..Usage::default()
    };
    assert_eq!(entry.used, cut);
    let list = server
        .services
        .documents()
        .list(server.pass(PAYER), 10, None)
        .await
        .unwrap();
    assert!(list.documents.is_empty());
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_document_is_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = Server::found(folder.path(), &[plain()]).await;
    let (entry, error) = entry_of(&server, op(Ask::Document { words: 60_000 })).await;
    assert_eq!(error, None);
    let entry = entry.unwrap();
    assert_eq!((entry.purpose.kind, entry.used.requests), (Kind::Document, 1));
    assert!(entry.used.embedded_tokens > 60_000);
    assert_eq!(
        entry.used,
        Usage {
            requests: 1,
            embedded_tokens: entry.used.embedded_tokens,
            fuel: entry.used.fuel,
            ..Usage::default()
        }
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_and_adapters_are_billed_by_the_hour_and_to_no_key() {
    const EVERY: Duration = Duration::from_millis(20);
    /// So many that a millisecond costs a thousand byte-hours.
    const ADAPTERS: u64 = 3_600_000_000;
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = Server::found(folder.path(), &[plain(), plain()]).await;
    server.engine.hold(server.pass(PAYER).account(), ADAPTERS);
    let begun = Instant::now();
    let accruing = tokio::spawn(accrual::run(server.services.clone(), EVERY));
    let sum = |entries: &[Entry], tenant: usize, kind| {
        let account = server.pass((tenant, 0)).account();
        let own = entries
            .iter()
            .filter(|entry| (entry.account, entry.purpose.kind) == (account, kind));
        own.fold(Usage::default(), |sum, entry| sum.plus(&entry.used))
    };
    let all = loop {
        sleep(EVERY).await;
        let all = entries(&server).await;
        let residency = all.iter().filter(|entry| entry.purpose.kind == Kind::Residency);
        if residency.count() >= 3 && sum(&all, 1, Kind::Storage).stored_byte_hours > 0 {
            break all;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{all:?}");
    };
    let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap();
    accruing.abort();
    let adapters = sum(&all, 0, Kind::Residency).adapter_byte_hours;
    assert!(
        adapters >= 3000 && adapters <= elapsed * 1000,
        "{adapters} in {elapsed} ms"
    );
    assert_eq!(sum(&all, 1, Kind::Residency), Usage::default());
    assert!(all.iter().all(|entry| entry.key.is_none() && entry.used.tokens() == 0));
    assert!(all.iter().all(|entry| entry.outcome == Outcome::Completed));
    closes(&server).await;
    // An entry may be on its way still.
    let _ = accruing.await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_forgets_tenants_deleted_or_without_prefix_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = Server::found(folder.path(), &[plain(), plain()]).await;
    let accounts = [0, 1].map(|tenant| server.pass((tenant, 0)).account());
    let (tenants, ids) = (
        server.services.tenants(),
        ["tenant-0", "tenant-1"].map(|id| id.parse().unwrap()),
    );
    for (patch, forgotten) in [
        (json!({"weight": 2}), 0),
        (json!({"prefix_cache": false}), 1),
        // It was off before.
        (json!({"prefix_cache": false, "weight": 3}), 1),
        (json!({"prefix_cache": true}), 1),
    ] {
        tenants.change(&server.operator, &ids[0], None, &patch).await.unwrap();
        assert_eq!(server.engine.forgotten(), &accounts[..1][..forgotten], "{patch}");
    }
    tenants.delete(&server.operator, &ids[1]).await.unwrap();
    assert_eq!(server.engine.forgotten(), accounts);
    server.close().await;
}

/// A chat with the tenant's adapter.
fn adapted(payer: (usize, usize)) -> Op {
    Op {
        payer,
        ask: Ask::Chat {
            script: Script { payer, ..SCRIPT },
            choices: 1,
            max_tokens: None,
            adapter: true,
            flex: false,
        },
        client: Client::Stays,
        wait: Duration::ZERO,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_loads_slowly_holds_nobodys_place() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        request_ms: 120_000,
        queue_ms: 120_000,
        ..Limits::default()
    };
    let (server, _) = Server::found_with(folder.path(), &[plain(), plain()], limits).await;
    let (slow, other) = ((0, 0), (1, 0));
    let loads = server.engine.load_slowly();
    let receipts = Receipts::default();
    // One more than the batch has places. One of them loads, the others wait for the right to do so.
    let asked = (0..=SEQUENCES).map(|_| play(&server, adapted(slow), &receipts));
    let mut waiting = Box::pin(join_all(asked));
    tokio::select! {
        _ = &mut waiting => panic!("an answer without an adapter"),
        begun = loads.begun.acquire() => begun.unwrap().forget(),
    }
    let base = Op {
        payer: other,
        ..chat(Script { payer: other, ..SCRIPT })
    };
    for _ in 0..2 * SEQUENCES {
        tokio::select! {
            _ = &mut waiting => panic!("an answer without an adapter"),
            answered = play(&server, base, &receipts) => answered.unwrap(),
        }
    }
    assert_eq!(loads.begun.available_permits(), 0, "an account loads one at a time");
    // Another account's adapter does not wait for those.
    let mut adapted_too = Box::pin(play(&server, adapted(other), &receipts));
    tokio::select! {
        _ = &mut waiting => panic!("an answer without an adapter"),
        _ = &mut adapted_too => panic!("an answer without an adapter"),
        begun = loads.begun.acquire() => begun.unwrap().forget(),
    }
    // Nor does its load end with its client.
    drop(adapted_too);
    let mut again = Box::pin(play(&server, adapted(other), &receipts));
    tokio::select! {
        _ = &mut waiting => panic!("an answer without an adapter"),
        _ = &mut again => panic!("an answer without an adapter"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    assert_eq!(loads.begun.available_permits(), 0, "the abandoned load has its permit");
    loads.ends.add_permits(SEQUENCES + 3);
    again.as_mut().await.unwrap();
    drop(again);
    for answered in waiting.as_mut().await {
        answered.unwrap();
    }
    drop(waiting);
    assert_eq!(loads.begun.available_permits(), SEQUENCES + 1, "each was loaded once");
    exact(&server, 0).await;
    closes(&server).await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_upload_keeps_its_permit_until_its_check_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = Server::found_with(folder.path(), &[plain()], Limits::default()).await;
    let (begun, end) = server.engine.check_slowly();
    let files = AdapterFiles {
        config: Bytes::from_static(b"{}"),
        weights: Bytes::from_static(b"other weights"),
    };
    let (adapters, pass) = (server.services.adapters(), &server.passes[PAYER.0][PAYER.1]);
    let (alias, permit) = ("abandoned".parse().unwrap(), Arc::new(()));
    {
        let upload = Arc::clone(&permit);
        let mut putting = Box::pin(adapters.put(pass, &alias, &files, upload));
        tokio::select! {
            _ = &mut putting => panic!("an adapter that was not checked"),
            begun = begun => begun.unwrap(),
        }
    }
    assert_eq!(Arc::strong_count(&permit), 2, "a processor still works for it");
    end.send(()).unwrap();
    while Arc::strong_count(&permit) > 1 {
        sleep(Duration::from_millis(1)).await;
    }
    let kept = adapters.list(pass).await.unwrap();
    assert!(
        kept.iter().all(|adapter| adapter.alias != alias),
        "nobody asked for it any more"
    );
    server.close().await;
}
