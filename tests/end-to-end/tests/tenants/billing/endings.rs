//! However a chat ends, what was generated until then is billed, and nothing else.

use super::{QUESTION, assert_closes, number, priced, public_key, signed, used};
use reqwest::Method;
use riad_core::price::Usage;
use riad_end_to_end::{Chat, Stream, Tenant, TestHost, files};
use serde_json::Value;
use std::time::Duration;

const STAGES: &[&str] = &["retrieval", "prompting", "postprocessing"];
/// Tokens of a long answer.
const LONG: u64 = 450;

/// With a plugin that hands the question to the model as it is.
async fn echoing(host: &TestHost) -> Tenant {
    let acme = host.tenant("acme").await;
    acme.deploy("echo", files::ECHO, STAGES).await;
    acme
}

/// The small model repeats such a question for as long as it may.
fn long() -> Chat {
    Chat::new(&"x".repeat(200)).with("max_tokens", LONG)
}

async fn ended(host: &TestHost, count: usize, outcome: &str) -> Value {
    let entry = host.entries_when("acme", count).await.pop().unwrap();
    assert_eq!(entry["outcome"], outcome, "{entry}");
    signed(&entry, &public_key(host).await);
    entry
}

/// Reads pieces of text until there are enough, and goes away. Returns how many it got.
async fn hang_up(acme: &Tenant, chat: &Chat, enough: usize) -> u64 {
    let mut stream = acme.stream(chat).await;
    let mut pieces = 0;
    while pieces < enough {
        let event = stream.next_json().await;
        let text = event["choices"][0]["delta"]["content"].as_str();
        pieces += usize::from(text.is_some_and(|text| !text.is_empty()));
    }
    drop(stream);
    pieces as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_pays_for_what_was_generated() {
    let host = priced().await;
    let acme = echoing(&host).await;
    let whole = acme.stream(&long()).await.rest().await;
    let whole = Stream::riad(&whole)["receipt"].clone();
    assert_eq!(
        number(&whole, "completion_tokens"),
        LONG,
        "too short to hang up in the middle"
    );

    for (count, choices) in [(2, 1), (3, 3)] {
        let got = hang_up(&acme, &long().with("n", choices), 5).await;
        let entry = ended(&host, count, "cancelled").await;
        let completion = number(&entry, "completion_tokens");
        assert!(completion >= got, "{got} pieces came: {entry}");
        assert!(completion < choices * LONG, "it went on for nobody: {entry}");
        assert_eq!(number(&entry, "requests"), 1);
        // A choice that had not begun when the client left has read no prompt.
        let prompts = number(&entry, "prompt_tokens") / number(&whole, "prompt_tokens");
        assert!((1..=choices).contains(&prompts), "{entry}");
        assert_eq!(number(&entry, "prompt_tokens") % number(&whole, "prompt_tokens"), 0);
    }

    // The whole answer is asked for, and the client leaves before a byte of it came.
    let asked = acme
        .request(Method::POST, "/v1/chat/completions")
        .json(&long().with("n", 8).body(false));
    let left = asked.timeout(Duration::from_millis(150)).send().await;
    assert!(left.is_err_and(|error| error.is_timeout()));
    let entry = ended(&host, 4, "cancelled").await;
    assert!(number(&entry, "completion_tokens") < 8 * LONG, "{entry}");

    // No generation keeps the next tenant's place, and the run's ledger equals the engine's count to the token.
    acme.chat(&Chat::new("Hello").with("max_tokens", 2)).await;
    let host = host.restart().await;
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_plugin_is_billed_for_what_it_used() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| {
            limits.guest_ms = 300;
            limits.guest_fuel = 100_000_000_000;
        })
        .start()
        .await;
    let acme = host.tenant("acme").await;
    acme.deploy("loop", files::LOOP, &["prompting"]).await;
    acme.try_chat(&Chat::new(QUESTION))
        .await
        .refused(422, "plugin_limit_exceeded");
    let entry = ended(&host, 1, "plugin_failed").await;
    let before = used(&entry);
    assert!(before.fuel > 0, "it ran for a third of a second");
    let nothing_generated = Usage {
        fuel: before.fuel,
        embedded_tokens: before.embedded_tokens,
        ..Usage::default()
    };
    assert_eq!(before, nothing_generated, "no generation, no request, no prompt");
    assert_eq!(entry["plugin"], "loop");

    acme.deploy("trap", files::TRAP_IN_STREAM, &["postprocessing"]).await;
    let events = acme.stream(&Chat::new(QUESTION)).await.rest().await;
    assert_eq!(events.last().unwrap()["error"]["code"], "plugin_failed");
    let entry = ended(&host, 2, "plugin_failed").await;
    let during = used(&entry);
    assert!(during.completion_tokens > 0 && during.prompt_tokens > 0, "{during:?}");
    assert_eq!((during.requests, &entry["plugin"]), (1, &"trap".into()));

    // A prompt that is too long was searched for and built, and never read by the model.
    acme.reset_pipeline().await;
    let too_long = Chat::new(QUESTION).with("max_tokens", 1020);
    acme.try_chat(&too_long).await.refused(400, "context_length_exceeded");
    let entry = ended(&host, 3, "refused").await;
    assert_eq!(
        (
            used(&entry).prompt_tokens,
            used(&entry).completion_tokens,
            used(&entry).requests
        ),
        (0, 0, 0)
    );

    let host = host.restart().await;
    assert_closes(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_takes_too_long_is_billed_for_the_time_it_had() {
    let host = TestHost::builder()
        .max_sequences(1)
        .limits(|limits| limits.request_ms = 400)
        .start()
        .await;
    let acme = echoing(&host).await;
    let chat = long().with("n", 8);
    acme.try_chat(&chat).await.refused(504, "timeout");
    let entry = ended(&host, 1, "timed_out").await;
    assert!(number(&entry, "completion_tokens") > 0, "{entry}");
    let events = acme.stream(&chat).await.rest().await;
    assert_eq!(events.last().unwrap()["error"]["code"], "timeout");
    let entry = ended(&host, 2, "timed_out").await;
    let pieces: usize = (0..8)
        .map(|choice| {
            Stream::deltas(&events, choice)
                .iter()
                .filter(|text| !text.is_empty())
                .count()
        })
        .sum();
    assert!(
        number(&entry, "completion_tokens") >= pieces as u64,
        "{pieces} pieces: {entry}"
    );
    let host = host.restart().await;
    assert_closes(&host).await;
}
