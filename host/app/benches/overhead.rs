//! `cargo bench --workspace --bench overhead`: what Riad adds to the engine's own time in one non-streamed chat. The engine is a fake
//! that answers at once; all else is real: HTTP on 127.0.0.1, keys, rooms on the disk, the standard pipeline in WebAssembly, budgets, the
//! fair queue, the durable ledger, signed receipts, metrics and the log.
//!
//! Measured in turns in the same run, one request after the other, because absolute times on a shared machine say little: the engine
//! alone, HTTP to a route that calls it (`overhead/floor.rs`), Riad with a room that is empty and with one that has documents, and with
//! `--litellm PYTHON` LiteLLM's proxy in front of that route. A chat waits for what is reserved and settled to be on the disk; so one
//! synced write to the same disk is measured beside it, and Riad a second time with its data in memory, where the machine has such a
//! place: that is what the platform itself takes.
//!
//! Then the same again with a stopwatch at each port, which says where the time goes. `--rounds N` sets how often each is asked.
//! In the end the ledgers must close: what was measured was billed, to the token.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark reports on standard output and fails by panicking"
)]

#[path = "overhead/engine.rs"]
mod engine;
#[path = "overhead/floor.rs"]
mod floor;
#[path = "overhead/litellm.rs"]
mod litellm;
#[path = "overhead/platform.rs"]
mod platform;
#[path = "overhead/probes.rs"]
mod probes;
#[path = "overhead/report.rs"]
mod report;
#[path = "overhead/stopwatch.rs"]
mod stopwatch;

use engine::{FixedEngine, MAX_TOKENS, MODEL, TOKENS, bare};
use platform::{DOCUMENTS, Platform};
use report::{Parts, Row, median, micros};
use riad_core::{Secret, chat::Message};
use serde_json::{Value, json};
use std::{
    env,
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use stopwatch::Stopwatch;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

const QUESTION: &str = "How long does the fast charger take to fill a large battery, and what must I not do with it?";
/// A file system in memory, where there is one.
const MEMORY: &str = "/dev/shm";
const WARM_UP: usize = 100;
/// About what the ledger writes in one commit.
const SYNCED_BYTES: usize = 16 << 10;
/// Rounds between two synced writes: who is asked after one finds a processor that has slept.
const SYNC_EVERY: usize = 8;
const AIM: Duration = Duration::from_millis(1);

struct Options {
    rounds: usize,
    litellm: Option<PathBuf>,
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("overhead: run it with `cargo bench --workspace --bench overhead`");
        return;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")))
    };
    let options = Options {
        rounds: value("--rounds").map_or(1000, |rounds| rounds.parse().expect("--rounds is a number")),
        litellm: value("--litellm").map(PathBuf::from),
    };
    assert!(options.rounds > 0, "--rounds is at least 1");
    let log = log();
    // The servers have their threads, as in processes of their own.
    let servers = Builder::new_multi_thread().enable_all().build().unwrap();
    let client = Builder::new_current_thread().enable_all().build().unwrap();
    compare(&servers, &client, &options);
    explain(&servers, &client, options.rounds.div_ceil(2));
    drop(log);
}

/// The log is written as a server writes it, but to a file.
fn log() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines = fmt::layer()
        .with_writer(Arc::new(file.reopen().unwrap()))
        .with_ansi(false)
        .with_filter(EnvFilter::new("warn,riad=info"));
    tracing_subscriber::registry().with(lines).init();
    file
}

fn compare(servers: &Runtime, client: &Runtime, options: &Options) {
    let engine = Arc::new(FixedEngine::new());
    let upstream = servers.block_on(floor::start(engine.clone()));
    let disk = servers.block_on(Platform::open(None, None));
    let memory = memory().map(|place| servers.block_on(Platform::open(Some(place), None)));
    let proxy = options.litellm.as_ref().map(|python| {
        let web = web_client();
        client.block_on(litellm::Proxy::start(python, MODEL, &upstream, &web))
    });

    let mut targets = vec![Target::new("HTTP to the engine", &upstream, None, None)];
    for (place, platform) in [("data on the disk", Some(&disk)), ("data in memory", memory.as_ref())] {
        let Some(platform) = platform else { continue };
        targets.push(Target::new(
            &format!("Riad, empty room, {place}"),
            &platform.url,
            Some(&platform.empty),
            Some(0),
        ));
        let name = format!("Riad, {DOCUMENTS} documents, {place}");
        targets.push(Target::new(&name, &platform.url, Some(&platform.filled), Some(1)));
    }
    if let Some(proxy) = &proxy {
        let key = Secret::new(litellm::KEY.to_owned());
        let name = format!("LiteLLM {} in front of that HTTP", proxy.version);
        targets.push(Target::new(&name, &proxy.url, Some(&key), None));
    }
    let mut alone = Vec::new();
    let mut syncs = Vec::new();
    let mut file = SyncedFile::new();
    client.block_on(async {
        for target in &targets {
            target.check().await;
        }
        for round in 0..WARM_UP + options.rounds {
            if round % SYNC_EVERY == 0 {
                syncs.push(file.write());
            }
            let call = call_alone(&engine).await;
            let mut times = Vec::new();
            // Nobody is always the first after the same one.
            for at in 0..targets.len() {
                let index = (at + round) % targets.len();
                times.push((index, targets[index].ask().await));
            }
            if round < WARM_UP {
                continue;
            }
            alone.push(call);
            for (index, time) in times {
                targets[index].times.push(time);
            }
        }
    });

    println!(
        "one non-streamed chat, {TOKENS} tokens in as many pieces, {} times each in turns, one after the other",
        options.rounds
    );
    println!();
    let mut rows = vec![Row {
        name: "the engine alone",
        times: &alone,
    }];
    rows.extend(targets.iter().map(|target| Row {
        name: &target.name,
        times: &target.times,
    }));
    rows.push(Row {
        name: "for comparison: one synced write to the disk",
        times: &syncs,
    });
    report::compare(&rows, [&alone, &targets[0].times]);
    println!();
    for target in targets.iter().filter(|target| target.passages.is_some()) {
        let over = micros(median(&target.times)) - micros(median(&alone));
        println!(
            "{}: {over:.0} µs over the engine at p50, {} the aim of {:.0} µs",
            target.name,
            if over <= micros(AIM) { "within" } else { "beyond" },
            micros(AIM)
        );
    }
    drop(proxy);
    let entries = servers.block_on(async {
        let mut entries = disk.close().await;
        if let Some(memory) = memory {
            entries += memory.close().await;
        }
        entries
    });
    println!("the ledgers close: {entries} entries, billed to the token what the engine counted");
    println!();
}

