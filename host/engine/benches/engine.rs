//! `cargo xtask bench engine [-- MODEL [--rounds=N] [--bf16] [--slowdown=X] [--rows=N]]`: tokens per second and times to the first token by the number of requests and
//! adapters, what a long prompt of another tenant does to a stream, what the prefix cache saves and whether its timing tells tenants
//! anything, how quickly an adapter loads and an unloaded model wakes. MODEL is a folder in Hugging Face's layout of the family llama; without one a checkpoint of
//! random numbers with SmolLM2-135M's shape is made. A round (3 are made) takes a minute; `--rounds=0` measures all but the groups. `--bf16` sets
//! `engine.dtype`; without it the model computes in f32. `--slowdown` and `--rows` set `engine.prefill_slowdown` and `engine.rows_per_step`.
//!
//! Everything is measured in rounds that alternate, and reported as ratios of the medians; the absolute figures are this machine's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark reports on standard output and fails by panicking"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{
    ask::{self, Engine},
    checkpoint::{Made, Shape, matrices, write_adapter},
    random::Random,
    tensors::Tensors,
};
use futures::{StreamExt, future::join_all};
use riad_core::{
    Account,
    adapter::AdapterSource,
    chat::{Message, Sampling},
    ports::{EnginePermit, Generation, GenerationEvent},
};
use riad_engine::{Dtype, EngineConfig};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const SMOLLM2: Shape = Shape {
    hidden: 576,
    inner: 1536,
    layers: 30,
    heads: 9,
    kv_heads: 3,
    head_size: 64,
    positions: 8192,
};
/// Unless `--rounds` says another number.
const ROUNDS: usize = 3;
/// Unless `--slowdown` says another one; 0 is none.
const SLOWDOWN: f64 = 2.5;
const RANK: usize = 16;
const ADAPTERS: usize = 16;
/// Tokens of an answer.
const TOKENS: u32 = 64;
/// Of the answers whose decoding is measured.
const DECODE_TOKENS: u32 = 96;
/// Words of the prompts, about as many tokens.
const WORDS: [usize; 16] = [20, 60, 120, 200, 300, 400, 40, 160, 90, 250, 350, 30, 140, 220, 70, 380];
/// Prompts of the timing oracle: of each sort at least so many, each of so many words.
const ORACLE_PAIRS: usize = 400;
const ORACLE_WORDS: usize = 48;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("engine: run it with `cargo xtask bench engine`");
        return;
    }
    let model = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"))
        .map(PathBuf::from);
    let number = |name: &str| -> Option<f64> {
        std::env::args().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
    };
    let rounds = number("--rounds").map(|rounds| rounds as usize);
    let dtype = match std::env::args().any(|argument| argument == "--bf16") {
        true => Dtype::Bf16,
        false => Dtype::Auto,
    };
    let made = model.is_none().then(|| Made::new("llama", SMOLLM2, 1));
    let model = model.unwrap_or_else(|| made.as_ref().unwrap().model());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = EngineConfig {
        dtype,
        kv_cache_tokens: 32_768,
        prefill_slowdown: number("--slowdown").map_or(Some(SLOWDOWN), |slowdown| (slowdown > 0.0).then_some(slowdown)),
        ..ask::config(&model, 16)
    };
    let rows_per_step = number("--rows").map_or(config.rows_per_step, |rows| rows as usize);
    runtime.block_on(Bench::run(
        EngineConfig {
            rows_per_step,
            ..config
        },
        rounds.unwrap_or(ROUNDS),
    ));
}

struct Bench {
    engine: Engine,
    adapters: Vec<AdapterSource>,
    /// No token ends an answer before its length.
    sampling: Sampling,
    /// Makes every prompt new, so that only what should be cached is.
    nonce: std::cell::Cell<u64>,
}

/// What a group of requests took.
struct Took {
    /// Completion tokens over the time from the first request to the last token.
    whole: f64,
    /// The same while all of the group decode, when asked again: their prompts are in the prefix cache then.
    decode: f64,
    /// Median.
    first_token: f64,
}

