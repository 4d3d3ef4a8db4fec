//! `cargo xtask bench plugins`: what a plugin costs. Needs Linux: the memory of the process is read from `/proc`.
//!
//! Components run in the server's sandbox, with its default limits, against a room in memory that answers at once; so what is timed is
//! the sandbox and the guests. Beside it, in rounds that take turns, run peers, each a process of its own (`tests/peers`): the same logic as native
//! code, and in Extism. A ratio is of two medians of one run; times alone say little on a machine that others use too.
//!
//! The task builds the peers and the plugins in JavaScript and Python, and says where they are: `--native`, `--extism` with
//! `--extism-plugin`, and `--components`. What is missing is left out, with a line that says so. `--parts a,b` runs some parts. The tables on standard output are Markdown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on its outputs and fails by panicking"
)]

mod calls;
mod components;
mod host;
mod languages;
mod loading;
mod masking;
mod peer;
mod pipeline;
mod room;
mod samples;
mod table;
mod tenants;

use clap::{Parser, ValueEnum};
use components::Component;
use peer::Peer;
use std::{
    env, fs,
    io::{self, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The argument of the child that compiles uploads.
const COMPILE: &str = "compile-plugin";

#[derive(Parser)]
struct Options {
    /// Some parts, separated by commas; all if it is not given
    #[arg(long, value_delimiter = ',')]
    parts: Vec<Part>,
    /// How often the compared sides take turns
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// The program of the native peer
    #[arg(long)]
    native: Option<PathBuf>,
    /// The program of the peer with Extism
    #[arg(long, requires = "extism_plugin")]
    extism: Option<PathBuf>,
    /// The plugin that it runs
    #[arg(long)]
    extism_plugin: Option<PathBuf>,
    /// Folder of the components in JavaScript and Python, each `NAME/build/NAME.wasm`
    #[arg(long)]
    components: Option<PathBuf>,
    /// What cargo passes to a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// An empty plugin, and host calls
    Calls,
    /// The standard pipeline beside native code
    Pipeline,
    /// The same plugin in Riad and in Extism
    Masking,
    /// Empty plugins in JavaScript and Python
    Languages,
    /// Cold, warm and hot
    Loading,
    /// A thousand tenants with a thousand plugins
    Tenants,
}

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(COMPILE) {
        return match riad_sandbox::compile_child(BufReader::new(io::stdin()), io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let options = Options::parse();
    if !options.bench {
        println!("plugins: run it with `cargo xtask bench plugins`");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(report(options));
    ExitCode::SUCCESS
}

async fn report(options: Options) {
    let runs = |part| options.parts.is_empty() || options.parts.contains(&part);
    let rounds = options.rounds;
    if runs(Part::Calls) {
        calls::report(rounds).await;
    }
    if runs(Part::Pipeline) {
        let native = options.native.as_deref().map(native);
        pipeline::report(native.or_else(|| skip("native code", "--native")), rounds).await;
    }
    if runs(Part::Masking) {
        let native = options.native.as_deref().map(native);
        let extism = options.extism.as_deref().zip(options.extism_plugin.as_deref());
        let extism = extism.map(|(program, plugin)| masking::extism(program, plugin));
        masking::report(
            native.or_else(|| skip("native code", "--native")),
            extism.or_else(|| skip("Extism", "--extism")),
            rounds,
        )
        .await;
    }
    if runs(Part::Languages) {
        let empty = [
            ("JavaScript", "empty-javascript", "≤ 0.3 ms"),
            ("Python", "empty-python", "≤ 3 ms"),
        ];
        let found = empty
            .into_iter()
            .filter_map(|(language, name, reach)| Some((language, built(options.components.as_deref(), name)?, reach)));
        languages::report(found.collect(), rounds).await;
    }
    if runs(Part::Loading) {
        let mut components = vec![Component::plugin("standard"), Component::plugin("price-desk")];
        let others = ["synonyms", "checked-numbers"];
        components.extend(
            others
                .iter()
                .filter_map(|name| built(options.components.as_deref(), name)),
        );
        loading::report(components).await;
    }
    if runs(Part::Tenants) {
        tenants::report().await;
    }
}

fn native(program: &Path) -> Peer {
    Peer::start(program, &room::world())
}

/// A component that is in no repository.
fn built(folder: Option<&Path>, name: &str) -> Option<Component> {
    let path = folder.map(|folder| folder.join(name).join("build").join(format!("{name}.wasm")));
    match path.filter(|path| path.exists()) {
        Some(path) => Some(Component::of(name, fs::read(path).unwrap())),
        None => skip(name, "--components"),
    }
}

fn skip<T>(what: &str, option: &str) -> Option<T> {
    println!("skipped: {what}, which was not built or not named with `{option}`\n");
    None
}
