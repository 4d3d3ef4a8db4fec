//! Compiled components on disk: used again, and never when anything about them is not as it was written. A plan without the
//! component's bytes shows which: it can run only what is compiled.

use crate::{
    guests::{Component, guest, plugin},
    host::{Host, answer, request},
    room::Room,
};
use riad_core::{
    Account, ErrorKind, Result,
    manifest::Capability,
    plugin::Stage,
    ports::{PipelinePlan, PlannedComponent, Sandbox},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

fn all(planned: &PlannedComponent) -> PipelinePlan {
    PipelinePlan {
        account: Account::new(1),
        weight: 1,
        granted: Capability::ALL.into(),
        stages: Stage::STANDARD.map(|stage| (stage, planned.clone())).into(),
    }
}

/// Runs all the stages of `echo` or what else echoes.
async fn run(host: &Host, planned: PlannedComponent) -> Result<()> {
    let run = host.sandbox.start(&all(&planned), Room::empty().capabilities()).await?;
    let found = answer(&*run, &request("Hello"), &["Hi"]).await?;
    assert_eq!(found.pieces, ["Hi", ""]);
    Ok(())
}

async fn is_missing(host: &Host, component: &Component) {
    let error = run(host, component.planned_from_cache()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
}

fn compiled(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

fn only(folder: &Path) -> PathBuf {
    let found = compiled(folder);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_second_sandbox_loads_what_the_first_has_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let echo = guest("echo");
    {
        let host = Host::at(folder.path(), |_| ());
        is_missing(&host, &echo).await;
        let info = host.sandbox.compile(None, echo.bytes.clone()).await.unwrap();
        assert_eq!((info.digest, info.stages), (echo.digest, Stage::STANDARD.to_vec()));
        run(&host, echo.planned_from_cache()).await.unwrap();
    }
    let file = only(folder.path());
    assert!(
        file.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&echo.digest.hex())
    );
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    let host = Host::at(folder.path(), |_| ());
    run(&host, echo.planned_from_cache()).await.unwrap();
    host.sandbox.compile(None, echo.bytes.clone()).await.unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().modified().unwrap(),
        before,
        "it was compiled again"
    );
}

#[tokio::test]
async fn a_component_that_is_not_cached_is_compiled_at_first_use() {
    let host = Host::new();
    let echo = guest("echo");
    run(&host, echo.planned()).await.unwrap();
    only(host.folder());
}

#[tokio::test]
async fn compiled_components_are_bounded_by_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (echo, desk) = (guest("echo"), plugin("price-desk"));
    let host = Host::at(folder.path(), |_| ());
    host.sandbox.compile(None, echo.bytes.clone()).await.unwrap();
    let bytes = fs::metadata(only(folder.path())).unwrap().len();
    // Room for two such files, and for one account half of one.
    let host = Host::at(folder.path(), |limits| limits.compiled_bytes = bytes * 2);
    host.sandbox.compile(None, echo.bytes.clone()).await.unwrap();
    let someone = Some(Account::new(1));
    for component in [&desk, &guest("spy"), &guest("loop")] {
        host.sandbox.compile(someone, component.bytes.clone()).await.unwrap();
        let found = compiled(folder.path());
        assert!(found.len() <= 2, "{found:?}");
        assert!(
            found
                .iter()
                .any(|file| file.to_str().unwrap().contains(&echo.digest.hex())),
            "the server's own stays: {found:?}"
        );
    }
    // What was removed is compiled again, at the first use that does not find it in memory either.
    let host = Host::at(folder.path(), |_| ());
    host.sandbox.compile(someone, desk.bytes.clone()).await.unwrap();
}

#[tokio::test]
async fn bytes_of_another_component_are_not_run_under_a_digest() {
    let host = Host::new();
    let (echo, standard) = (guest("echo"), plugin("standard"));
    let swapped = PlannedComponent {
        digest: echo.digest,
        source: Arc::new(standard.bytes.clone()),
    };
    assert_eq!(run(&host, swapped).await.unwrap_err().kind(), ErrorKind::Internal);
    assert!(compiled(host.folder()).is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_never_loaded_and_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let echo = guest("echo");
    Host::at(folder.path(), |_| ())
        .sandbox
        .compile(None, echo.bytes.clone())
        .await
        .unwrap();
    let file = only(folder.path());
    let whole = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let longer = [&whole[..], b"\0"].concat();
    let damaged = [
        flipped(0),
        flipped(8),
        flipped(39),
        flipped(40),
        flipped(whole.len() / 2),
        flipped(whole.len() - 1),
        longer,
        whole[..whole.len() - 1].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..40].to_vec(),
        whole[..39].to_vec(),
        whole[..7].to_vec(),
        Vec::new(),
        // As wasmtime would take it, but not written by us.
        whole[40..].to_vec(),
    ];
    for (case, bytes) in damaged.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        let host = Host::at(folder.path(), |_| ());
        is_missing(&host, &echo).await;
        run(&host, echo.planned())
            .await
            .unwrap_or_else(|error| panic!("case {case}: {error:?}"));
        // It is whole again, for the next one.
        let next = Host::at(folder.path(), |_| ());
        run(&next, echo.planned_from_cache())
            .await
            .unwrap_or_else(|error| panic!("case {case}: {error:?}"));
    }
}

#[tokio::test]
async fn a_file_does_not_pass_for_another_component() {
    let folder = tempfile::tempdir().unwrap();
    let (echo, standard) = (guest("echo"), plugin("standard"));
    Host::at(folder.path(), |_| ())
        .sandbox
        .compile(None, echo.bytes.clone())
        .await
        .unwrap();
    let file = only(folder.path());
    let name = file
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .replace(&echo.digest.hex(), &standard.digest.hex());
    fs::copy(&file, folder.path().join(name)).unwrap();
    let host = Host::at(folder.path(), |_| ());
    is_missing(&host, &standard).await;
    run(&host, echo.planned_from_cache()).await.unwrap();
    run(&host, standard.planned()).await.unwrap();
    let next = Host::at(folder.path(), |_| ());
    run(&next, standard.planned_from_cache()).await.unwrap();
}

#[tokio::test]
async fn code_of_another_compiler_and_halves_are_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let echo = guest("echo");
    Host::at(folder.path(), |_| ())
        .sandbox
        .compile(None, echo.bytes.clone())
        .await
        .unwrap();
    let file = only(folder.path());
    fs::rename(
        &file,
        folder
            .path()
            .join(format!("{}-0123456789abcdef.cwasm", echo.digest.hex())),
    )
    .unwrap();
    fs::write(folder.path().join(format!("{}-0.tmp", echo.digest.hex())), b"half").unwrap();
    fs::write(folder.path().join("notes.txt"), b"not ours").unwrap();
    let host = Host::at(folder.path(), |_| ());
    assert_eq!(compiled(folder.path()), [folder.path().join("notes.txt")]);
    is_missing(&host, &echo).await;
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_time_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("compiled");
    let host = Host::at(&path, |_| ());
    fs::remove_dir(&path).unwrap();
    fs::write(&path, b"in the way").unwrap();
    run(&host, guest("echo").planned()).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_fails_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"").unwrap();
    let limits = riad_core::Limits::default();
    let error = riad_sandbox::WasmSandbox::new(&path, &limits, riad_sandbox::Compiler::InProcess)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Internal);
}
