//! Servers that are slow, die, lie, or are not there.

use super::{MODEL, TEXT, ask, failing, open, prompt_tokens, saying, with};
use riad_core::{
    ErrorKind,
    chat::{FinishReason, Sampling},
};
use riad_fakes::model_server::{Fault, ModelServer, Script};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_before_its_first_token_is_replaced() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::DiesBehind(0),
    ] {
        let (bad, good) = (
            ModelServer::start(with(fault)).await,
            ModelServer::start(saying(TEXT)).await,
        );
        let engine = open(&[&bad, &good], None).await;
        // Once more than it takes to leave the bad one alone.
        for _ in 0..4 {
            let answer = ask(&engine, &Sampling::greedy(64)).await.unwrap();
            assert_eq!(answer.text, TEXT, "{fault:?}");
        }
        assert_eq!(good.asked().len(), 4);
        assert!(
            (1..4).contains(&bad.asked().len()),
            "{fault:?}: {} times",
            bad.asked().len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_its_answer_is_an_error_and_no_other_is_asked() {
    let (bad, good) = (
        ModelServer::start(with(Fault::DiesBehind(3))).await,
        ModelServer::start(saying(TEXT)).await,
    );
    let engine = open(&[&bad, &good], None).await;
    let (error, _, usage) = failing(&engine).await;
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(
        (usage.prompt_tokens, usage.completion_tokens),
        (prompt_tokens(&engine), 3)
    );
    assert_eq!((bad.asked().len(), good.asked().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_reads_less_than_promised_is_not_asked() {
    let server = ModelServer::start(with(Fault::Reads(100))).await;
    let engine = open(&[&server], None).await;
    while engine.batch().model_loaded {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = ask(&engine, &Sampling::greedy(64)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(server.asked().is_empty());
    let context = engine.profile().context_tokens;
    let server = ModelServer::start(with(Fault::Reads(context))).await;
    let engine = open(&[&server], None).await;
    assert_eq!(ask(&engine, &Sampling::greedy(64)).await.unwrap().text, TEXT);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_words_of_another_model() {
    for fault in [Fault::WrongModel, Fault::Nameless] {
        let server = ModelServer::start(with(fault)).await;
        let engine = open(&[&server], None).await;
        let (error, text, usage) = failing(&engine).await;
        assert_eq!((error.kind(), text.as_str()), (ErrorKind::Unavailable, ""), "{fault:?}");
        assert_eq!(usage.completion_tokens, 0);
        assert_eq!(server.asked()[0]["model"], MODEL);

        let good = ModelServer::start(saying(TEXT)).await;
        let engine = open(&[&server, &good], None).await;
        assert_eq!(
            ask(&engine, &Sampling::greedy(64)).await.unwrap().text,
            TEXT,
            "{fault:?}"
        );
    }
}

/// One tenant's request must not make servers unavailable for the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_every_server_refuses_is_the_requests_fault() {
    for fault in [Fault::Status(500), Fault::ErrorEvent, Fault::Status(400)] {
        let servers = [
            ModelServer::start(with(fault)).await,
            ModelServer::start(with(fault)).await,
            ModelServer::start(with(fault)).await,
        ];
        let engine = open(&[&servers[0], &servers[1], &servers[2]], None).await;
        for _ in 0..3 {
            failing(&engine).await;
        }
        for server in &servers {
            server.answer(saying(TEXT));
        }
        let sampling = Sampling::greedy(64);
        let answers = futures::future::join_all((0..3).map(|_| ask(&engine, &sampling))).await;
        assert!(answers.iter().all(Result::is_ok), "{fault:?}");
        assert!(servers.iter().all(|server| !server.asked().is_empty()), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_is_billed_whatever_the_server_says() {
    for fault in [Fault::None, Fault::WrongUsage, Fault::NoUsage] {
        let server = ModelServer::start(with(fault)).await;
        let engine = open(&[&server], None).await;
        let usage = ask(&engine, &Sampling::greedy(64)).await.unwrap().end.usage;
        assert_eq!(usage.prompt_tokens, prompt_tokens(&engine), "{fault:?}");
        assert_eq!(usage.completion_tokens as usize, saying(TEXT).events.len(), "{fault:?}");
    }
}

/// As llama.cpp's server: what it says of its usage is all that is known of it.
#[tokio::test(flavor = "multi_thread")]
async fn texts_without_tokens_are_answers_where_nothing_needs_the_tokens() {
    let text_only = Script {
        events: vec![vec![1, 2], vec![3], vec![4]],
        texts: vec!["The café ".to_owned(), "opens".to_owned(), " late.".to_owned()],
        ..with(Fault::NoTokens)
    };
    let server = ModelServer::start(text_only.clone()).await;
    let engine = open(&[&server], None).await;
    let answer = ask(&engine, &Sampling::greedy(64)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.tokens()), ("The café opens late.", 4));
    assert_eq!(answer.finish(), FinishReason::Stop);

    let sampling = Sampling {
        logprobs: Some(1),
        ..Sampling::greedy(64)
    };
    let error = ask(&engine, &sampling).await.unwrap_err();
    assert!(error.message().contains("logprobs"), "{error}");
}

/// It cannot be billed.
#[tokio::test(flavor = "multi_thread")]
async fn texts_without_tokens_and_usage_are_an_error() {
    let script = Script {
        texts: vec!["Words".to_owned()],
        ..with(Fault::OnlyTexts)
    };
    let server = ModelServer::start(script).await;
    let engine = open(&[&server], None).await;
    let (error, ..) = failing(&engine).await;
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_answer_is_to_come_later() {
    let server = ModelServer::start(saying(TEXT)).await;
    let engine = open(&[&server], None).await;
    ask(&engine, &Sampling::greedy(64)).await.unwrap();
    drop(server);
    // The connection that is kept may outlive the server's task for a moment.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (error, text, usage) = failing(&engine).await;
    assert_eq!((error.kind(), text.as_str()), (ErrorKind::Unavailable, ""));
    assert!(error.retry_after().is_some());
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_with_the_least_to_do_is_asked() {
    let slow = Script {
        pause: Duration::from_millis(50),
        ..saying(TEXT)
    };
    let servers = [ModelServer::start(slow.clone()).await, ModelServer::start(slow).await];
    let engine = open(&[&servers[0], &servers[1]], None).await;
    let sampling = Sampling::greedy(64);
    let answers = futures::future::join_all((0..4).map(|_| ask(&engine, &sampling))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(servers.map(|server| server.asked().len()), [2, 2]);
}
