//! What is counted and where it ends: fuel, host calls, log, output, memory, tokens. Not here: guests that mean harm
//! (`hostile`).

use crate::{
    guests::{Act, asked, guest, plan, plan_of, plugin, prompted_by, puppet},
    host::{Host, answer, request, soon},
    room::Room,
};
use riad_core::{
    Error, ErrorKind, Result,
    chat::FinishReason,
    plugin::Prompt,
    ports::{LogLevel, PipelineRun},
};
use std::time::Duration;

/// What the puppet answers.
async fn act(run: &dyn PipelineRun, act: Act, size: u32, times: u32) -> Result<String> {
    let mut prompt = soon(run.build_prompt(&asked(act, size, times), &[])).await?;
    Ok(prompt.messages.remove(0).content)
}

fn limit(error: &Error, words: &str) {
    assert_eq!(error.kind(), ErrorKind::PluginLimit, "{error}");
    assert!(error.message().ends_with(words), "{error}");
}

#[tokio::test]
async fn used_fuel_grows_with_the_work_and_is_reproducible() {
    let host = Host::new();
    let room = Room::empty();
    let plan = plan_of(&guest("echo"));
    let mut all = Vec::new();
    for _ in 0..2 {
        let run = host.start(&plan, &room).await;
        let mut fuel = vec![run.fuel()];
        let passages = run.retrieve(&request("Hello")).await.unwrap();
        fuel.push(run.fuel());
        let prompt = run.build_prompt(&request("Hello"), &passages).await.unwrap();
        fuel.push(run.fuel());
        let filter = run.open_filter(&request("Hello"), &prompt).await.unwrap();
        fuel.push(run.fuel());
        run.push(filter, "a").await.unwrap();
        fuel.push(run.fuel());
        run.push(filter, &"a".repeat(10_000)).await.unwrap();
        fuel.push(run.fuel());
        run.finish(filter, FinishReason::Stop).await.unwrap();
        fuel.push(run.fuel());
        assert!(fuel.is_sorted_by(|before, after| before < after), "{fuel:?}");
        all.push(fuel);
    }
    // The same work costs the same: it is billed.
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn guest_time_counts_calls_only() {
    let host = Host::new();
    let run = host.start(&prompted_by(&puppet()), &Room::empty()).await;
    // Making the instances takes some, too.
    let made = run.time();
    for calls in 1..3 {
        // To the second step of the guest's clock from then, which is more than one step away.
        run.build_prompt(&asked(Act::Sleep, 200, 0), &[]).await.unwrap();
        let time = run.time();
        assert!(time >= made + Duration::from_millis(100) * calls, "{made:?} {time:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(run.time(), time);
    }
}

#[tokio::test]
async fn the_calls_of_a_request_share_its_guest_time() {
    const TOGETHER: u64 = 100;
    let host = Host::with(|limits| {
        limits.guest_ms = 1_000_000;
        limits.guest_request_ms = TOGETHER;
    });
    let run = host.start(&prompted_by(&puppet()), &Room::empty()).await;
    let mut calls = Vec::new();
    // Each sleeps to the next step of its clock, and all but the first for all of the time.
    while calls.len() < 6 && calls.last().is_none_or(Result::is_ok) {
        calls.push(act(&*run, Act::Sleep, 20, 0).await);
    }
    limit(calls.last().unwrap().as_ref().unwrap_err(), "had used 100 ms together");
    assert!(run.time() >= Duration::from_millis(TOGETHER));
}

#[tokio::test]
async fn the_guests_of_a_run_share_its_fuel() {
    let plan = plan(&guest("echo"), &plugin("standard"), &guest("echo"));
    let host = Host::new();
    let room = Room::empty();
    let run = host.start(&plan, &room).await;
    answer(&*run, &request("Hello"), &["a"]).await.unwrap();
    let all = run.fuel();
    assert!(all > 1000, "{all}");
    for (fuel, enough) in [(all, true), (all - 1000, false)] {
        let host = Host::with(|limits| limits.guest_fuel = fuel);
        let run = host.start(&plan, &room).await;
        let result = answer(&*run, &request("Hello"), &["a"]).await;
        assert_eq!(result.is_ok(), enough, "{result:?}");
        if let Err(error) = result {
            limit(&error, &format!("used more than {fuel} fuel"));
            assert_eq!(run.fuel(), fuel);
        }
    }
}

#[tokio::test]
async fn host_calls_are_counted_over_the_whole_request() {
    let host = Host::with(|limits| limits.guest_host_calls = 10);
    let room = Room::with(&[("A", "a")]);
    let plan = plan(&plugin("standard"), &puppet(), &guest("echo"));
    let run = host.start(&plan, &room).await;
    act(&*run, Act::Log, 0, 10).await.unwrap();
    assert_eq!(room.log().len(), 10);
    limit(
        &act(&*run, Act::Log, 0, 1).await.unwrap_err(),
        "made more than 10 host calls",
    );
    // Also for the other guest.
    let error = run.retrieve(&request("a")).await.unwrap_err();
    limit(&error, "made more than 10 host calls");
    assert!(error.message().contains("retrieval"), "{error}");
    assert_eq!(room.searches(), 0);
    drop(run);
    // The next request has its own.
    let run = host.start(&plan, &room).await;
    act(&*run, Act::Log, 0, 8).await.unwrap();
    run.retrieve(&request("a")).await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_full_says_so_once_and_takes_no_more() {
    let host = Host::with(|limits| limits.guest_log_bytes = 256);
    let room = Room::empty();
    let run = host.start(&prompted_by(&puppet()), &room).await;
    act(&*run, Act::Log, 100, 5).await.unwrap();
    // Shorter lines would fit; a log with holes would mislead.
    act(&*run, Act::Log, 10, 5).await.unwrap();
    let lines = room.log();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines[..2] {
        assert_eq!((line.0, line.1.len()), (LogLevel::Info, 100));
    }
    assert_eq!(lines[2].0, LogLevel::Warn);
    assert!(lines[2].1.contains("limits.guest_log_bytes"), "{lines:?}");
}

#[tokio::test]
async fn what_a_stage_returns_has_a_maximum() {
    let host = Host::with(|limits| limits.guest_output_bytes = 4096);
    let run = host.start(&prompted_by(&puppet()), &Room::empty()).await;
    assert_eq!(act(&*run, Act::Answer, 4096, 0).await.unwrap().len(), 4096);
    // The second is over the maximum of what is copied at all.
    for size in [4097, 4096 + (64 << 10) + 1] {
        let error = act(&*run, Act::Answer, size, 0).await.unwrap_err();
        limit(&error, "passed more than 4 KiB to the host at once");
    }
}

#[tokio::test]
async fn what_a_host_call_takes_has_a_maximum() {
    let host = Host::with(|limits| limits.guest_output_bytes = 4096);
    let room = Room::empty();
    let run = host.start(&prompted_by(&puppet()), &room).await;
    let error = act(&*run, Act::Log, 100_000, 1).await.unwrap_err();
    limit(&error, "passed more than 4 KiB to the host at once");
    assert_eq!(room.log(), [(LogLevel::Error, error.message().to_owned())]);
}

#[tokio::test]
async fn what_a_filter_lets_through_is_counted_over_its_whole_stream() {
    let host = Host::with(|limits| limits.guest_output_bytes = 4096);
    let run = host.start(&plan_of(&guest("echo")), &Room::empty()).await;
    let prompt = Prompt {
        messages: request("Hello").messages,
        passages: Vec::new(),
    };
    let filter = run.open_filter(&request("Hello"), &prompt).await.unwrap();
    let other = run.open_filter(&request("Hello"), &prompt).await.unwrap();
    run.push(filter, &"a".repeat(3000)).await.unwrap();
    run.push(filter, &"a".repeat(1096)).await.unwrap();
    limit(
        &run.push(filter, "a").await.unwrap_err(),
        "passed more than 4 KiB to the host at once",
    );
    // Each choice has its own.
    run.push(other, &"a".repeat(4096)).await.unwrap();
}

#[tokio::test]
async fn memory_ends_exactly_at_its_limit() {
    for mib in [2, 5, 64] {
        let host = Host::with(|limits| limits.guest_memory_bytes = mib << 20);
        let run = host.start(&prompted_by(&puppet()), &Room::empty()).await;
        // A guest that takes no for an answer is not at fault.
        let pages = act(&*run, Act::GrowMemory, 0, 0).await.unwrap().len();
        assert_eq!(pages as u64 * 65_536, mib << 20);
    }
}

#[tokio::test]
async fn counting_long_texts_takes_the_guests_time_and_nobody_elses() {
    let host = Host::with(|limits| limits.guest_ms = 500);
    let room = Room::slow(&[], Duration::ZERO, Duration::from_millis(100));
    let run = host.start(&prompted_by(&puppet()), &room).await;
    let began = std::time::Instant::now();
    // On this one thread: it ticks only when the counting leaves it free.
    let ticks = async {
        let mut ticks = 0;
        while room.counts() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            ticks += 1;
        }
        ticks
    };
    let (result, ticks) = tokio::join!(act(&*run, Act::CountTokens, 40_000, 1000), soon(ticks));
    limit(&result.unwrap_err(), "took more than 500 ms of guest time");
    assert!(room.counts() < 100, "{}", room.counts());
    assert!(ticks >= 10, "{ticks} ticks in {:?}", began.elapsed());
}

#[tokio::test]
async fn random_bytes_per_call_are_limited() {
    let host = Host::new();
    let run = host.start(&prompted_by(&puppet()), &Room::empty()).await;
    act(&*run, Act::Random, 64 << 10, 0).await.unwrap();
    let error = act(&*run, Act::Random, (64 << 10) + 1, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFailed, "{error}");
}
