//! Plugins that misbehave, deployed over HTTP by one tenant while another chats: each fails its own requests with an error that
//! says which limit it met, nobody else notices, and its tenant is served again as soon as it takes the plugin out.
//! Not here: the limits one by one (`riad-sandbox`), components that are refused at upload (`bad_input`).

use riad_core::Limits;
use riad_end_to_end::{Answer, Chat, Stream, Tenant, TestHost, files};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::task::JoinHandle;

const QUESTION: &str = "What is the refund window?";
/// Guest time of a call: short, so that the test is; the guests that behave need a hundredth of it.
const GUEST_MS: u64 = 1_000;

/// So much fuel that time ends first, on any machine.
fn limits(limits: &mut Limits) {
    limits.guest_ms = GUEST_MS;
    limits.guest_fuel = 100_000_000_000;
}

fn text(answer: &Value) -> String {
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// The good neighbor: chats without a pause, and wants the same answer each time.
struct Neighbor {
    answers: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Neighbor {
    async fn start(tenant: Tenant) -> Self {
        let (answers, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, ended) = (answers.clone(), stop.clone());
        let alone = text(&tenant.chat(&Chat::new(QUESTION)).await);
        assert!(!alone.is_empty());
        let task = tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let answer = tenant.chat(&Chat::new(QUESTION)).await;
                assert_eq!(text(&answer), alone);
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { answers, stop, task }
    }

    fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

fn assert_refused(what: &str, answer: &Answer, code: &str, words: &[&str]) {
    assert_eq!(answer.status.as_u16(), 422, "{what}: {}", answer.body);
    assert_eq!(answer.code(), code, "{what}: {}", answer.body);
    assert_eq!(answer.text("/error/type"), "plugin_error");
    for word in words {
        assert!(
            answer.message().contains(word),
            "{what}: {} lacks {word:?}",
            answer.message()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_plugin_fails_alone_and_says_which_limit_it_met() {
    let host = TestHost::builder().limits(limits).start().await;
    let (acme, globex) = host.neighbors().await;
    let own = text(&globex.chat(&Chat::new(QUESTION)).await);
    let neighbor = Neighbor::start(acme).await;

    let time = format!("took more than {GUEST_MS} ms of guest time");
    for (name, component, code, words) in [
        (
            "loop",
            files::LOOP,
            "plugin_limit_exceeded",
            [time.as_str(), "prompting"],
        ),
        (
            "memory-bomb",
            files::MEMORY_BOMB,
            "plugin_limit_exceeded",
            ["used more than 64 MiB of memory", "prompting"],
        ),
        (
            "recursion",
            files::RECURSION,
            "plugin_limit_exceeded",
            ["used more than 512 KiB of stack", "prompting"],
        ),
        (
            "big-output",
            files::BIG_OUTPUT,
            "plugin_limit_exceeded",
            ["passed more than 1 MiB to the host", "prompting"],
        ),
        (
            "endless-sql",
            files::ENDLESS_SQL,
            "plugin_failed",
            ["500 ms", "prompting"],
        ),
    ] {
        let version = globex.deploy(name, component, &["prompting"]).await;
        let before = neighbor.answers();
        // Several at once: a guest that takes all it can get leaves the same to the next.
        let chat = Chat::new(QUESTION);
        let (one, two, three) = tokio::join!(globex.try_chat(&chat), globex.try_chat(&chat), globex.try_chat(&chat));
        for answer in [one, two, three] {
            assert_refused(name, &answer, code, &words);
            assert!(
                answer.message().contains(&version[..19]),
                "{name}: {}",
                answer.message()
            );
        }
        // Before the first byte, so that a stream is refused with a status too.
        let streamed = globex
            .request(reqwest::Method::POST, "/v1/chat/completions")
            .json(&chat.body(true));
        assert_refused(name, &globex.send(streamed).await, code, &words);
        let logs = globex.get("/v1/logs").await.ok();
        let latest = logs["data"].as_array().unwrap().last().unwrap();
        assert_eq!(latest["level"], "error");
        assert!(
            latest["message"].as_str().unwrap().contains(words[0]),
            "{name}: {latest}"
        );

        // A guest may end sooner than the neighbor's model can answer: it goes on until that has.
        for _ in 0..1000 {
            if neighbor.answers() > before {
                break;
            }
            assert_refused(name, &globex.try_chat(&chat).await, code, &words);
        }
        assert!(
            neighbor.answers() > before,
            "{name}: the neighbor was not served meanwhile"
        );
        globex.reset_pipeline().await;
        assert_eq!(
            text(&globex.chat(&chat).await),
            own,
            "{name}: the next request is not served"
        );
    }
    neighbor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_traps_ends_its_stream_with_an_error() {
    let host = TestHost::builder().max_sequences(1).start().await;
    let (acme, globex) = host.neighbors().await;
    let own = globex.chat(&Chat::new(QUESTION)).await;
    let neighbor = Neighbor::start(acme).await;
    globex.deploy("trap", files::TRAP_IN_STREAM, &["postprocessing"]).await;

    for _ in 0..3 {
        let events = globex.stream(&Chat::new(QUESTION)).await.rest().await;
        let (last, rest) = events.split_last().unwrap();
        assert_eq!(rest[0]["choices"][0]["delta"]["role"], "assistant");
        let said = Stream::text(rest, 0);
        assert!(!said.is_empty() && text(&own).starts_with(&said), "{said:?}");
        assert!(rest.iter().all(|event| event.get("error").is_none()));
        // No [DONE] after it: what was cut off is not taken for a whole answer.
        assert_eq!(last["error"]["code"], "plugin_failed", "{last}");
        assert_eq!(last["error"]["type"], "plugin_error");
        let message = last["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("postprocessing") && message.contains("trapped"),
            "{message}"
        );
    }
    let whole = globex.try_chat(&Chat::new(QUESTION)).await;
    assert_refused("trap", &whole, "plugin_failed", &["postprocessing", "trapped"]);

    globex.reset_pipeline().await;
    assert_eq!(text(&globex.chat(&Chat::new(QUESTION)).await), text(&own));
    assert!(neighbor.answers() > 0);
    neighbor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_hostile_requests_than_instances_leave_neighbors_served() {
    let host = TestHost::builder()
        .limits(|limits| {
            limits.guest_ms = 500;
            limits.guest_instances = 8;
        })
        .start()
        .await;
    let (acme, globex) = host.neighbors().await;
    let expected = text(&acme.chat(&Chat::new(QUESTION)).await);
    globex.deploy("bomb", files::MEMORY_BOMB, &["prompting"]).await;

    let chat = Chat::new(QUESTION);
    let bombs = futures::future::join_all((0..24).map(|_| globex.try_chat(&chat)));
    let chats = futures::future::join_all((0..8).map(|_| acme.try_chat(&chat)));
    let (bombs, chats) = tokio::join!(bombs, chats);
    for answer in bombs {
        // Refused for its own fault, or because nothing was free: never anything else.
        assert!(
            ["plugin_limit_exceeded", "rate_limit_exceeded"].contains(&answer.code().as_str()),
            "{}",
            answer.body
        );
    }
    for answer in chats {
        assert_eq!(text(&answer.ok()), expected);
    }
}
