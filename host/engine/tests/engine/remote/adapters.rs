//! Adapters that servers load when they are asked for.

use super::{TEXT, ask_with, open, saying, with};
use crate::common::{ask, shipped};
use riad_core::{Account, ErrorKind, chat::Sampling, ports::EnginePermit};
use riad_fakes::model_server::{Fault, ModelServer};

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
    let name = format!("1.{}", acme.generation);
    assert_eq!(server.asked()[1]["model"], name);
    assert_eq!(server.adapters(), std::slice::from_ref(&name));
    assert_eq!(engine.adapter_counts().resident, 1);
    assert_eq!(engine.resident_bytes().len(), 1);

    ask_with(&engine, &globex).await.unwrap();
    let other = format!("1.{}", globex.generation);
    assert_eq!(server.adapters(), [name.clone(), format!("-{name}"), other]);
    let counts = engine.adapter_counts();
    assert_eq!((counts.resident, counts.loads, counts.evictions), (1, 2, 1));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "files of adapters that no server has go"
    );
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
    assert_eq!(
        names,
        [format!("1.{}", source.generation), format!("2.{}", source.generation)]
    );
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
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
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
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    ask_with(&engine, &source).await.unwrap();
    assert_eq!(server.adapters().len(), 2);
}
