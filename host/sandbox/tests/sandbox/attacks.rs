//! One attack after the other on every function that the host calls: each ends with the error kind and the words that name it, and its
//! instance is free again. The attacks are put into `attacker.wat`. Not here: attacks by whole guests, and their neighbors (`hostile`).

use crate::{
    guests::{Component, of, plan_of, plugin, text, with_tools},
    host::{Host, answer, request, soon},
    room::Room,
};
use riad_core::{
    Error, ErrorKind, Limits, Result,
    chat::FinishReason,
    plugin::{Prompt, Stage},
    ports::{LogLevel, PipelinePlan, PipelineRun, Sandbox},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

const WAT: &str = include_str!("attacker.wat");
const LOOP: &str = "(loop $again (br $again))";

/// A function of `attacker.wat`, and the stage that errors in it name.
const FUNCTIONS: [(&str, Stage); 8] = [
    ("retrieve", Stage::Retrieval),
    ("build-prompt", Stage::Prompting),
    ("open", Stage::Postprocessing),
    ("push", Stage::Postprocessing),
    ("finish", Stage::Postprocessing),
    ("drop", Stage::Postprocessing),
    ("offer", Stage::Tools),
    ("call", Stage::Tools),
];

pub fn attacker(attacks: &[(&str, &str)]) -> Component {
    let mut wat = WAT.to_owned();
    for (function, attack) in attacks {
        let mark = format!("(; {function} ;)");
        assert!(wat.contains(&mark), "there is no {function}");
        wat = wat.replace(&mark, attack);
    }
    text(&wat)
}

/// The attacker for all stages.
pub fn plan(component: &Component) -> PipelinePlan {
    let mut plan = with_tools(component);
    for planned in plan.stages.values_mut() {
        *planned = component.planned();
    }
    plan
}

pub fn prompt() -> Prompt {
    Prompt {
        messages: request("Hello").messages,
        passages: Vec::new(),
    }
}

/// Opens a filter, pushes and finishes.
async fn filter(run: &dyn PipelineRun) -> Result<String> {
    let filter = run.open_filter(&request("Hello"), &prompt()).await?;
    let pushed = run.push(filter, "one").await?;
    Ok(pushed + &run.finish(filter, FinishReason::Stop).await?.text)
}

/// Calls one function of a stage.
async fn call(run: &dyn PipelineRun, function: &str) -> Result<()> {
    match function {
        "retrieve" => run.retrieve(&request("Hello")).await.map(drop),
        "build-prompt" => run.build_prompt(&request("Hello"), &[]).await.map(drop),
        "offer" => run.offer_tools().await.map(drop),
        "call" => run.call_tool("find", "{}").await.map(drop),
        _ => filter(run).await.map(drop),
    }
}

/// Runs the attacks in a function, to the error.
pub async fn attack(change: impl FnOnce(&mut Limits), function: &str, attack: &str) -> Error {
    attack_with(change, function, &[(function, attack)]).await
}

async fn attack_with(change: impl FnOnce(&mut Limits), function: &str, attacks: &[(&str, &str)]) -> Error {
    let host = Host::with(change);
    let run = host.start(&plan(&attacker(attacks)), &Room::empty()).await;
    let error = soon(call(&*run, function)).await.unwrap_err();
    drop(run);
    assert_eq!(host.busy(), 0);
    error
}

pub fn is(error: &Error, kind: ErrorKind, stage: Stage, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error
            .message()
            .starts_with(&format!("the {stage} stage of plugin sha256:")),
        "{error}"
    );
    assert!(error.message().contains(words), "{words}: {error}");
}

#[tokio::test]
async fn without_an_attack_every_stage_answers() {
    let host = Host::new();
    let run = host.start(&plan(&attacker(&[])), &Room::empty()).await;
    for (function, _) in FUNCTIONS {
        call(&*run, function).await.unwrap();
    }
}

#[tokio::test]
async fn a_loop_in_any_function_ends_with_its_time() {
    for (function, stage) in FUNCTIONS {
        let change = |limits: &mut Limits| {
            limits.guest_ms = 50;
            limits.guest_fuel = crate::host::PLENTY;
        };
        let error = attack(change, function, LOOP).await;
        is(
            &error,
            ErrorKind::PluginLimit,
            stage,
            "took more than 50 ms of guest time",
        );
    }
}

#[tokio::test]
async fn a_loop_in_any_function_ends_with_its_fuel() {
    for (function, stage) in FUNCTIONS {
        let change = |limits: &mut Limits| {
            limits.guest_ms = 600_000;
            limits.guest_fuel = 2_000_000;
        };
        let error = attack(change, function, LOOP).await;
        is(&error, ErrorKind::PluginLimit, stage, "used more than 2000000 fuel");
    }
}

#[tokio::test]
async fn unreachable_in_any_function_is_the_plugins_failure() {
    for (function, stage) in FUNCTIONS {
        let error = attack(|_| (), function, "unreachable").await;
        is(&error, ErrorKind::PluginFailed, stage, "trapped: ");
    }
}

#[tokio::test]
async fn a_loop_at_the_start_or_while_memory_is_asked_for_ends() {
    let change = |limits: &mut Limits| {
        limits.guest_ms = 50;
        limits.guest_fuel = crate::host::PLENTY;
    };
    let error = attack_with(change, "call", &[("realloc", LOOP)]).await;
    is(&error, ErrorKind::PluginLimit, Stage::Tools, "took more than 50 ms");

    let host = Host::with(change);
    let plan = plan(&attacker(&[("start", LOOP)]));
    let error = soon(host.sandbox.start(&plan, Room::empty().capabilities()))
        .await
        .err()
        .unwrap();
    is(&error, ErrorKind::PluginLimit, Stage::Retrieval, "took more than 50 ms");
}

