//! `cargo xtask bench NAME`: runs one benchmark. Numbers are ratios of things measured in the same run; absolute times on a
//! shared machine say little. Not here: the benchmarks, each in `benches/` of the crate that it measures.

use crate::{environment::Environment, process};
use anyhow::Result;
use clap::ValueEnum;

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(value_enum)]
    name: Benchmark,
}

#[derive(Clone, Copy, ValueEnum)]
enum Benchmark {
    /// Resident memory per added lane and per added adapter, over a generated base of at least 400 MB
    LaneMemory,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let target = match arguments.name {
        Benchmark::LaneMemory => "lane_memory",
    };
    process::run(
        process::command(
            &environment.cargo,
            &["bench", "--workspace", "--bench", target],
            &environment.root,
        )
        .env("CARGO_TARGET_DIR", &environment.target),
    )
}
