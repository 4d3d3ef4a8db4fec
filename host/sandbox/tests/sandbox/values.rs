//! Values and bytes that attack: arguments and results that are too large, point nowhere or mean nothing, handles that are gone, and broken
//! uploads. Not here: attacks on time and memory (`attacks`).

use crate::{
    attacks::{attack, attacker, is, plan, prompt},
    guests::text,
    host::{Host, request, soon},
    room::Room,
};
use riad_core::{
    ErrorKind,
    chat::FinishReason,
    plugin::Stage,
    ports::{FilterId, Sandbox},
};

/// One passage at 8192, whose score is at its 32nd byte, and whose document and metadata are right.
fn passage(score: &str) -> String {
    format!(
        r#"(i32.store (i32.const 1028) (i32.const 8192)) (i32.store (i32.const 1032) (i32.const 1))
        (i32.store (i32.const 8192) (i32.const 4096)) (i32.store (i32.const 8196) (i32.const 1))
        (i32.store8 (i32.const 4096) (i32.const 100))
        (f64.store (i32.const 8224) (f64.const {score}))
        (i32.store (i32.const 8232) (i32.const 4098)) (i32.store (i32.const 8236) (i32.const 2))
        (i32.store16 (i32.const 4098) (i32.const 0x7d7b))"#
    )
}

