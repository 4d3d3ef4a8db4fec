//! Guests that misbehave: each ends with a clear error, alone. Not here: the exact bounds (`bounds`), ending a run from
//! outside (`ending`).

use crate::{
    guests::{guest, plan, plan_of, plugin, prompted_by},
    host::{Answer, Host, PLENTY, answer, request, soon},
    room::{Room, SQL_MS},
};
use riad_core::{
    Error, ErrorKind, Limits, Result,
    chat::FinishReason,
    plugin::Prompt,
    ports::{LogLevel, PipelinePlan, Sandbox},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Attackers at the same time.
const ATTACKERS: usize = 3;
/// What a neighbor does meanwhile.
const ROUNDS: usize = 10;

fn hostile(name: &str) -> PipelinePlan {
    prompted_by(&guest(name))
}

/// Runs a hostile guest once, to the error.
async fn attack(host: &Host, plan: &PipelinePlan) -> Error {
    let run = host.start(plan, &Room::empty()).await;
    answer(&*run, &request("Hello"), &["one", "two"]).await.unwrap_err()
}

fn says(error: &Error, kind: ErrorKind, name: &str, stage: &str, words: &str) {
    let expected = format!("the {stage} stage of {} {words}", guest(name).name());
    assert_eq!((error.kind(), error.message()), (kind, expected.as_str()));
}

async fn neighbor(sandbox: &impl Sandbox, plan: &PipelinePlan) -> Result<Answer> {
    let room = Room::with(&[("Vault", "The code of the vault is 4711.")]);
    let run = sandbox.start(plan, room.capabilities()).await?;
    answer(
        &*run,
        &request("What is the code of the vault?"),
        &["It is ", "4711. [1]"],
    )
    .await
}

/// Attackers go on all the time while a neighbor's requests are answered as if it were alone.
async fn assert_neighbors_are_served_beside(plan: PipelinePlan, change: impl FnOnce(&mut Limits), kind: ErrorKind) {
    let host = Arc::new(Host::with(change));
    let standard = plan_of(&plugin("standard"));
    let alone = neighbor(&*host.sandbox, &standard).await.unwrap();
    assert_eq!(alone.passages[0].text, "The code of the vault is 4711.");
    // Compiled before it is measured who waits for whom.
    attack(&host, &plan).await;

    let stop = Arc::new(AtomicBool::new(false));
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|_| {
            let (host, plan, stop) = (Arc::clone(&host), plan.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut attacks = 0;
                while attacks == 0 || !stop.load(Ordering::Relaxed) {
                    assert_eq!(attack(&host, &plan).await.kind(), kind);
                    attacks += 1;
                }
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        assert_eq!(soon(neighbor(&*host.sandbox, &standard)).await.unwrap(), alone);
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    for attacker in attackers {
        soon(attacker).await.unwrap();
    }
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn an_endless_loop_is_ended_by_its_time() {
    let host = Host::with(|limits| {
        limits.guest_ms = 100;
        limits.guest_fuel = PLENTY;
    });
    let run = host.start(&hostile("loop"), &Room::empty()).await;
    let before = run.fuel();
    let error = soon(run.build_prompt(&request("Hello"), &[])).await.unwrap_err();
    says(
        &error,
        ErrorKind::PluginLimit,
        "loop",
        "prompting",
        "took more than 100 ms of guest time",
    );
    // Its time was up, and what it used until then is billed.
    assert!(run.fuel() > before + 1_000_000, "{before} {}", run.fuel());
    drop(run);
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn an_endless_loop_is_ended_by_its_fuel() {
    let host = Host::with(|limits| {
        limits.guest_ms = 600_000;
        limits.guest_fuel = 20_000_000;
    });
    let room = Room::empty();
    let run = host.start(&hostile("loop"), &room).await;
    let error = soon(run.build_prompt(&request("Hello"), &[])).await.unwrap_err();
    says(
        &error,
        ErrorKind::PluginLimit,
        "loop",
        "prompting",
        "used more than 20000000 fuel",
    );
    assert_eq!(run.fuel(), 20_000_000);
    assert_eq!(room.log(), [(LogLevel::Error, error.message().to_owned())]);
    // Nothing is left for the other guest of this run.
    let error = run.retrieve(&request("Hello")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
    drop(run);
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn a_memory_bomb_stays_within_its_limit() {
    for (bytes, words) in [(64 << 20, "64 MiB"), (2 << 20, "2 MiB")] {
        let host = Host::with(|limits| limits.guest_memory_bytes = bytes);
        let error = soon(attack(&host, &hostile("memory-bomb"))).await;
        says(
            &error,
            ErrorKind::PluginLimit,
            "memory-bomb",
            "prompting",
            &format!("used more than {words} of memory"),
        );
        assert_eq!(host.busy(), 0);
    }
}

#[tokio::test]
async fn a_deep_recursion_ends_at_its_stack() {
    for (bytes, words) in [(512 << 10, "512 KiB"), (64 << 10, "64 KiB")] {
        let host = Host::with(|limits| {
            limits.guest_stack_bytes = bytes;
            limits.guest_fuel = PLENTY;
        });
        let error = soon(attack(&host, &hostile("recursion"))).await;
        says(
            &error,
            ErrorKind::PluginLimit,
            "recursion",
            "prompting",
            &format!("used more than {words} of stack"),
        );
        assert_eq!(host.busy(), 0);
    }
}

#[tokio::test]
async fn a_huge_output_is_refused_before_it_is_copied() {
    let host = Host::new();
    let error = soon(attack(&host, &hostile("big-output"))).await;
    says(
        &error,
        ErrorKind::PluginLimit,
        "big-output",
        "prompting",
        "passed more than 1 MiB to the host at once",
    );
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn a_trap_in_a_stream_lets_through_what_came_before_it() {
    let host = Host::new();
    let (echo, trap) = (guest("echo"), guest("trap-in-stream"));
    let room = Room::empty();
    let run = host.start(&plan(&echo, &echo, &trap), &room).await;
    let prompt = Prompt {
        messages: request("Hello").messages,
        passages: Vec::new(),
    };
    let filter = run.open_filter(&request("Hello"), &prompt).await.unwrap();
    let other = run.open_filter(&request("Hello"), &prompt).await.unwrap();
    assert_eq!(run.push(filter, "The first piece").await.unwrap(), "The first piece");
    let error = run.push(filter, "the second").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFailed);
    let beginning = format!("the postprocessing stage of {} trapped: ", trap.name());
    assert!(error.message().starts_with(&beginning), "{error}");
    assert_eq!(room.log(), [(LogLevel::Error, error.message().to_owned())]);
    // Its memory may be in any state: nothing of it is used again.
    for error in [
        run.finish(filter, FinishReason::Stop).await.unwrap_err(),
        run.push(other, "x").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PluginFailed);
        assert!(
            error.message().contains("an earlier call of this request failed"),
            "{error}"
        );
    }
    // The other guest of the run is not concerned.
    run.build_prompt(&request("Hello"), &[]).await.unwrap();
    drop(run);
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn sql_that_never_ends_is_answered_with_the_error_of_its_port() {
    let host = Host::with(|limits| limits.guest_ms = SQL_MS / 2);
    let error = soon(attack(&host, &hostile("endless-sql"))).await;
    let words = format!("failed: limit exceeded: the statement took more than {SQL_MS} ms");
    says(&error, ErrorKind::PluginFailed, "endless-sql", "prompting", &words);
    assert_eq!(host.busy(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbors_are_served_beside_endless_loops() {
    let change = |limits: &mut Limits| {
        limits.guest_ms = 500;
        limits.guest_fuel = PLENTY;
    };
    assert_neighbors_are_served_beside(hostile("loop"), change, ErrorKind::PluginLimit).await;
}

#[tokio::test]
async fn neighbors_are_served_beside_endless_loops_on_one_thread() {
    let change = |limits: &mut Limits| {
        limits.guest_ms = 500;
        limits.guest_fuel = PLENTY;
    };
    assert_neighbors_are_served_beside(hostile("loop"), change, ErrorKind::PluginLimit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbors_are_served_beside_memory_bombs() {
    assert_neighbors_are_served_beside(hostile("memory-bomb"), |_| (), ErrorKind::PluginLimit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbors_are_served_beside_deep_recursion() {
    assert_neighbors_are_served_beside(hostile("recursion"), |_| (), ErrorKind::PluginLimit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbors_are_served_beside_huge_outputs() {
    assert_neighbors_are_served_beside(hostile("big-output"), |_| (), ErrorKind::PluginLimit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbors_are_served_beside_traps_in_streams() {
    let echo = guest("echo");
    let plan = plan(&echo, &echo, &guest("trap-in-stream"));
    assert_neighbors_are_served_beside(plan, |_| (), ErrorKind::PluginFailed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbors_are_served_beside_endless_sql() {
    assert_neighbors_are_served_beside(hostile("endless-sql"), |_| (), ErrorKind::PluginFailed).await;
}
