//! Instances: fresh for each request, counted, waited for in a queue that ends. Not here: instances of guests that misbehave
//! (`hostile`, `ending`).

use crate::{
    guests::{Act, asked, guest, of, plan_of, plugin, prompted_by, puppet},
    host::{Host, answer, request, soon},
    room::Room,
};
use riad_core::{
    Error, ErrorKind, Limits,
    ports::{PipelinePlan, PipelineRun, Sandbox},
};
use std::{sync::Arc, time::Duration};

async fn count(run: &dyn PipelineRun) -> String {
    let prompt = run.build_prompt(&asked(Act::Count, 0, 0), &[]).await.unwrap();
    prompt.messages[0].content.clone()
}

fn small(limits: &mut Limits) {
    limits.guest_instances = 2;
    limits.queue = 1;
    limits.queue_ms = 600_000;
}

async fn refused(host: &Host, plan: &PipelinePlan) -> Error {
    soon(host.sandbox.start(plan, Room::empty().capabilities()))
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn each_request_gets_a_fresh_instance() {
    // As many as one run needs: each run gets the memory of the one before it.
    let host = Host::with(|limits| limits.guest_instances = 2);
    let plan = prompted_by(&puppet());
    for _ in 0..3 {
        let run = host.start(&plan, &Room::empty()).await;
        assert_eq!(count(&*run).await, "111");
        // It is a counter: within a run it counts.
        assert_eq!(count(&*run).await, "222");
        // Memory that it takes and fills is not found again either.
        run.build_prompt(&asked(Act::GrowMemory, 0, 0), &[]).await.unwrap();
    }
}

#[tokio::test]
async fn written_memory_is_empty_for_the_next_request() {
    // The pool keeps a part of the memory that a guest has written, and gives the rest back.
    let host = Host::with(|limits| limits.guest_instances = 2);
    let plan = prompted_by(&puppet());
    let pages = usize::try_from(host.limits.guest_memory_bytes >> 16).unwrap();
    for _ in 0..3 {
        let run = host.start(&plan, &Room::empty()).await;
        for written in [0, pages - 3] {
            let prompt = run.build_prompt(&asked(Act::FillMemory, 0, 0), &[]).await.unwrap();
            assert_eq!(prompt.messages[0].content.len(), written);
        }
    }
}

#[tokio::test]
async fn requests_at_the_same_time_share_no_instance() {
    let host = Host::new();
    let plan = prompted_by(&puppet());
    let one = host.start(&plan, &Room::empty()).await;
    let other = host.start(&plan, &Room::empty()).await;
    assert_eq!(count(&*one).await, "111");
    assert_eq!(count(&*other).await, "111");
    assert_eq!(count(&*one).await, "222");
}

#[tokio::test]
async fn a_request_after_one_that_died_finds_nothing_of_it() {
    let host = Host::with(|limits| limits.guest_instances = 2);
    let plan = prompted_by(&puppet());
    for _ in 0..3 {
        let run = host.start(&plan, &Room::empty()).await;
        assert_eq!(count(&*run).await, "111");
        run.build_prompt(&asked(Act::Exit, 0, 0), &[]).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_instances_as_are_set_run_at_the_same_time() {
    let host = Host::with(|limits| {
        limits.guest_instances = 12;
        limits.queue = 1;
    });
    let plan = plan_of(&plugin("standard"));
    let mut runs: Vec<Arc<dyn PipelineRun>> = Vec::new();
    for run in 0..12 {
        // The last quarter is for accounts that have none yet.
        let account = if run < 9 { 1 } else { run };
        runs.push(host.start(&of(account, &plan), &Room::empty()).await.into());
    }
    assert_eq!(host.sandbox.free_instances(), 0);
    let answers = runs.iter().map(|run| {
        let run = Arc::clone(run);
        tokio::spawn(async move { answer(&*run, &request("Hello"), &["Hi"]).await })
    });
    for task in answers.collect::<Vec<_>>() {
        assert_eq!(soon(task).await.unwrap().unwrap().pieces, ["Hi", ""]);
    }
}

#[tokio::test]
async fn when_all_are_in_use_a_few_runs_wait_and_others_are_rejected() {
    let host = Host::with(small);
    let plan = plan_of(&guest("echo"));
    let one = host.start(&plan, &Room::empty()).await;
    let other = host.start(&plan, &Room::empty()).await;
    let room = Room::empty();
    let mut third = Box::pin(host.sandbox.start(&plan, room.capabilities()));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), &mut third)
            .await
            .is_err()
    );
    let error = refused(&host, &plan).await;
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.message().contains("plugin instances"), "{error}");
    drop(one);
    let third = soon(third).await.unwrap();
    assert_eq!(host.busy(), 2);
    answer(&*third, &request("Hello"), &[]).await.unwrap();
    drop((other, third));
    assert_eq!(host.busy(), 0);
    host.start(&plan, &Room::empty()).await;
}

#[tokio::test]
async fn an_account_that_keeps_its_runs_does_not_block_others() {
    let host = Host::with(|limits| limits.guest_instances = 8);
    let plan = plan_of(&guest("echo"));
    let noisy = of(1, &plan);
    let room = Room::empty();
    // As while they wait for the model.
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(host.start(&noisy, &room).await);
    }
    let mut more = Box::pin(host.sandbox.start(&noisy, room.capabilities()));
    let patience = Duration::from_millis(20);
    assert!(tokio::time::timeout(patience, &mut more).await.is_err());
    for account in 2..20 {
        // Two at a time, one of them again and again.
        let quiet = soon(host.start(&of(account, &plan), &room)).await;
        let other = soon(host.start(&of(account + 100, &plan), &room)).await;
        assert_eq!(host.busy(), 8);
        answer(&*quiet, &request("Hello"), &[]).await.unwrap();
        drop((quiet, other));
    }
    assert!(tokio::time::timeout(patience, &mut more).await.is_err());
    drop(held.pop());
    soon(more).await.unwrap();
}

#[tokio::test]
async fn whoever_stops_waiting_makes_room_in_the_queue() {
    let host = Host::with(small);
    let plan = plan_of(&guest("echo"));
    let runs = [
        host.start(&plan, &Room::empty()).await,
        host.start(&plan, &Room::empty()).await,
    ];
    for _ in 0..3 {
        let room = Room::empty();
        let waiting = host.sandbox.start(&plan, room.capabilities());
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
    }
    drop(runs);
    assert_eq!(host.busy(), 0);
}

#[tokio::test]
async fn a_wait_for_instances_ends_at_its_limit() {
    let host = Host::with(|limits| {
        small(limits);
        limits.queue_ms = 20;
    });
    let plan = plan_of(&guest("echo"));
    let _runs = [
        host.start(&plan, &Room::empty()).await,
        host.start(&plan, &Room::empty()).await,
    ];
    assert_eq!(refused(&host, &plan).await.kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn a_pipeline_that_can_never_run_is_not_kept_waiting() {
    let host = Host::with(|limits| limits.guest_instances = 1);
    let error = refused(&host, &prompted_by(&guest("loop"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("needs 2") && error.message().contains("limits.guest_instances is 1"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_of_several_instances_do_not_block_each_other() {
    let host = Arc::new(Host::with(|limits| limits.guest_instances = 3));
    let plan = prompted_by(&puppet());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (host, plan) = (Arc::clone(&host), plan.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let run = host.start(&plan, &Room::empty()).await;
                    assert_eq!(count(&*run).await, "111");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert_eq!(host.busy(), 0);
}
