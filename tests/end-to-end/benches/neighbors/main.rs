//! `cargo xtask bench neighbors`: what one tenant's attack costs another. Needs Linux: memory and threads are read from `/proc`.
//!
//! For each attack a server starts in a process of its own, with the model that ships. A quiet tenant, the victim, chats, searches,
//! lists the models and uploads at fixed moments, whether earlier requests have been answered or not. Beside it, in turns, `--rounds`
//! times for `--seconds` each, another tenant attacks as hard as it can with a bounded number of clients, or is well-behaved: it chats,
//! searches, embeds and uploads as much as keeps the processors as busy as the attack did. A ratio is the victim's time beside the
//! attack over its time beside the well-behaved tenant; times on a shared machine say little, and a neighbor that pays for its half of
//! the machine may use it. The aim: 1.25 for the median, 2 for the 99th percentile. After the last round the attacker is gone, and the
//! server must become idle.
//!
//! Clients of the other tenant run in a process of their own with a lower priority (`nice`), so that the victim waits for what the
//! server does and not for a core that a client of this benchmark has; they come from 127.0.0.2, the victim from 127.0.0.3, each request
//! over a new connection. An attack that does not show what it is meant to show, such as the answers that it must get, fails the
//! benchmark; times do not.
//!
//! `--attacks a,b` runs some, `--list` lists all. The table on standard output has the worst first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports on its outputs and fails by panicking"
)]

mod attacker;
mod attacks;
mod neighbor;
mod process;
mod report;
mod rounds;
mod server;
mod victim;

use attacks::Attack;
use clap::Parser;
use std::{env, process::ExitCode, time::Duration};

#[derive(Parser)]
struct Options {
    /// Names of attacks, separated by commas; all if it is not given
    #[arg(long, value_delimiter = ',')]
    attacks: Vec<String>,
    /// How often each attack and the well-behaved tenant take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Of each turn
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Lists the attacks and ends
    #[arg(long)]
    list: bool,
    /// What cargo passes to a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match env::args().nth(1).as_deref() {
        // The server, and the compiler that it runs as its own child.
        Some("serve" | "compile-plugin") => return riad_app::run(env::args_os()),
        Some(neighbor::CHILD) => return neighbor::run_child(),
        Some(_) | None => {}
    }
    let options = Options::parse();
    if options.list {
        for attack in attacks::all() {
            println!("{:24} {}", attack.name, attack.about);
        }
        return ExitCode::SUCCESS;
    }
    if !options.bench {
        println!("neighbors: run it with `cargo xtask bench neighbors`");
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(&options.attacks) {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut rows = Vec::new();
    for attack in chosen {
        let row = runtime.block_on(rounds::run(
            &attack,
            options.rounds,
            Duration::from_secs(options.seconds),
        ));
        eprintln!("{}", row.line());
        rows.push(row);
    }
    report::print(&mut rows);
    match rows.iter().all(|row| row.happened) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn choose(names: &[String]) -> Result<Vec<Attack>, String> {
    if names.is_empty() {
        return Ok(attacks::all());
    }
    let find = |name: &String| {
        let found = attacks::all().into_iter().find(|attack| attack.name == *name);
        found.ok_or_else(|| format!("there is no attack {name}; --list lists them"))
    };
    names.iter().map(find).collect()
}
