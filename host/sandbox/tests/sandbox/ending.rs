//! Ending a guest from outside: a client that hangs up, a deadline, a sleep that is too long.

use crate::{
    guests::{Act, asked, guest, plan_of, plugin, prompted_by, puppet},
    host::{Host, PLENTY, request, soon, until},
    room::Room,
};
use riad_core::{
    ErrorKind, Limits,
    ports::{PipelineRun, Sandbox},
};
use riad_sandbox::{Compiler, WasmSandbox};
use std::{sync::Arc, time::Duration};

const LONG: Duration = Duration::from_secs(600);

fn patient(limits: &mut Limits) {
    limits.guest_ms = 600_000;
    limits.guest_fuel = PLENTY;
}

async fn is_dead(run: &dyn PipelineRun) {
    let error = run.build_prompt(&request("Hello"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFailed);
    assert!(
        error
            .message()
            .ends_with("cannot continue: an earlier call of this request failed"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_call_ends_a_guest_that_computes() {
    let host = Host::with(patient);
    let run: Arc<dyn PipelineRun> = host.start(&prompted_by(&guest("loop")), &Room::empty()).await.into();
    let before = run.fuel();
    let call = tokio::spawn({
        let run = Arc::clone(&run);
        async move { run.build_prompt(&request("Hello"), &[]).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!call.is_finished());
    call.abort();
    assert!(soon(call).await.unwrap_err().is_cancelled());
    is_dead(&*run).await;
    // What it used until then is counted.
    let after = run.fuel();
    assert!(after > before + 1_000_000, "{before} {after}");
    is_dead(&*run).await;
    assert_eq!(run.fuel(), after);
    // The run holds its place until it goes.
    assert_eq!(host.busy(), 2);
    drop(run);
    until(|| host.busy() == 0).await;
}

#[tokio::test]
async fn a_dropped_call_ends_a_guest_that_waits_for_the_host() {
    let host = Host::with(patient);
    let room = Room::slow(&[("A", "a")], LONG, Duration::ZERO);
    let run = host.start(&plan_of(&plugin("standard")), &room).await;
    let asked = request("a");
    let gone = tokio::time::timeout(Duration::from_millis(50), run.retrieve(&asked)).await;
    assert!(gone.is_err());
    assert_eq!(room.searches(), 1);
    is_dead(&*run).await;
    drop(run);
    assert_eq!(host.busy(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_dropped_with_its_call_frees_its_places() {
    let host = Host::with(patient);
    for _ in 0..20 {
        let run = host.start(&prompted_by(&guest("loop")), &Room::empty()).await;
        let call = tokio::spawn(async move { run.build_prompt(&request("Hello"), &[]).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(2)).await;
        call.abort();
        assert!(soon(call).await.unwrap_err().is_cancelled());
        until(|| host.busy() == 0).await;
    }
}

#[tokio::test]
async fn a_run_outlives_its_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        guest_ms: 100,
        guest_instances: 2,
        ..Limits::default()
    };
    let sandbox = WasmSandbox::new(folder.path(), &limits, Compiler::InProcess).unwrap();
    let plan = prompted_by(&guest("loop"));
    let run = sandbox.start(&plan, Room::empty().capabilities()).await.unwrap();
    drop(sandbox);
    // Its epochs go on.
    let error = soon(run.build_prompt(&request("Hello"), &[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
}

#[tokio::test]
async fn calls_of_one_run_are_served_one_at_a_time() {
    let host = Host::with(patient);
    let room = Room::slow(&[("A", "a")], Duration::from_millis(50), Duration::ZERO);
    let run = host.start(&plan_of(&plugin("standard")), &room).await;
    let asked = request("a");
    // They would wait for each other's guest otherwise, or find it dead.
    let all = async { tokio::join!(run.retrieve(&asked), run.retrieve(&asked), run.retrieve(&asked)) };
    let (one, other, third) = soon(all).await;
    for found in [one, other, third] {
        assert_eq!(found.unwrap().len(), 1);
    }
    assert_eq!(room.searches(), 3);
}

#[tokio::test]
async fn a_guest_that_sleeps_is_ended_by_its_time() {
    let host = Host::with(|limits| limits.guest_ms = 500);
    let puppet = puppet();
    let run = host.start(&prompted_by(&puppet), &Room::empty()).await;
    run.build_prompt(&asked(Act::Sleep, 1, 0), &[]).await.unwrap();
    let error = soon(run.build_prompt(&asked(Act::Sleep, 600_000, 0), &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
    let words = format!(
        "the prompting stage of {} took more than 500 ms of guest time",
        puppet.name()
    );
    assert_eq!(error.message(), words);
}

#[tokio::test]
async fn time_in_a_host_call_is_not_guest_time() {
    let host = Host::with(|limits| limits.guest_ms = 500);
    let room = Room::slow(&[("A", "a")], Duration::from_millis(1500), Duration::ZERO);
    let run = host.start(&plan_of(&plugin("standard")), &room).await;
    assert_eq!(run.retrieve(&request("a")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_hanging_host_call_ends_at_the_deadline_of_the_request() {
    let host = Host::with(|limits| {
        patient(limits);
        limits.request_ms = 500;
    });
    let room = Room::slow(&[("A", "a")], LONG, Duration::ZERO);
    let standard = plugin("standard");
    let run = host.start(&plan_of(&standard), &room).await;
    let error = soon(run.retrieve(&request("a"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let words = format!(
        "the request took more than 500 ms; it was in the retrieval stage of {}",
        standard.name()
    );
    assert_eq!(error.message(), words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_dropped_leaves_nothing() {
    let host = Arc::new(Host::new());
    for _ in 0..20 {
        let starting = tokio::spawn({
            let host = Arc::clone(&host);
            async move { host.start(&plan_of(&plugin("standard")), &Room::empty()).await.fuel() }
        });
        tokio::task::yield_now().await;
        starting.abort();
        drop(soon(starting).await);
        until(|| host.busy() == 0).await;
    }
}
