//! What is refused when it is uploaded, and that the message says what is wrong. Not here: what happens at run time.

use crate::{
    guests::{Component, guest, plugin, puppet, text},
    host::{Host, soon},
};
use bytes::Bytes;
use riad_core::{Account, Error, ErrorKind, plugin::Stage, ports::Sandbox};
use std::fs;

async fn refused(host: &Host, component: impl Into<Bytes>) -> Error {
    host.sandbox
        .compile(None, component.into())
        .await
        .expect_err("it was accepted")
}

async fn says(host: &Host, component: &Component, words: &[&str]) {
    let error = refused(host, component.bytes.clone()).await;
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    for words in words {
        assert!(error.message().contains(words), "{words}: {error}");
    }
    // A refused component leaves nothing that could be run later.
    assert_eq!(fs::read_dir(host.folder()).unwrap().count(), 0);
}

async fn takes(host: &Host, component: &Component, stages: &[Stage]) {
    let info = host.sandbox.compile(None, component.bytes.clone()).await.unwrap();
    assert_eq!((info.digest, info.stages.as_slice()), (component.digest, stages));
}

#[tokio::test]
async fn the_committed_components_are_taken_with_their_stages() {
    use Stage::{Postprocessing, Prompting, Retrieval};
    let host = Host::new();
    takes(&host, &plugin("standard"), &[Retrieval, Prompting, Postprocessing]).await;
    takes(&host, &plugin("price-desk"), &[Prompting, Postprocessing]).await;
    takes(&host, &guest("echo"), &[Retrieval, Prompting, Postprocessing]).await;
    takes(&host, &guest("order-tools"), &[Stage::Tools]).await;
    for name in [
        "big-output",
        "caller",
        "endless-sql",
        "loop",
        "memory-bomb",
        "recursion",
        "spy",
    ] {
        takes(&host, &guest(name), &[Prompting]).await;
    }
    takes(&host, &guest("trap-in-stream"), &[Postprocessing]).await;
    takes(&host, &puppet(), &[Prompting]).await;
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let host = Host::new();
    let echo = guest("echo").bytes;
    for (bytes, words) in [
        (Bytes::new(), "fewer than 8 bytes"),
        (
            Bytes::from_static(b"PK\x03\x04 a zip file"),
            "not a WebAssembly component",
        ),
        (
            Bytes::from_static(b"\x7fELF\x02\x01\x01\0\0\0\0\0"),
            "not a WebAssembly component",
        ),
        (text("(module)").bytes, "core WebAssembly module"),
        (echo.slice(..echo.len() / 2), "cannot be compiled"),
        (Bytes::from([&echo[..8], &[7; 100]].concat()), "cannot be compiled"),
    ] {
        says(&host, &Component::of(bytes), &[words]).await;
    }
    // And the sandbox goes on.
    takes(&host, &guest("echo"), &Stage::STANDARD).await;
}

#[tokio::test]
async fn compiled_code_is_no_component() {
    let host = Host::new();
    host.sandbox.compile(None, guest("echo").bytes).await.unwrap();
    let file = fs::read_dir(host.folder()).unwrap().next().unwrap().unwrap().path();
    let file = fs::read(file).unwrap();
    let other = Host::new();
    for code in [file.clone(), file[40..].to_vec()] {
        says(&other, &Component::of(code), &["not a WebAssembly component"]).await;
    }
}

#[tokio::test]
async fn a_component_without_a_stage_is_refused() {
    let host = Host::new();
    let all = "riad:pipeline/retrieval@0.2.0, riad:pipeline/prompting@0.2.0, riad:pipeline/postprocessing@0.2.0, riad:pipeline/tools@0.2.0";
    for wat in [
        "(component)",
        r#"(component (instance $i) (export "riad:pipeline/baking@0.1.0" (instance $i)))"#,
        r#"(component (instance $i) (export "acme:pipeline/retrieval@0.1.0" (instance $i)))"#,
        r#"(component (instance $i) (export "retrieval" (instance $i)))"#,
    ] {
        says(&host, &text(wat), &["exports no stage", all]).await;
    }
}