#[tokio::test]
async fn an_argument_beyond_memory_or_its_bound_is_refused() {
    for (length, kind, words) in [
        // Within memory, and more than one call may pass.
        (
            "2000000",
            ErrorKind::PluginLimit,
            "passed more than 1 MiB to the host at once",
        ),
        // Out of memory.
        ("-1", ErrorKind::PluginFailed, "does not allow"),
    ] {
        let giant =
            format!("(drop (memory.grow (i32.const 60))) (call $log (i32.const 1) (i32.const 0) (i32.const {length}))");
        let error = attack(|_| (), "retrieve", &giant).await;
        is(&error, kind, Stage::Retrieval, words);
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_pass() {
    let broken = "(i32.store8 (i32.const 4096) (i32.const 0xff))";
    let argument = format!("{broken} (call $log (i32.const 1) (i32.const 4096) (i32.const 1))");
    let error = attack(|_| (), "retrieve", &argument).await;
    is(&error, ErrorKind::PluginFailed, Stage::Retrieval, "does not allow");
    // A text of a stage's result: in `push`, 4 bytes after the tag.
    let result =
        format!("{broken} (i32.store (i32.const 1028) (i32.const 4096)) (i32.store (i32.const 1032) (i32.const 1))");
    for (function, stage) in [("push", Stage::Postprocessing), ("call", Stage::Tools)] {
        let error = attack(|_| (), function, &result).await;
        is(&error, ErrorKind::PluginFailed, stage, "does not allow");
    }
    // A level that is none of the four.
    let error = attack(
        |_| (),
        "retrieve",
        "(call $log (i32.const 4) (i32.const 0) (i32.const 0))",
    )
    .await;
    is(&error, ErrorKind::PluginFailed, Stage::Retrieval, "does not allow");
}

#[tokio::test]
async fn results_that_point_out_of_memory_are_refused() {
    for (function, stage) in [
        ("retrieve", Stage::Retrieval),
        ("push", Stage::Postprocessing),
        ("offer", Stage::Tools),
    ] {
        let outside = "(i32.store (i32.const 1028) (i32.const 2147483640)) (i32.store (i32.const 1032) (i32.const 8))";
        let error = attack(|_| (), function, outside).await;
        is(&error, ErrorKind::PluginFailed, stage, "does not allow");
    }
    // A list whose size in bytes has more than 32 bits.
    let long = "(i32.store (i32.const 1028) (i32.const 8)) (i32.store (i32.const 1032) (i32.const -1))";
    let error = attack(|_| (), "retrieve", long).await;
    assert!(
        matches!(error.kind(), ErrorKind::PluginFailed | ErrorKind::PluginLimit),
        "{error}"
    );
}

#[tokio::test]
async fn a_score_that_is_no_finite_number_is_refused() {
    let host = Host::new();
    let run = host
        .start(&plan(&attacker(&[("retrieve", &passage("0.5"))])), &Room::empty())
        .await;
    let passages = run.retrieve(&request("Hello")).await.unwrap();
    assert_eq!((passages[0].document.as_str(), passages[0].score), ("d", 0.5));
    for score in ["nan", "-nan:0x4000000000001", "inf", "-inf"] {
        let error = attack(|_| (), "retrieve", &passage(score)).await;
        is(
            &error,
            ErrorKind::PluginFailed,
            Stage::Retrieval,
            "whose score is not a finite number",
        );
    }
}

#[tokio::test]
async fn a_handle_that_was_dropped_cannot_be_used() {
    // The guest's own handle, dropped twice.
    let twice = "(local $handle i32) (local.set $handle (call $new-filter (i32.const 7)))
        (call $drop-filter (local.get $handle)) (call $drop-filter (local.get $handle))";
    let error = attack(|_| (), "retrieve", twice).await;
    is(&error, ErrorKind::PluginFailed, Stage::Retrieval, "");
    // One that is returned after it was dropped.
    let returned = "(local $handle i32) (local.set $handle (call $new-filter (i32.const 7)))
        (call $drop-filter (local.get $handle)) (return (local.get $handle))";
    let error = attack(|_| (), "open", returned).await;
    is(&error, ErrorKind::PluginFailed, Stage::Postprocessing, "");
    // One that was never made.
    let error = attack(|_| (), "open", "(return (i32.const 999))").await;
    is(&error, ErrorKind::PluginFailed, Stage::Postprocessing, "");
    // The host's: a filter that has ended is none.
    let host = Host::new();
    let run = host.start(&plan(&attacker(&[])), &Room::empty()).await;
    let filter = run.open_filter(&request("Hello"), &prompt()).await.unwrap();
    run.finish(filter, FinishReason::Stop).await.unwrap();
    for filter in [filter, FilterId(1), FilterId(usize::MAX)] {
        let error = run.push(filter, "late").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}

#[tokio::test]
async fn a_filter_that_drops_everything_gives_an_empty_answer() {
    let host = Host::new();
    let run = host.start(&plan(&attacker(&[])), &Room::empty()).await;
    let filter = run.open_filter(&request("Hello"), &prompt()).await.unwrap();
    for _ in 0..1000 {
        assert_eq!(run.push(filter, "a piece of the answer").await.unwrap(), "");
    }
    let ending = run.finish(filter, FinishReason::Length).await.unwrap();
    assert_eq!((ending.text.as_str(), ending.citations.len()), ("", 0));
}

#[tokio::test]
async fn a_filter_learns_why_the_output_ended() {
    // It answers the reason, as one byte that is a digit.
    let tell = "(i32.store8 (i32.const 4096) (i32.add (i32.const 48) (local.get $reason)))
        (i32.store (i32.const 1028) (i32.const 4096)) (i32.store (i32.const 1032) (i32.const 1))";
    let host = Host::new();
    let run = host.start(&plan(&attacker(&[("finish", tell)])), &Room::empty()).await;
    for (reason, digit) in [
        (FinishReason::Stop, "0"),
        (FinishReason::Length, "1"),
        (FinishReason::ToolCalls, "2"),
    ] {
        let filter = run.open_filter(&request("Hello"), &prompt()).await.unwrap();
        assert_eq!(run.finish(filter, reason).await.unwrap().text, digit);
    }
}

#[tokio::test]
async fn uploads_that_are_nested_or_repeated_deeply_are_refused() {
    let host = Host::new();
    let nested = |depth: usize| format!("(component {}{})", "(component ".repeat(depth), ")".repeat(depth));
    let types = |depth: usize| {
        let lists: String = (1..depth).map(|index| format!("(type (list {}))", index - 1)).collect();
        format!("(component (type (list u8)) {lists})")
    };
    let instances = format!(
        "(component (core module $m) {})",
        "(core instance (instantiate $m))".repeat(5000)
    );
    for wat in [nested(90), types(200), instances] {
        let error = soon(host.sandbox.compile(None, text(&wat).bytes)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
    // Each level doubles the size of the one before it.
    let doubling: String = (1..40)
        .map(|index| format!("(type (tuple {0} {0}))", index - 1))
        .collect();
    let wat = format!("(component (type (tuple u8 u8)) {doubling})");
    let error = soon(host.sandbox.compile(None, text(&wat).bytes)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
}

#[tokio::test]
async fn a_component_that_is_broken_anywhere_is_refused() {
    let host = Host::new();
    let whole = attacker(&[]).bytes;
    for cut in (8..whole.len()).step_by(whole.len() / 40) {
        let error = host.sandbox.compile(None, whole.slice(..cut)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "cut at {cut}: {error}");
    }
    // One byte is another: it is refused, or runs within its limits. Nothing panics.
    for at in (8..whole.len()).step_by(97) {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x55;
        if let Err(error) = host.sandbox.compile(None, bytes.into()).await {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "byte {at}: {error}");
        }
    }
}