#[tokio::test]
async fn a_table_grows_to_its_limit_and_no_further() {
    let grow = |elements: u32| {
        format!(
            "(if (i32.eq (table.grow $table (ref.null func) (i32.const {elements})) (i32.const -1)) (then unreachable))"
        )
    };
    let host = Host::new();
    let run = host
        .start(&plan(&attacker(&[("retrieve", &grow(39_999))])), &Room::empty())
        .await;
    run.retrieve(&request("Hello")).await.unwrap();
    // Each element costs fuel, so that a giant step ends before it is taken.
    for (elements, words) in [(40_000, "of memory"), (u32::MAX, "fuel")] {
        let error = attack(|_| (), "retrieve", &grow(elements)).await;
        is(&error, ErrorKind::PluginLimit, Stage::Retrieval, words);
    }
}

#[tokio::test]
async fn memory_that_is_taken_bit_by_bit_ends_too() {
    let attack_with_pages =
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let error = attack(|limits| limits.guest_memory_bytes = 4 << 20, "push", attack_with_pages).await;
    is(
        &error,
        ErrorKind::PluginLimit,
        Stage::Postprocessing,
        "used more than 4 MiB of memory",
    );
}

#[tokio::test]
async fn a_flood_of_host_calls_ends_the_request() {
    let flood = "(loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 1)) (br $again))";
    let error = attack(|limits| limits.guest_host_calls = 100, "call", flood).await;
    is(
        &error,
        ErrorKind::PluginLimit,
        Stage::Tools,
        "made more than 100 host calls",
    );
}

#[tokio::test]
async fn a_flood_of_log_lines_leaves_a_bounded_log() {
    let flood = "(local $left i32) (local.set $left (i32.const 90)) (loop $again
        (call $log (i32.const 1) (i32.const 4096) (i32.const 1000))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";
    let host = Host::with(|limits| limits.guest_log_bytes = 10_000);
    let room = Room::empty();
    let run = host.start(&plan(&attacker(&[("retrieve", flood)])), &room).await;
    run.retrieve(&request("Hello")).await.unwrap();
    let log = room.log();
    assert_eq!(log.len(), 11, "ten lines, and one that says that there are no more");
    assert!(matches!(&log[10], (LogLevel::Warn, text) if text.contains("guest_log_bytes")));
}

#[tokio::test]
async fn handles_are_not_made_without_end() {
    let flood = "(loop $again (drop (call $new-filter (i32.const 1))) (br $again))";
    let error = attack(|_| (), "retrieve", flood).await;
    assert!(
        matches!(error.kind(), ErrorKind::PluginFailed | ErrorKind::PluginLimit),
        "{error}"
    );
    assert!(
        !error.message().contains("guest time") && !error.message().contains("fuel"),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_in_memory_outlives_a_request() {
    // Counts in memory and in the last page; an instance that was used before would count on.
    let count = "(i32.store8 (i32.const 200000) (i32.add (i32.load8_u (i32.const 200000)) (i32.const 1)))
        (i32.store8 (i32.const 4096) (i32.add (i32.const 48) (i32.load8_u (i32.const 200000))))
        (i32.store (i32.const 1028) (i32.const 4096)) (i32.store (i32.const 1032) (i32.const 1))";
    let host = Host::with(|limits| limits.guest_instances = 1);
    let plan = plan(&attacker(&[("push", count)]));
    for _ in 0..5 {
        let run = host.start(&plan, &Room::empty()).await;
        let filter = run.open_filter(&request("Hello"), &prompt()).await.unwrap();
        assert_eq!(run.push(filter, "x").await.unwrap(), "1");
        assert_eq!(run.push(filter, "x").await.unwrap(), "2");
    }
}

/// Every attack of time, fuel and memory in every function, one after the other, beside a neighbor that streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbor_streams_beside_all_attacks() {
    let host = Arc::new(Host::with(|limits| {
        limits.guest_ms = 50;
        limits.guest_fuel = 50_000_000;
    }));
    let memory = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let mut attacks = Vec::new();
    for (function, _) in FUNCTIONS {
        for attack in [LOOP, memory, "unreachable"] {
            let component = attacker(&[(function, attack)]);
            // Compiled before the neighbor begins.
            host.sandbox.compile(None, component.bytes.clone()).await.unwrap();
            attacks.push((function, of(2, &plan(&component))));
        }
    }
    let standard = plan_of(&plugin("standard"));
    let output = ["The code ", "is 4711", ". [1]"];
    let question = request("What is the code of the vault?");
    let stream = async || {
        let room = Room::with(&[("Vault", "The code of the vault is 4711.")]);
        let run = host.start(&standard, &room).await;
        soon(answer(&*run, &question, &output)).await.unwrap()
    };
    let alone = stream().await;
    let (attacking, stop) = (Arc::clone(&host), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let attacker = tokio::spawn(async move {
        let mut rounds = 0;
        while rounds == 0 || !stopped.load(Ordering::Relaxed) {
            for (function, plan) in &attacks {
                let run = attacking.start(plan, &Room::empty()).await;
                let error = soon(call(&*run, function)).await.unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::PluginLimit | ErrorKind::PluginFailed),
                    "{error}"
                );
            }
            rounds += 1;
        }
    });
    for _ in 0..20 {
        assert_eq!(stream().await, alone);
    }
    stop.store(true, Ordering::Relaxed);
    soon(attacker).await.unwrap();
    assert_eq!(host.busy(), 0);
}