#[tokio::test]
async fn a_stage_of_another_version_is_refused() {
    let host = Host::new();
    for version in ["0.3.0", "0.1.1", "1.0.0"] {
        let name = format!("riad:pipeline/retrieval@{version}");
        let wat = format!(r#"(component (instance $i) (export "{name}" (instance $i)))"#);
        says(&host, &text(&wat), &[&name, "supports are: 0.2.0, 0.1.0"]).await;
    }
}

#[tokio::test]
async fn a_stage_of_another_type_is_refused() {
    let host = Host::new();
    let stage = |name: &str, exports: &str| {
        let wat = format!(
            r#"(component
                (core module $m (func (export "f") (param i64)))
                (core instance $m (instantiate $m))
                (func $f (param "n" u64) (canon lift (core func $m "f")))
                (instance $i {exports})
                (export "riad:pipeline/{name}@0.2.0" (instance $i)))"#
        );
        text(&wat)
    };
    for (name, function) in [
        ("retrieval", "retrieve"),
        ("prompting", "build-prompt"),
        ("postprocessing", "[constructor]filter"),
        ("tools", "offer"),
    ] {
        let words = format!("without the function `{function}`");
        says(
            &host,
            &stage(name, ""),
            &[&format!("riad:pipeline/{name}@0.2.0"), &words],
        )
        .await;
    }
    for (name, function) in [
        ("retrieval", "retrieve"),
        ("prompting", "build-prompt"),
        ("tools", "offer"),
    ] {
        let export = format!(r#"(export "{function}" (func $f))"#);
        says(
            &host,
            &stage(name, &export),
            &[&format!("`{function}` has another type")],
        )
        .await;
    }
    // A field less, deep inside.
    let wat = include_str!("puppet.wat").replace(r#"(field "sentences" u32)"#, "");
    says(
        &host,
        &text(&wat.replace("(param $sentences i32)", "")),
        &["`build-prompt` has another type"],
    )
    .await;
}

#[tokio::test]
async fn an_import_that_is_not_granted_is_refused() {
    let host = Host::new();
    for (import, words) in [
        (r#""wasi:sockets/tcp@0.2.3" (instance)"#, "a plugin has no network"),
        (r#""wasi:sockets/network@0.2.0" (instance)"#, "a plugin has no network"),
        (
            r#""wasi:http/outgoing-handler@0.2.0" (instance)"#,
            "a plugin has no network",
        ),
        (r#""wasi:filesystem/types@0.2.3" (instance)"#, "a plugin has no files"),
        (
            r#""wasi:filesystem/preopens@0.2.0" (instance)"#,
            "a plugin has no files",
        ),
        (r#""wasi:cli/environment@0.3.0" (instance)"#, "not granted"),
        (r#""wasi:keyvalue/store@0.2.0" (instance)"#, "not granted"),
        (
            r#""acme:tools/secrets@1.0.0" (instance)"#,
            "`acme:tools/secrets@1.0.0`, which is not granted",
        ),
        (r#""acme:tools/secrets" (instance)"#, "which is not granted"),
        (r#""host-call" (func)"#, "`host-call`, which is not granted"),
        (r#""riad:documents/admin@0.1.0" (instance)"#, "which is not granted"),
        (
            r#""riad:documents/documents@0.3.0" (instance)"#,
            "has that interface at version 0.2.0 and 0.1.0",
        ),
        (
            r#""riad:documents/documents" (instance)"#,
            "has that interface at version 0.2.0 and 0.1.0",
        ),
        (
            r#""riad:store/store@0.1.0" (instance (export "drop-everything" (func)))"#,
            "`drop-everything`",
        ),
        (
            r#""wasi:io/nonsense@0.2.0" (instance (export "f" (func)))"#,
            "wasi:io/nonsense@0.2.0",
        ),
        (
            r#""wasi:cli/run@0.2.0" (instance (export "run" (func (result (result)))))"#,
            "wasi:cli/run@0.2.0",
        ),
        (r#""a-module" (core module)"#, "not granted"),
    ] {
        // Beside a stage that is right: nothing else is wrong with it.
        let wat = include_str!("puppet.wat").replacen("(component", &format!("(component (import {import})"), 1);
        says(&host, &text(&wat), &[words]).await;
    }
}

#[tokio::test]
async fn a_granted_import_of_another_shape_is_refused() {
    let host = Host::new();
    let puppet = include_str!("puppet.wat");
    for (ours, theirs, name) in [
        (
            r#""warn" "error""#,
            r#""warn" "error" "fatal""#,
            "riad:logging/logging@0.1.0",
        ),
        (
            r#"(export "count-tokens""#,
            r#"(export "count-words" (func)) (export "count-tokens""#,
            "`count-words`",
        ),
        (
            r#"(param "when" u64)"#,
            r#"(param "when" s64)"#,
            "wasi:clocks/monotonic-clock@0.2.0",
        ),
    ] {
        let wat = puppet.replacen(ours, theirs, 1);
        assert_ne!(wat, puppet);
        says(&host, &text(&wat), &["does not have the type", name]).await;
    }
}

#[tokio::test]
async fn more_memory_or_tables_than_are_granted_is_refused() {
    let host = Host::with(|limits| limits.guest_memory_bytes = 1 << 20);
    let with = |part: &str| text(&include_str!("puppet.wat").replacen("(component", &format!("(component {part}"), 1));
    let pages = "(core module $more (memory 17)) (core instance (instantiate $more))";
    says(&host, &with(pages), &["memory"]).await;
    let memories = format!(
        "(core module $more (memory 1)) {}",
        "(core instance (instantiate $more))".repeat(4)
    );
    says(&host, &with(&memories), &["memories"]).await;
    let tables = format!(
        "(core module $more {})(core instance (instantiate $more))",
        "(table 1 funcref)".repeat(33)
    );
    says(&host, &with(&tables), &["tables"]).await;
    let elements = "(core module $more (table 40001 funcref)) (core instance (instantiate $more))";
    says(&host, &with(elements), &["table"]).await;
    let instances = format!(
        "(core module $more) {}",
        "(core instance (instantiate $more))".repeat(64)
    );
    says(&host, &with(&instances), &["core module instances"]).await;
    let two = "(core module $more (memory 1) (memory 1))";
    says(&host, &with(two), &["memories count of 2"]).await;
    for module in ["(memory i64 1)", "(memory 1 1 shared)"] {
        says(
            &host,
            &with(&format!("(core module $more {module})")),
            &["cannot be compiled"],
        )
        .await;
    }
    takes(
        &host,
        &with("(core module $more (memory 1)) (core instance (instantiate $more))"),
        &[Stage::Prompting],
    )
    .await;
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused_unread() {
    let host = Host::with(|limits| limits.plugin_bytes = 65_536);
    let error = refused(&host, vec![0; 65_537]).await;
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.message(),
        "the component has 65537 bytes, at most 65536 are accepted"
    );
    assert_eq!(refused(&host, vec![0; 65_536]).await.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn compiling_beyond_its_time_limit_is_refused() {
    let host = Host::with(|limits| limits.compile_ms = 1);
    let desk = plugin("price-desk");
    let error = refused(&host, desk.bytes.clone()).await;
    assert_eq!(error.kind(), ErrorKind::PluginLimit);
    assert!(
        error
            .message()
            .starts_with(&format!("compiling {} takes more than 1 ms", desk.name())),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_component_at_the_same_time_is_compiled_once() {
    let host = Host::new();
    let desk = plugin("price-desk");
    let uploads: Vec<_> = (0..4)
        .map(|_| {
            let (sandbox, bytes) = (host.sandbox.clone(), desk.bytes.clone());
            tokio::spawn(async move { sandbox.compile(Some(Account::new(1)), bytes).await })
        })
        .collect();
    for upload in uploads {
        assert_eq!(soon(upload).await.unwrap().unwrap().digest, desk.digest);
    }
    assert_eq!(fs::read_dir(host.folder()).unwrap().count(), 1);
}
