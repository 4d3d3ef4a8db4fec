//! Money, as a whole: the services over the real store, an engine and guests that do what a script says, and clients that leave when
//! they like. However requests end, in whatever mix, and when the process is killed: the ledger verifies, budgets hold, and every token is
//! billed to whom it was made for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

mod canary;
mod checks;
mod engine;
mod folder;
mod guests;
mod ops;
mod outcomes;
mod reasoning;
mod script;
mod server;
mod tool_rounds;

use checks::{bounded, budgets_hold, closes, entries, exact, quiet, usage_is_a_recount};
use folder::copy_as_killed;
use futures::future::join_all;
use ops::{Ask, Client, Op, Receipts, play};
use proptest::{collection::vec, option, prelude::*};
use riad_core::{ledger::Outcome, policy::Budget};
use script::{Engine, Guest, Script};
use serde_json::json;
use server::{Plan, Server};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{runtime::Runtime, time::sleep};

const TENANTS: usize = 3;
const KEYS: usize = 2;

fn budget() -> impl Strategy<Value = Budget> {
    let limit = |most: u64| option::weighted(0.2, 0..most);
    (limit(3000), limit(3000), limit(60_000), limit(60_000)).prop_map(
        |(daily_tokens, total_tokens, daily_micros, total_micros)| Budget {
            daily_tokens,
            total_tokens,
            daily_micros,
            total_micros,
            webhook: Some("http://127.0.0.1:9/budget".into()),
            thresholds: vec![50, 100],
            ..Budget::default()
        },
    )
}

fn plan() -> impl Strategy<Value = Plan> {
    let limit = |least: u32, most: u32| option::weighted(0.2, least..most);
    let limits = (limit(1, 20), limit(50, 5000), limit(1, 4), limit(20, 200), limit(1, 40));
    (budget(), limits, vec(budget(), KEYS)).prop_map(|(budget, limits, keys)| Plan {
        policy: json!({
            "budget": budget,
            "limits": {
                "requests_per_minute": limits.0,
                "tokens_per_minute": limits.1,
                "concurrent_requests": limits.2,
                "context_tokens": limits.3,
                "completion_tokens": limits.4,
            },
        }),
        keys,
    })
}

fn guest() -> impl Strategy<Value = Guest> {
    prop_oneof![
        6 => Just(Guest::Works),
        1 => Just(Guest::TrapsInRetrieve),
        1 => Just(Guest::TrapsInPrompt),
        1 => (1..20_u32).prop_map(Guest::TrapsInPush),
        1 => Just(Guest::TrapsInFinish),
        2 => (1..50_u32).prop_map(Guest::Embeds),
        2 => Just(Guest::Searches),
    ]
}