/// What ends an answer, by the model's `config.json`.
fn end_tokens(model: &Path) -> Vec<u32> {
    let config = std::fs::read(model.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let token = &config["eos_token_id"];
    let tokens = token
        .as_array()
        .map_or_else(|| vec![token], |tokens| tokens.iter().collect());
    tokens
        .into_iter()
        .filter_map(|token| token.as_u64()?.try_into().ok())
        .collect()
}

impl Bench {
    async fn run(config: EngineConfig, rounds: usize) {
        let folder = tempfile::tempdir().unwrap();
        let model = PathBuf::from(&config.model);
        let bench = Self {
            engine: riad_engine::open(config.clone()).await.unwrap(),
            adapters: (0..ADAPTERS)
                .map(|number| adapter(folder.path(), number as u64))
                .collect(),
            sampling: Sampling {
                logit_bias: end_tokens(&model).into_iter().map(|token| (token, -100.0)).collect(),
                ..Sampling::greedy(1)
            },
            nonce: std::cell::Cell::new(0),
        };
        bench.loads(folder.path()).await;
        if rounds > 0 {
            bench.groups(rounds).await;
        }
        bench.prefill().await;
        bench.gap().await;
        bench.prefix().await;
        bench.oracle().await;
        drop(bench);
        Self::wake(config).await;
    }

    /// The first token after the model was idle and left memory, beside one that finds it there.
    async fn wake(config: EngineConfig) {
        const IDLE: Duration = Duration::from_millis(300);
        let asleep = Self {
            engine: riad_engine::open(EngineConfig {
                idle_unload: Some(IDLE),
                remote: None,
                ..config
            })
            .await
            .unwrap(),
            adapters: Vec::new(),
            sampling: Sampling::greedy(1),
            nonce: std::cell::Cell::new(0),
        };
        let first = || async { asleep.ask(asleep.prompt(20), 1, None, 1, Instant::now()).await[0] };
        let (mut waking, mut awake) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            while asleep.engine.batch().model_loaded {
                tokio::time::sleep(IDLE / 10).await;
            }
            waking.push(first().await);
            awake.push(first().await);
        }
        let (waking, awake) = (median(waking), median(awake));
        println!(
            "first token of a model that was unloaded: {:.0} ms, {:.1} × that of one in memory",
            waking * 1e3,
            waking / awake
        );
    }

    /// Requests that are asked at once.
    async fn groups(&self, rounds: usize) {
        let cases = [
            ("1", 1, 0),
            ("4", 4, 0),
            ("16", 16, 0),
            ("1, adapter", 1, 1),
            ("16, 1 adapter", 16, 1),
            ("16, 16 adapters", 16, 16),
        ];
        let mut all: BTreeMap<usize, Vec<Took>> = BTreeMap::new();
        for round in 0..=rounds {
            for (case, (_, requests, adapters)) in cases.iter().enumerate() {
                let took = self.group(*requests, *adapters).await;
                // The first round warms caches up.
                if round > 0 {
                    all.entry(case).or_default().push(took);
                }
            }
        }
        let median = |case: usize, of: fn(&Took) -> f64| median(all[&case].iter().map(of).collect());
        println!("| requests at once | whole run, tokens/s | ÷ 1 | decode, tokens/s | ÷ 1 | first token, median ms |");
        println!("| --- | --- | --- | --- | --- | --- |");
        for (case, (name, ..)) in cases.iter().enumerate() {
            let (whole, decode) = (median(case, |took| took.whole), median(case, |took| took.decode));
            println!(
                "| {name} | {whole:.1} | {:.2} | {decode:.1} | {:.2} | {:.0} |",
                whole / median(0, |took| took.whole),
                decode / median(0, |took| took.decode),
                median(case, |took| took.first_token) * 1e3
            );
        }
        let ratio = |of: fn(&Took) -> f64| median(5, of) / median(2, of);
        println!(
            "16 adapters ÷ base at 16: decode {:.2}, whole run {:.2}",
            ratio(|took| took.decode),
            ratio(|took| took.whole)
        );
    }

    fn prompt(&self, words: usize) -> Vec<Message> {
        let mut random = Random::new(self.nonce.replace(self.nonce.get() + 1));
        let syllables = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu"];
        let word = |random: &mut Random| syllables[(random.number(4.99) + 5.0) as usize];
        let text: Vec<&str> = (0..words).map(|_| word(&mut random)).collect();
        vec![Message::user(format!("{} {}", self.nonce.get(), text.join(" ")))]
    }

    /// Asks and notes when each token came, in seconds from now.
    async fn ask(
        &self,
        messages: Vec<Message>,
        tokens: u32,
        adapter: Option<&AdapterSource>,
        account: u64,
        begun: Instant,
    ) -> Vec<f64> {
        let sampling = Sampling {
            max_tokens: tokens,
            ..self.sampling.clone()
        };
        let generation = Generation {
            account: Account::new(account),
            ..ask::generation(&self.engine, &messages, &sampling, adapter)
        };
        let mut stream = self
            .engine
            .generate(generation, EnginePermit::new(|| {}))
            .await
            .unwrap();
        let mut times = Vec::new();
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                GenerationEvent::Reasoning(_) | GenerationEvent::Piece(_) | GenerationEvent::ToolCall(_) => {
                    times.push(begun.elapsed().as_secs_f64())
                }
                GenerationEvent::End(_) => break,
            }
        }
        times
    }

    async fn group(&self, requests: usize, adapters: usize) -> Took {
        let prompts: Vec<_> = WORDS.iter().take(requests).map(|words| self.prompt(*words)).collect();
        let ask_all = |tokens: u32| {
            let begun = Instant::now();
            join_all(prompts.iter().enumerate().map(move |(request, prompt)| {
                let adapter = (adapters > 0).then(|| &self.adapters[request % adapters]);
                self.ask(prompt.clone(), tokens, adapter, request as u64, begun)
            }))
        };
        let first_and_last = |times: &[Vec<f64>]| -> (Vec<f64>, Vec<f64>) {
            let pairs = times.iter().map(|times| (times[0], times[times.len() - 1]));
            pairs.unzip()
        };
        let new = ask_all(TOKENS).await;
        let (first, last) = first_and_last(&new);
        let tokens: usize = new.iter().map(Vec::len).sum();
        let again = ask_all(DECODE_TOKENS).await;
        let (begin, end) = first_and_last(&again);
        let (begin, end) = (
            begin.into_iter().fold(0.0, f64::max),
            end.into_iter().fold(f64::MAX, f64::min),
        );
        let during = again
            .iter()
            .flatten()
            .filter(|time| (begin..end).contains(*time))
            .count();
        Took {
            whole: tokens as f64 / last.into_iter().fold(0.0, f64::max),
            decode: during as f64 / (end - begin),
            first_token: median(first),
        }
    }

    /// How quickly a prompt is read with nothing beside it.
    async fn prefill(&self) {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let messages = self.prompt(500);
            let tokens = self.engine.encode(&messages).unwrap().count();
            let times = self.ask(messages, 1, None, 1, Instant::now()).await;
            rates.push(f64::from(tokens) / times.first().copied().unwrap_or(f64::NAN));
        }
        println!("a prompt of about 500 tokens alone: {:.0} tokens/s", median(rates));
    }

    /// A stream while another account's prompt of 4,000 tokens is read.
    async fn gap(&self) {
        const ALONE: Duration = Duration::from_millis(500);
        let begun = Instant::now();
        let stream = self.ask(self.prompt(20), 160, None, 1, begun);
        let other = async {
            tokio::time::sleep(ALONE).await;
            self.ask(self.prompt(3900), 8, None, 2, begun).await
        };
        let (times, other) = tokio::join!(stream, other);
        let read = other.first().copied().unwrap_or(f64::MAX);
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for pair in times.windows(2) {
            let gap = pair[1] - pair[0];
            if pair[1] < ALONE.as_secs_f64() {
                alone.push(gap);
            } else if pair[1] < read {
                beside.push(gap);
            }
        }
        let longest = beside.iter().copied().fold(0.0, f64::max);
        println!(
            "longest gap of a stream while 4,000 tokens of another are read: {:.0} ms; ÷ median gap meanwhile {:.1}, ÷ median gap alone {:.1}",
            longest * 1e3,
            longest / median(beside),
            longest / median(alone)
        );
    }

    /// The same beginning again, for the account that had it and for another.
    async fn prefix(&self) {
        let messages = self.prompt(500);
        let mut first = Vec::new();
        for account in [1, 1, 2] {
            let times = self.ask(messages.clone(), 1, None, account, Instant::now()).await;
            first.push(times.first().copied().unwrap_or(f64::NAN));
        }
        println!(
            "first token of a prompt that the account had before ÷ of a new one: {:.2}; for another account: {:.2}",
            first[1] / first[0],
            first[2] / first[0]
        );
    }

    /// Whether the time to the first token tells that somebody had a prompt before: the area under the curve (AUC) of a classifier by
    /// that time alone, 0.5 if it tells nothing. Prompts that were had and new ones alternate in random order.
    async fn oracle(&self) {
        let mut random = Random::new(7);
        for (asking, name, pairs) in [(1, "the same account", 50), (2, "another account", ORACLE_PAIRS)] {
            let mut waits = [Vec::new(), Vec::new()];
            while waits.iter().any(|waits| waits.len() < pairs) {
                let was_had = usize::from(random.number(1.0) > 0.0);
                let messages = self.prompt(ORACLE_WORDS);
                // The same work comes before both, so that nothing but the prompt differs.
                let before = match was_had {
                    1 => messages.clone(),
                    _ => self.prompt(ORACLE_WORDS),
                };
                self.ask(before, 1, None, 1, Instant::now()).await;
                let times = self.ask(messages, 1, None, asking, Instant::now()).await;
                waits[was_had].extend(times.first());
            }
            let [new, had] = waits;
            let quicker: f64 = had.iter().map(|had| wins(*had, &new)).sum();
            let (had, new) = (had.len() as f64, new.len() as f64);
            println!(
                "AUC of \"this prompt was had\" by the time to the first token, for {name}: {:.3} (standard error of a guess {:.3})",
                quicker / had / new,
                ((had + new + 1.0) / (12.0 * had * new)).sqrt()
            );
        }
    }

    async fn loads(&self, folder: &Path) {
        let mut times = Vec::new();
        for number in 0..5 {
            let cold = adapter(folder, 100 + number);
            let begun = Instant::now();
            let times_of = self.ask(self.prompt(1), 1, Some(&cold), 1, begun).await;
            let loaded = times_of.first().copied().unwrap_or(f64::NAN);
            let begun = Instant::now();
            let warm = self.ask(self.prompt(1), 1, Some(&cold), 1, begun).await;
            times.push(loaded - warm.first().copied().unwrap_or(f64::NAN));
        }
        println!(
            "an adapter of rank {RANK} on all layers, from its file to usable: {:.0} ms",
            median(times) * 1e3
        );
    }
}

fn adapter(folder: &Path, seed: u64) -> AdapterSource {
    let folder = folder.join(format!("adapter-{seed}"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut random = Random::new(seed);
    let mut tensors = Tensors::new();
    for (layer, outputs, inputs) in matrices("llama", &SMOLLM2) {
        let name = |half: &str| format!("base_model.model.{layer}.lora_{half}.weight");
        tensors.insert(name("A"), random.tensor(&[RANK, inputs], 0.04));
        tensors.insert(name("B"), random.tensor(&[outputs, RANK], 0.02));
    }
    write_adapter(
        &folder,
        &json!({"peft_type": "LORA", "r": RANK, "lora_alpha": RANK}),
        &tensors,
    );
    ask::source(&folder)
}

/// How many of `others` are slower; a tie is half.
fn wins(time: f64, others: &[f64]) -> f64 {
    let win = |other: &f64| match time.total_cmp(other) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    };
    others.iter().map(win).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