fn explain(servers: &Runtime, client: &Runtime, rounds: usize) {
    let watch = Stopwatch::default();
    let mut platforms = Vec::new();
    for (name, place) in [("disk", None), ("memory", memory())] {
        if name == "disk" || place.is_some() {
            platforms.push((name, servers.block_on(Platform::open(place, Some(&watch)))));
        }
    }
    let mut targets = Vec::new();
    for (place, platform) in &platforms {
        for (room, key, passages) in [("empty room", &platform.empty, 0), ("documents", &platform.filled, 1)] {
            let target = Target::new(room, &platform.url, Some(key), Some(passages));
            targets.push((target, Parts::new(format!("{room}, {place}"))));
        }
    }
    client.block_on(async {
        for round in 0..WARM_UP + rounds {
            for (target, parts) in &mut targets {
                watch.read();
                let whole = target.ask().await;
                if round >= WARM_UP {
                    parts.add(whole, watch.read());
                }
            }
        }
    });
    println!(
        "where the time goes, {rounds} times each, with a stopwatch at each port; the engine's part is not listed"
    );
    println!();
    let (_, rooms): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    report::explain(&rooms);
    servers.block_on(async {
        for (_, platform) in platforms {
            platform.close().await;
        }
    });
}

fn memory() -> Option<&'static Path> {
    Some(Path::new(MEMORY)).filter(|place| place.is_dir())
}

async fn call_alone(engine: &FixedEngine) -> Duration {
    let messages = vec![Message::user(QUESTION)];
    let begun = Instant::now();
    let (answer, usage) = bare(engine, messages, MAX_TOKENS).await.unwrap();
    let time = begun.elapsed();
    assert_eq!((answer, usage.completion_tokens), (engine::text(), TOKENS));
    time
}

/// A server that is asked, over a connection that stays open.
struct Target {
    name: String,
    client: reqwest::Client,
    url: String,
    key: Option<String>,
    /// Of Riad's: the least number of passages that the answer has; 0 is none at all.
    passages: Option<usize>,
    times: Vec<Duration>,
}

impl Target {
    fn new(name: &str, url: &str, key: Option<&Secret<String>>, passages: Option<usize>) -> Self {
        Self {
            name: name.to_owned(),
            client: web_client(),
            url: format!("{url}/v1/chat/completions"),
            key: key.map(|key| key.reveal().clone()),
            passages,
            times: Vec::new(),
        }
    }

    async fn ask(&self) -> Duration {
        let body = self.body();
        let begun = Instant::now();
        let (status, answer) = self.send(body).await;
        let time = begun.elapsed();
        assert_eq!(status, 200, "{}: {}", self.name, String::from_utf8_lossy(&answer));
        time
    }

    /// Everyone does the same work.
    async fn check(&self) {
        let (status, answer) = self.send(self.body()).await;
        assert_eq!(status, 200, "{}: {}", self.name, String::from_utf8_lossy(&answer));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            answer["choices"][0]["message"]["content"],
            engine::text(),
            "{}",
            self.name
        );
        assert_eq!(answer["usage"]["completion_tokens"], TOKENS, "{}", self.name);
        if let Some(least) = self.passages {
            let passages = answer["riad"]["passages"].as_array().unwrap().len();
            assert!(
                passages >= least && (least > 0 || passages == 0),
                "{}: {passages} passages",
                self.name
            );
        }
    }

    fn body(&self) -> Vec<u8> {
        let body = json!({
            "model": MODEL, "max_tokens": MAX_TOKENS, "temperature": 0,
            "messages": [{"role": "user", "content": QUESTION}],
        });
        serde_json::to_vec(&body).unwrap()
    }

    async fn send(&self, body: Vec<u8>) -> (u16, Vec<u8>) {
        let mut request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .body(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().into())
    }
}

fn web_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A file that is written over and over, as a write-ahead log is.
struct SyncedFile {
    file: File,
    written: usize,
}

impl SyncedFile {
    const BLOCKS: usize = 64;

    fn new() -> Self {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0; SYNCED_BYTES * Self::BLOCKS]).unwrap();
        file.sync_all().unwrap();
        Self { file, written: 0 }
    }

    fn write(&mut self) -> Duration {
        let at = (self.written % Self::BLOCKS) * SYNCED_BYTES;
        self.written += 1;
        let bytes = vec![u8::try_from(self.written % 251).unwrap(); SYNCED_BYTES];
        let begun = Instant::now();
        self.file.seek(SeekFrom::Start(at as u64)).unwrap();
        self.file.write_all(&bytes).unwrap();
        self.file.sync_data().unwrap();
        begun.elapsed()
    }
}
