//! Who waits for the compiler: nobody for another account's uploads, and the compiler for nobody who has gone. The compiler is a
//! script, which never ends with a component that says so, and finds a fault in every other.
#![cfg(target_os = "linux")]

use crate::host::{soon, until};
use bytes::Bytes;
use riad_core::{Account, ErrorKind, Limits, Result, ports::ComponentInfo, ports::Sandbox};
use riad_sandbox::{Compiler, Unconfined, WasmSandbox};
use std::{fs, path::Path, sync::Arc};
use tokio::task::JoinHandle;

/// What every component begins with.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
const ENDLESS: &str = "endless";

struct Shared {
    sandbox: Arc<WasmSandbox>,
    folder: tempfile::TempDir,
}

impl Shared {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = folder.path().join("running");
        fs::create_dir(&running).unwrap();
        let running = running.to_str().unwrap();
        // Confined, rejected, why.
        let script = format!(
            r"cat > {running}/../$$; if grep -q {ENDLESS} {running}/../$$; then > {running}/$$; exec sleep 3600; fi; printf '\001\001no'"
        );
        let compiler = Compiler::Child {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script],
            unconfined: Unconfined::Any,
        };
        let compiled = folder.path().join("compiled");
        let sandbox = WasmSandbox::new(&compiled, &Limits::default(), compiler).unwrap();
        Self {
            sandbox: Arc::new(sandbox),
            folder,
        }
    }

    fn upload(&self, account: u64, text: &str) -> JoinHandle<Result<ComponentInfo>> {
        let component = Bytes::from([HEADER, text.as_bytes()].concat());
        let sandbox = Arc::clone(&self.sandbox);
        tokio::spawn(async move { sandbox.compile(Some(Account::new(account)), component).await })
    }

    /// Compilers that have begun one that is endless and have not been killed.
    fn running(&self) -> usize {
        let begun = fs::read_dir(self.folder.path().join("running")).unwrap();
        begun
            .filter(|entry| is_alive(&entry.as_ref().unwrap().file_name().to_string_lossy()))
            .count()
    }
}

fn is_alive(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

#[tokio::test]
async fn an_accounts_uploads_leave_a_place_in_the_compiler() {
    let shared = Shared::new();
    let endless = shared.upload(1, "endless 1");
    until(|| shared.running() == 1).await;
    let more = shared.upload(1, "endless 2");
    let neighbor = soon(shared.upload(2, "faulty")).await.unwrap().unwrap_err();
    assert_eq!((neighbor.kind(), neighbor.message()), (ErrorKind::InvalidRequest, "no"));
    assert_eq!(shared.running(), 1, "the account's second one waits");
    endless.abort();
    until(|| shared.running() == 1 && endless.is_finished()).await;
    more.abort();
    until(|| shared.running() == 0).await;
}

#[tokio::test]
async fn a_compilation_ends_with_the_last_who_waits_for_it() {
    let shared = Shared::new();
    let uploads = [shared.upload(1, "endless"), shared.upload(1, "endless")];
    until(|| shared.running() == 1).await;
    let [first, second] = uploads;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(shared.running(), 1, "another waits for the same");
    second.abort();
    until(|| shared.running() == 0).await;
    // And its place is free.
    soon(shared.upload(1, "faulty")).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn too_many_components_of_one_account_are_refused() {
    let shared = Shared::new();
    let uploads: Vec<_> = (0..8)
        .map(|number| shared.upload(1, &format!("endless {number}")))
        .collect();
    until(|| uploads.iter().any(JoinHandle::is_finished)).await;
    until(|| shared.running() == 1).await;
    let mut refused = Vec::new();
    for upload in uploads {
        match upload.is_finished() {
            true => refused.push(upload.await.unwrap().unwrap_err()),
            false => upload.abort(),
        }
    }
    assert!(!refused.is_empty());
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.retry_after().is_some());
    }
}
