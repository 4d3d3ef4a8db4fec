//! Developer tasks: `cargo xtask guests`, `authors`, `bench`, `fuzz`, `model`, `cuda`, `cells`, `clients`, `peers`, `schemathesis`, `deploy`,
//! `simulate`, `wit`, `tidy`, `test`. A task is a file in `tasks/` and a variant of `Task`. Not here: anything the server needs at run time.

mod environment;
mod process;
mod say;
mod tasks;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of Riad")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the WebAssembly guests and commit-ready copies of them
    Guests(tasks::guests::Arguments),
    /// Write, test, deploy and roll back a first plugin in each language, as a new author does
    Authors(tasks::authors::Arguments),
    /// Run one benchmark
    Bench(tasks::bench::Arguments),
    /// Give generated input to the parsers of untrusted input
    Fuzz(tasks::fuzz::Arguments),
    /// Make a real model and compare the engine's answers with those of transformers
    Model(tasks::model::Arguments),
    /// Build with CUDA, without a GPU
    Cuda(tasks::cuda::Arguments),
    /// Start three cells behind HAProxy and nginx, move a tenant and lose a disk under load, and write a report
    Cells(tasks::cells::Arguments),
    /// Walk the console in a real browser, check its pages, and make pictures of some
    Console(tasks::console::Arguments),
    /// Run real clients against a server, with nothing changed but URL and key
    Clients(tasks::clients::Arguments),
    /// Run the server before a real vLLM and a real llama.cpp, compare, measure, and write a report
    Peers(tasks::peers::Arguments),
    /// Compare what the server answers with the document that it serves about itself
    Schemathesis(tasks::schemathesis::Arguments),
    /// Compare what host/deploy has with schemas
    Deploy(tasks::deploy::Arguments),
    /// Simulate a fleet for a day, and write a report about caches, placement, costs and what breaks first
    Simulate(tasks::simulate::Arguments),
    /// Compare the released contracts with what they were, and release new ones
    Wit(tasks::wit::Arguments),
    /// Check what no compiler checks: crate directions, module cycles, file headers and sizes, test names
    Tidy,
    /// Everything that must pass before a commit, in order, up to the first failure
    Test,
}

fn main() -> ExitCode {
    let done = environment::Environment::read().and_then(|environment| match Arguments::parse().task {
        Task::Guests(arguments) => tasks::guests::run(&environment, &arguments),
        Task::Authors(arguments) => tasks::authors::run(&environment, &arguments),
        Task::Bench(arguments) => tasks::bench::run(&environment, &arguments),
        Task::Fuzz(arguments) => tasks::fuzz::run(&environment, &arguments),
        Task::Model(arguments) => tasks::model::run(&environment, &arguments),
        Task::Cuda(arguments) => tasks::cuda::run(&environment, &arguments),
        Task::Cells(arguments) => tasks::cells::run(&environment, &arguments),
        Task::Console(arguments) => tasks::console::run(&environment, &arguments),
        Task::Clients(arguments) => tasks::clients::run(&environment, &arguments),
        Task::Peers(arguments) => tasks::peers::run(&environment, &arguments),
        Task::Schemathesis(arguments) => tasks::schemathesis::run(&environment, &arguments),
        Task::Deploy(arguments) => tasks::deploy::run(&environment, &arguments),
        Task::Simulate(arguments) => tasks::simulate::run(&environment, &arguments),
        Task::Wit(arguments) => tasks::wit::run(&environment, &arguments),
        Task::Tidy => tasks::tidy::run(&environment),
        Task::Test => tasks::test::run(&environment),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::line(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