fn engine() -> impl Strategy<Value = Engine> {
    prop_oneof![
        7 => Just(Engine::Ends),
        1 => Just(Engine::Fails),
        1 => Just(Engine::Hangs),
        1 => Just(Engine::Refuses),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let payer = (0..TENANTS, 0..KEYS);
    let chat = (
        (payer.clone(), 1..100_u32, 0..60_u32, engine(), guest()),
        1..4_u32,
        option::of(1..60_u32),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |((payer, prompt, tokens, engine, guest), choices, max_tokens, adapter, flex)| {
                let script = Script {
                    payer,
                    prompt,
                    tokens,
                    engine,
                    guest,
                };
                let ask = Ask::Chat {
                    script,
                    choices,
                    max_tokens,
                    adapter,
                    flex,
                };
                (payer, ask)
            },
        );
    let ask = prop_oneof![
        6 => chat,
        1 => (payer.clone(), 1..100_u32, prop::bool::weighted(0.2))
            .prop_map(|(payer, words, poisoned)| (payer, Ask::Embed { words, poisoned })),
        1 => (payer.clone(), 1..600_u32).prop_map(|(payer, words)| (payer, Ask::Document { words })),
        1 => payer.prop_map(|payer| (payer, Ask::Search)),
    ];
    let client = prop_oneof![
        4 => Just(Client::Stays),
        1 => (0..30_u32).prop_map(Client::HangsUpAfter),
        1 => (0..60_u64).prop_map(|ms| Client::HangsUpAt(Duration::from_millis(ms))),
    ];
    (ask, client, 0..60_u64).prop_map(|((payer, ask), client, wait)| Op {
        payer,
        ask,
        client,
        wait: Duration::from_millis(wait),
    })
}

async fn play_all(server: &Arc<Server>, ops: &[Op], receipts: &Receipts) {
    let playing = ops.iter().map(|op| {
        let (server, op, receipts) = (Arc::clone(server), *op, Arc::clone(receipts));
        tokio::spawn(async move { play(&server, op, &receipts).await })
    });
    for played in join_all(playing).await {
        // Errors are outcomes; panics are not.
        let _ = played.unwrap();
    }
}

fn receipts_are_in(receipts: &Receipts, entries: &[riad_core::ledger::Entry]) {
    let kept: HashMap<&str, &str> = entries
        .iter()
        .map(|entry| (entry.request.as_str(), entry.receipt.as_str()))
        .collect();
    for signed in receipts.lock().iter() {
        assert_eq!(kept.get(signed.receipt.request.as_str()), Some(&signed.jws.as_str()));
    }
}

/// A threshold is notified once per window, and every window outlives the test.
fn notices_come_once(server: &Server) {
    let mut notices = server.recorder.notices.lock().clone();
    let all = notices.len();
    notices.sort_by_key(|notice| format!("{notice:?}"));
    notices.dedup_by_key(|notice| {
        (
            notice.tenant.clone(),
            notice.key.clone(),
            notice.budget,
            notice.threshold,
            notice.window,
        )
    });
    assert_eq!(notices.len(), all);
}

async fn without_kill(plans: &[Plan], ops: &[Op]) {
    let folder = tempfile::tempdir().unwrap();
    let (server, secrets) = Server::found(folder.path(), plans).await;
    let server = Arc::new(server);
    let receipts = Receipts::default();
    play_all(&server, ops, &receipts).await;
    exact(&server, 0).await;
    let all = entries(&server).await;
    assert!(all.iter().all(|entry| entry.outcome != Outcome::Abandoned));
    budgets_hold(&server, plans, &all);
    usage_is_a_recount(&server, &all).await;
    receipts_are_in(&receipts, &all);
    notices_come_once(&server);
    Arc::into_inner(server).unwrap().close().await;

    let server = Server::open(folder.path(), &secrets).await;
    let verification = closes(&server).await;
    let runs: Vec<_> = verification
        .runs
        .iter()
        .map(|run| run.engine == Some(run.ledger))
        .collect();
    assert_eq!(runs[..runs.len() - 1], vec![true; runs.len() - 1], "{verification:?}");
    server.close().await;
}

async fn with_kill(plans: &[Plan], ops: &[Op], after: Duration, later: &[Op]) {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, secrets) = Server::found(folder.path(), plans).await;
    let server = Arc::new(server);
    let receipts = Receipts::default();
    let playing = {
        let (server, ops, receipts) = (Arc::clone(&server), ops.to_vec(), Arc::clone(&receipts));
        tokio::spawn(async move { play_all(&server, &ops, &receipts).await })
    };
    sleep(after).await;
    let done: HashMap<_, _> = server
        .payers()
        .into_values()
        .map(|payer| (payer, server.truth.of(payer)))
        .collect();
    let answered = Receipts::new(parking_lot::Mutex::new(receipts.lock().clone()));
    let (from, to) = (folder.path().to_owned(), copy.path().to_owned());
    tokio::task::spawn_blocking(move || copy_as_killed(&from, &to))
        .await
        .unwrap();
    // What the first server does from here on happens in another world.
    playing.await.unwrap();
    quiet(&server).await;
    exact(&server, 0).await;
    let truth = server.truth.clone();
    Arc::into_inner(server).unwrap().discard().await;

    let server = Arc::new(Server::open(copy.path(), &secrets).await);
    let verification = closes(&server).await;
    let left = entries(&server).await;
    receipts_are_in(&answered, &left);
    bounded(&server, &left, &done, &truth);
    budgets_hold(&server, plans, &left);
    usage_is_a_recount(&server, &left).await;
    let abandoned: Vec<_> = left
        .iter()
        .filter(|entry| entry.outcome == Outcome::Abandoned)
        .collect();
    let reported: u64 = verification.runs.iter().map(|run| run.abandoned_tokens).sum();
    let held: u64 = abandoned.iter().map(|entry| entry.at_most.unwrap().tokens()).sum();
    assert_eq!(reported, held, "the drift that a kill may leave is stated");

    // It goes on as if nothing had been.
    let receipts = Receipts::default();
    play_all(&server, later, &receipts).await;
    exact(&server, left.len()).await;
    let all = entries(&server).await;
    assert_eq!(all[..left.len()], left);
    budgets_hold(&server, plans, &all);
    usage_is_a_recount(&server, &all).await;
    receipts_are_in(&receipts, &all);
    Arc::into_inner(server).unwrap().close().await;
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        // A case that fails is written to the test's output; no files are left in the tree.
        failure_persistence: None,
        max_shrink_iters: 10,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn whatever_requests_do_they_are_billed_to_the_token(
        plans in vec(plan(), TENANTS),
        ops in vec(op(), 1..50),
    ) {
        runtime().block_on(without_kill(&plans, &ops));
    }

    #[test]
    fn a_kill_at_any_time_loses_no_entry_and_leaves_a_bounded_drift(
        plans in vec(plan(), TENANTS),
        ops in vec(op(), 1..40),
        after in 0..120_u64,
        later in vec(op(), 1..10),
    ) {
        runtime().block_on(with_kill(&plans, &ops, Duration::from_millis(after), &later));
    }
}
