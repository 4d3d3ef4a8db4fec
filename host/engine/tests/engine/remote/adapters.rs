//! Adapters that servers load when they are asked for.

use super::{INSTANCE, TEXT, ask_with, open, saying, with};
use crate::common::{ask, shipped};
use riad_core::{Account, ErrorKind, adapter::AdapterSource, chat::Sampling, ports::EnginePermit};
use riad_fakes::model_server::{Fault, ModelServer, Script};
use std::{path::Path, time::Duration};

fn name_of(account: u64, source: &AdapterSource) -> String {
    format!("{INSTANCE}-{account}.{}", source.generation)
}

/// Waits until the servers' folder has so many adapters: what no server has is removed a moment later.
async fn shares(folder: &Path, count: usize) {
    for _ in 0..1000 {
        if std::fs::read_dir(folder.join(INSTANCE)).unwrap().count() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{count} adapters are not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_is_loaded_once_and_makes_room_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let (acme, globex) = (ask::source(&shipped::acme()), ask::source(&shipped::globex()));
    for _ in 0..2 {
        let answer = ask_with(&engine, &acme).await.unwrap();
        assert_eq!(answer.end.adapter_tensors, acme.tensors);
    }
    let name = name_of(1, &acme);
    assert_eq!(server.asked()[1]["model"], name);
    assert_eq!(server.adapters(), std::slice::from_ref(&name));
    assert_eq!(engine.adapter_counts().resident, 1);
    assert_eq!(engine.resident_bytes().len(), 1);

    ask_with(&engine, &globex).await.unwrap();
    let other = name_of(1, &globex);
    assert_eq!(server.adapters(), [name.clone(), format!("-{name}"), other]);
    let counts = engine.adapter_counts();
    assert_eq!((counts.resident, counts.loads, counts.evictions), (1, 2, 1));
    shares(folder.path(), 1).await;
    assert!(engine.resident_adapter(&globex, Account::new(1)).is_some());
    assert!(engine.resident_adapter(&acme, Account::new(1)).is_none());
}

/// The same files of two accounts have two names: no server can take one's for the other's.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_share_no_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let source = ask::source(&shipped::acme());
    for account in [1, 2] {
        let mut generation = ask::generation(&engine, &super::question(), &Sampling::greedy(8), Some(&source));
        generation.account = Account::new(account);
        let stream = engine.generate(generation, EnginePermit::new(|| {})).await.unwrap();
        ask::read(stream).await.unwrap();
    }
    let names: Vec<_> = server.asked().iter().map(|body| body["model"].clone()).collect();
    assert_eq!(names, [name_of(1, &source), name_of(2, &source)]);
    assert!(
        engine.resident_adapter(&source, Account::new(1)).is_none(),
        "the other account's is there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_where_its_adapter_is() {
    let folder = tempfile::tempdir().unwrap();
    let servers = [
        ModelServer::start(saying(TEXT)).await,
        ModelServer::start(saying(TEXT)).await,
    ];
    let engine = open(&[&servers[0], &servers[1]], Some(folder.path())).await;
    let (acme, globex) = (ask::source(&shipped::acme()), ask::source(&shipped::globex()));
    // Held, so that neither is unloaded for the other.
    let _held = engine.load_adapter(&acme, Account::new(1)).await.unwrap();
    for _ in 0..3 {
        ask_with(&engine, &globex).await.unwrap();
        ask_with(&engine, &acme).await.unwrap();
    }
    for server in &servers {
        assert_eq!(server.adapters().len(), 1, "{:?}", server.adapters());
        assert_eq!(server.asked().len(), 3);
        assert!(server.asked().iter().all(|body| body["model"] == server.adapters()[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_for_it_an_adapter_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let (acme, globex) = (ask::source(&shipped::acme()), ask::source(&shipped::globex()));
    let held = engine.load_adapter(&acme, Account::new(1)).await.unwrap();
    let error = ask_with(&engine, &globex).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(held);
    ask_with(&engine, &globex).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_adapter_is_never_the_base_model() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(with(Fault::RefusesAdapters)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let error = ask_with(&engine, &ask::source(&shipped::acme())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AdapterFailed);
    assert!(server.asked().is_empty());
    shares(folder.path(), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_are_refused_where_there_is_no_folder_for_them() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    let error = engine.inspect_adapter(&ask::files(&shipped::acme())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    let error = ask_with(&engine, &ask::source(&shipped::acme())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

/// What the local engine says of the same files, without the base model's weights.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_inspected_as_by_the_local_engine() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let remote = open(&[&server], Some(folder.path())).await;
    let _exclusive = crate::exclusive().await;
    let local = ask::open(&shipped::base(), 1).await;
    let files = ask::files(&shipped::acme());
    assert_eq!(
        remote.inspect_adapter(&files).unwrap(),
        local.inspect_adapter(&files).unwrap()
    );
    let damaged = riad_core::adapter::AdapterFiles {
        weights: files.weights.slice(..files.weights.len() - 1),
        ..files
    };
    assert!(remote.inspect_adapter(&damaged).is_err());
}

/// As after a restart of the server: the list of its models says what it has.
#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_a_server_has_lost_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let source = ask::source(&shipped::acme());
    ask_with(&engine, &source).await.unwrap();
    server.forget_adapters();
    for _ in 0..1500 {
        if engine.resident_adapter(&source, Account::new(1)).is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ask_with(&engine, &source).await.unwrap();
    assert_eq!(server.adapters().len(), 2);
}

/// As after a restart of this process: the server has the name, from files that are gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_from_before_a_restart_is_loaded_from_files_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let source = ask::source(&shipped::acme());
    let name = name_of(1, &source);
    server.remember_adapter(&name);
    ask_with(&engine, &source).await.unwrap();
    assert_eq!(server.adapters(), [format!("-{name}"), name]);
}

/// Nobody waits for the next look at the server: it says itself that it does not have the adapter.
#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_a_server_does_not_know_is_loaded_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], Some(folder.path())).await;
    let source = ask::source(&shipped::acme());
    for _ in 0..3 {
        ask_with(&engine, &source).await.unwrap();
        server.forget_adapters();
    }
    assert_eq!(server.adapters().len(), 3);
}

/// One that waits for a place gets it when a generation ends, and holds no permit meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_loads_an_adapter_waits_for_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let server = ModelServer::start(Script {
        pause: Duration::from_millis(20),
        ..saying(TEXT)
    })
    .await;
    let engine = open(&[&server], Some(folder.path())).await;
    let (acme, globex) = (ask::source(&shipped::acme()), ask::source(&shipped::globex()));
    let held = engine.load_adapter(&acme, Account::new(1)).await.unwrap();
    let waiting = tokio::spawn({
        let (engine, globex) = (std::sync::Arc::clone(&engine), globex.clone());
        async move { engine.load_adapter(&globex, Account::new(2)).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    drop(held);
    waiting.await.unwrap().unwrap();
    assert_eq!(server.adapters().last(), Some(&name_of(2, &globex)));
}
