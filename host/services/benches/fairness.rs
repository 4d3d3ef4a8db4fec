//! The noisy neighbor: ten tenants, one of which sends fifty times the load of each of the others. Compares first come, first served
//! with the fair queue, both the server's own, in front of a simulated engine.
//!
//! Requests arrive at random moments (Poisson), whether earlier ones are answered or not, as from many users; a rejected one is
//! lost. The lengths of prompts and completions are random too. In the first run all ten tenants send the same load: together one
//! and a half times what the places can do, exactly that, nine tenths of it, or two thirds. In the second run nine of them send the
//! very same requests at the same moments, and the tenth sends fifty times as many. What each of the nine got in the first run is
//! its fair share, so it should get it in the second run too. Each queue is compared with itself, and then the two queues with each
//! other. Both have the same bounds; only the fair one sheds for a latency target.
//!
//! "Keeps" is the lowest ratio among the nine of completion tokens in the second run to those in the first. "First token" is the
//! 99th percentile of the time from a request's arrival to its first token, over the requests that were served; it "grows" by the
//! highest ratio among the nine. Exits with an error if the fair queue lets one of the nine keep less than 95 %, or its first token
//! grow more than twofold.
//!
//! The clock is virtual (`fairness/world.rs`): results are the same each time, take seconds, and say nothing about how fast the
//! code is.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and fails by panicking"
)]

#[path = "fairness/world.rs"]
mod world;

use riad_core::{Limits, ports::Scheduler};
use riad_services::{FairQueue, FifoQueue};
use std::{process::ExitCode, sync::Arc, time::Duration};
use world::{Load, Run, Timer};

const PLACES: usize = 8;
const TENANTS: usize = 10;
const NOISE: f64 = 50.0;
const KEEPS_LEAST: f64 = 0.95;
const GROWS_MOST: f64 = 2.0;
const TARGET: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    FirstCome,
    Fair,
}

fn main() -> ExitCode {
    println!("{TENANTS} tenants on {PLACES} places; one sends {NOISE} times what each of the others sends");
    println!();
    println!(
        "| load when all are equal | queue | a quiet one keeps | first token, p99 | grows | noisy one has | places busy | refused: quiet | noisy |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut good = true;
    for load in [1.5, 1.0, 0.9, 2.0 / 3.0] {
        for policy in [Policy::FirstCome, Policy::Fair] {
            let equal = run(policy, load, 1.0);
            let noisy = run(policy, load, NOISE);
            good &= row(policy, load, &equal, &noisy) || policy == Policy::FirstCome;
        }
    }
    println!();
    println!(
        "the fair queue {} the aim: each of the nine keeps {} %, its first token takes at most {GROWS_MOST} times as long",
        if good { "reaches" } else { "misses" },
        KEEPS_LEAST * 100.0
    );
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(policy: Policy, load: f64, noise: f64) -> Run {
    let timer = Timer::new();
    let clock = Arc::new(timer.clone());
    let limits = Limits::default();
    let queue: Arc<dyn Scheduler> = match policy {
        Policy::FirstCome => Arc::new(FifoQueue::with_clock(PLACES, &limits, clock)),
        Policy::Fair => Arc::new(FairQueue::with_clock(PLACES, &limits, TARGET, clock)),
    };
    let mut factors = [1.0; TENANTS];
    factors[TENANTS - 1] = noise;
    let load = Load {
        // As much as the places can do, shared by all.
        requests_per_second: load * PLACES as f64 / world::mean_seconds() / TENANTS as f64,
        factors: &factors,
    };
    world::play(&timer, queue, PLACES, &load)
}

fn row(policy: Policy, load: f64, equal: &Run, noisy: &Run) -> bool {
    let quiet = 0..TENANTS - 1;
    let worst = |values: &mut dyn Iterator<Item = f64>, pick: fn(f64, f64) -> f64| values.reduce(pick).unwrap();
    let keeps = worst(
        &mut quiet.clone().map(|tenant| noisy.tokens(tenant) / equal.tokens(tenant)),
        f64::min,
    );
    let grows = worst(
        &mut quiet
            .clone()
            .map(|tenant| noisy.first_token(tenant) / equal.first_token(tenant)),
        f64::max,
    );
    let first = |run: &Run| worst(&mut quiet.clone().map(|tenant| run.first_token(tenant)), f64::max);
    let total: f64 = (0..TENANTS).map(|tenant| noisy.tokens(tenant)).sum();
    let refused: usize = quiet.clone().map(|tenant| noisy.refused(tenant)).sum();
    let asked: usize = quiet.clone().map(|tenant| noisy.asked(tenant)).sum();
    println!(
        "| {:.0} % | {} | {:.1} % | {:.2} s → {:.2} s | {:.2} × | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
        load * 100.0,
        match policy {
            Policy::FirstCome => "first come",
            Policy::Fair => "fair",
        },
        keeps * 100.0,
        first(equal),
        first(noisy),
        grows,
        noisy.tokens(TENANTS - 1) / total * 100.0,
        noisy.busy() * 100.0,
        refused as f64 / asked as f64 * 100.0,
        noisy.refused(TENANTS - 1) as f64 / noisy.asked(TENANTS - 1) as f64 * 100.0,
    );
    keeps >= KEEPS_LEAST && grows <= GROWS_MOST
}
