//! `cargo xtask bench NAME`: runs one benchmark. Numbers are ratios of things measured in the same run; absolute times on a
//! shared machine say little. Not here: the benchmarks, each in `benches/` of the crate that it measures, and that of retrieval in
//! `tests/peers/retrieval`.

mod plugins;
mod retrieval;

use crate::{environment::Environment, process};
use anyhow::Result;
use clap::ValueEnum;

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(value_enum)]
    name: Benchmark,
    /// For the benchmark itself, after `--`: the head of its file says what it takes
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Benchmark {
    /// Tokens per second, first tokens and adapters of the model engine; with `-- FOLDER`, of a model of the family llama
    Engine,
    /// What one tenant with fifty times the load does to nine others: first come, first served beside the fair queue
    Fairness,
    /// Requests per second that the ledger meters durably
    Metering,
    /// What each of many attacks of one tenant costs another; with `-- --attacks a,b`, some of them
    Neighbors,
    /// What Riad adds to the engine's own time in a chat; with `-- --litellm PYTHON`, LiteLLM's proxy beside it
    Overhead,
    /// What plugins cost, beside native code and Extism; with `-- --parts a,b`, some of it
    Plugins,
    /// What a search finds and how fast, beside Tantivy, FTS5, FAISS, LanceDB and others; with `-- --parts a,b`, some of it
    Retrieval,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let target = match arguments.name {
        Benchmark::Engine => "engine",
        Benchmark::Fairness => "fairness",
        Benchmark::Metering => "metering",
        Benchmark::Neighbors => "neighbors",
        Benchmark::Overhead => "overhead",
        Benchmark::Plugins => "plugins",
        Benchmark::Retrieval => return retrieval::run(environment, &arguments.arguments),
    };
    let mut options = match arguments.name {
        Benchmark::Plugins => plugins::prepare(environment)?,
        Benchmark::Engine
        | Benchmark::Fairness
        | Benchmark::Metering
        | Benchmark::Neighbors
        | Benchmark::Overhead
        | Benchmark::Retrieval => Vec::new(),
    };
    options.extend(arguments.arguments.iter().cloned());
    let mut words = vec!["bench", "--workspace", "--bench", target];
    if !options.is_empty() {
        words.push("--");
        words.extend(options.iter().map(String::as_str));
    }
    process::run(
        process::command(&environment.cargo, &words, &environment.root).env("CARGO_TARGET_DIR", &environment.target),
    )
}
