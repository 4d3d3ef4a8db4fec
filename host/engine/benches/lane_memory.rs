//! `cargo bench --workspace --bench lane_memory`: resident memory of an engine over a generated base of more than 400 MB, for
//! each further lane and each further adapter. Every figure comes from a process of its own, so that nothing that another
//! one has freed or kept is in it. Not here: speed.
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
    checkpoint::{Made, Shape},
};
use futures::future::join_all;
use riad_core::{
    adapter::AdapterSource,
    chat::{Message, Sampling},
};
use std::{
    path::Path,
    process::{Command, Stdio},
};

const BASE: Shape = Shape {
    hidden: 1024,
    inner: 2816,
    layers: 8,
    heads: 16,
    kv_heads: 16,
    head_size: 64,
    positions: 4096,
};
const LANES: [usize; 3] = [1, 2, 4];
const ADAPTERS: usize = 16;
const CHILD: &str = "measure";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if !cfg!(target_os = "linux") {
        println!("lane_memory: resident memory is read from /proc, which only Linux has; nothing was measured");
    } else if let Some(at) = arguments.iter().position(|argument| argument == CHILD) {
        let lanes = arguments[at + 1].parse().unwrap();
        measure(Path::new(&arguments[at + 2]), lanes, &arguments[at + 3..]);
    } else if arguments.iter().any(|argument| argument == "--bench") {
        report();
    } else {
        println!("lane_memory: run it with `cargo bench --workspace --bench lane_memory`");
    }
}

/// The parent: makes the files, lets a child measure each number of lanes, and prints the differences.
fn report() {
    let made = Made::new("llama", BASE, 1);
    let base = size(&made.model().join("model.safetensors"));
    assert!(base >= 400e6, "{base} bytes");
    let layers = made.matrices();
    let adapters: Vec<_> = (0..ADAPTERS)
        .map(|n| {
            made.adapter_of_rank(16, &format!("adapter-{n}"), &layers, n as u64)
                .folder
        })
        .collect();
    let adapter = size(&adapters[0].join("adapter_model.safetensors"));
    println!(
        "base {:.1} MB on disk, adapters of {:.2} MB over {} matrices",
        mb(base),
        mb(adapter),
        layers.len()
    );

    let line =
        |what: &str, bytes: f64| println!("{what:<42} {:>9.1} MB   {:>6.3} of the base", mb(bytes), bytes / base);
    let mut before: Option<(usize, f64, f64)> = None;
    for lanes in LANES {
        let child = Command::new(std::env::current_exe().unwrap())
            .arg(CHILD)
            .arg(lanes.to_string())
            .arg(made.model())
            .args(&adapters)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let printed = String::from_utf8(child.stdout).unwrap();
        assert!(child.status.success(), "{printed}");
        let figures: Vec<f64> = printed
            .split_whitespace()
            .map(|figure| figure.parse().unwrap())
            .collect();
        let [empty, opened, answered, adapted, counted] = figures[..] else {
            panic!("{printed}")
        };
        println!("-- {lanes} lane(s)");
        line("process before the engine", empty);
        line("engine opened", opened);
        line("every lane has answered once", answered);
        line("each further adapter", (adapted - answered) / (ADAPTERS - 1) as f64);
        line("an adapter, as the engine's budget has it", counted / ADAPTERS as f64);
        if let Some((fewer, opened_before, answered_before)) = before {
            let added = (lanes - fewer) as f64;
            line("each further lane, opened", (opened - opened_before) / added);
            line(
                "each further lane, having answered",
                (answered - answered_before) / added,
            );
        }
        before = Some((lanes, opened, answered));
    }
}

/// The child: prints resident bytes before the engine, when it is open, when every lane has answered with the first
/// adapter, and when all adapters have been used.
#[tokio::main]
async fn measure(model: &Path, lanes: usize, adapters: &[String]) {
    // Read here once, so that what the allocator keeps of that is not taken for the engine's.
    let sources: Vec<AdapterSource> = adapters.iter().map(|folder| ask::source(Path::new(folder))).collect();
    let empty = resident();
    let mut config = ask::config(model, lanes);
    config.resident_adapter_bytes = u64::MAX;
    let engine = riad_engine::open(config).await.unwrap();
    let opened = resident();
    // As many requests at once as there are lanes: each gets another one.
    join_all((0..lanes).map(|_| answer(&engine, &sources[0]))).await;
    let answered = resident();
    for source in &sources[1..] {
        answer(&engine, source).await;
    }
    let counts = engine.adapter_counts();
    assert_eq!(counts.resident, adapters.len());
    println!("{empty} {opened} {answered} {} {}", resident(), counts.resident_bytes);
}

async fn answer(engine: &Engine, adapter: &AdapterSource) {
    let question = [Message::user(
        "Passages:\n[1] Support is open.\n\nQuestion: When is support open?",
    )];
    let answer = ask::ask(engine, &question, &Sampling::greedy(16), Some(adapter))
        .await
        .unwrap();
    assert_eq!(answer.tokens(), 16);
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() * 1024.0
}

fn size(file: &Path) -> f64 {
    std::fs::metadata(file).unwrap().len() as f64
}

fn mb(bytes: f64) -> f64 {
    bytes / 1e6
}
