//! Uploads that would take the compiler gigabytes or minutes, against the real program: the child that compiles them ends,
//! the server does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use bytes::Bytes;
use riad_core::{Error, ErrorKind, Limits, plugin::Stage, ports::Sandbox};
use riad_sandbox::{Compiler, Unconfined, WasmSandbox};
use std::fmt::Write;

const STANDARD: &[u8] = include_bytes!("../../../plugins/standard/standard.wasm");

fn sandbox(folder: &std::path::Path, change: impl FnOnce(&mut Limits)) -> WasmSandbox {
    let mut limits = Limits::default();
    change(&mut limits);
    let compiler = Compiler::Child {
        program: env!("CARGO_BIN_EXE_riad").into(),
        arguments: vec!["compile-plugin".into()],
        unconfined: Unconfined::Any,
    };
    WasmSandbox::new(folder, &limits, compiler).unwrap()
}

/// A function whose liveness is a table of locals × blocks.
fn many_locals(locals: usize, blocks: usize) -> Bytes {
    let mut body = "(local i32)".repeat(locals);
    for block in 0..blocks {
        let local = block * 7 % locals;
        write!(
            body,
            "(block (br_if 0 (local.get {local})) (local.set {local} (i32.const {block})))"
        )
        .unwrap();
    }
    wat::parse_str(format!("(component (core module (func {body})))"))
        .unwrap()
        .into()
}

fn too_much(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::PluginLimit, "{error}");
    assert!(error.message().contains("make it smaller"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_a_child_compiled_is_cached_and_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let sandbox = sandbox(folder.path(), |_| ());
        let info = sandbox.compile(None, STANDARD.into()).await.unwrap();
        assert_eq!(info.stages, Stage::STANDARD);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_over_the_memory_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(folder.path(), |limits| limits.compile_bytes = 512 << 20);
    too_much(&sandbox.compile(None, many_locals(40_000, 6_000)).await.unwrap_err());
    sandbox.compile(None, STANDARD.into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_too_long_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(folder.path(), |limits| limits.compile_ms = 100);
    too_much(&sandbox.compile(None, many_locals(40_000, 6_000)).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_child_reports_what_is_wrong_with_a_component() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = sandbox(folder.path(), |_| ());
    let mut broken = STANDARD.to_vec();
    broken.truncate(broken.len() / 2);
    let error = sandbox.compile(None, broken.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("cannot be compiled"), "{error}");
}

/// The real program says that the kernel confines it before it has read a byte of the component, and so says the kernel.
#[cfg(target_os = "linux")]
#[test]
fn the_child_confines_itself_before_it_reads_a_component() {
    use std::{
        io::{Read, Write as _},
        process::{Command, Stdio},
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_riad"))
        .arg("compile-plugin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let order = serde_json::json!({"limits": Limits::default(), "unconfined": false});
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{order}").unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut confined = [0];
    output.read_exact(&mut confined).unwrap();
    assert_eq!(confined, [1]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{line} in {status}");
    }
    drop(input);
    let mut answer = Vec::new();
    output.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&1), "no component is a rejection");
    assert!(child.wait().unwrap().success());
}
