//! The model against queueing theory, and what its parts promise together.

use super::*;
use crate::tasks::simulate::{
    cache::Cache,
    input::{DecodeRate, Region, Tokens},
    traffic::popularity,
};

const TENANTS: u32 = 50;
const MEAN_TOKENS: f64 = 1000.0;
/// Seconds that a completion of the mean length takes in a batch that does not slow down.
const SERVICE: f64 = 1.0;

/// Steady traffic; prompts and adapters take no time; the time of a step is in the first case the same for all batches, and in the second
/// grows with the batch, so that all sequences share one speed.
fn memoryless(places: u32, shared: bool, arrivals_per_second: f64) -> Input {
    let mut input = Input::read(None).unwrap();
    let sequences = f64::from(places);
    let speed = |sequences: f64| MEAN_TOKENS / SERVICE * if shared { 1.0 } else { sequences };
    input.engine.places = places;
    input.engine.decode = [1.0, sequences.max(2.0)]
        .map(|sequences| DecodeRate {
            sequences: sequences as u32,
            tokens_per_second: speed(sequences),
        })
        .to_vec();
    input.engine.adapters.ratio = 1.0;
    input.engine.prefill_tokens_per_second = 1e12;
    input.adapters.engine_bytes = u64::from(u32::MAX);
    input.adapters.load_s = 0.0;
    input.adapters.load_bytes_per_second = 1e15;
    input.store.first_byte_s = 0.0;
    input.store.worker_bytes_per_second = 1e15;
    input.store.bytes_per_second_per_1000_workers = 1e18;
    input.store.requests_per_second_per_1000_workers = 1e12;
    input.traffic.requests_per_tenant_per_day = arrivals_per_second * 86_400.0 / f64::from(TENANTS);
    input.traffic.prompt_tokens = Tokens::LogNormal {
        median: 1.0,
        sigma: 0.0,
        most: 1.0,
    };
    input.traffic.completion_tokens = Tokens::Exponential { mean: MEAN_TOKENS };
    input.traffic.hours = [1.0; 24];
    input.traffic.weekend = 1.0;
    input.traffic.regions = vec![Region {
        name: "one".into(),
        share: 1.0,
        utc_offset_hours: 0.0,
    }];
    input.traffic.patience_s = 1e9;
    input
}

fn scenario(workers: u32, tenants: u32, policy: Policy) -> Scenario {
    Scenario {
        workers,
        store_workers: workers,
        tenants,
        policy,
        scaling: None,
        load: 1.0,
        start_hour: 24.0,
        warm_up_hours: 1.0,
        hours: 100.0,
        seed: 3,
    }
}

fn total(input: &Input, scenario: &Scenario) -> Interval {
    simulate(input, scenario).unwrap().total().unwrap()
}

fn near(is: f64, expected: f64, tolerance: f64) {
    assert!((is / expected - 1.0).abs() < tolerance, "{is} instead of {expected}");
}

/// Mean wait of M/M/c in units of the service time, by Erlang's C formula.
fn erlang_wait(servers: u32, load: f64) -> f64 {
    let mut blocking = 1.0;
    for server in 1..=servers {
        blocking = load * blocking / (f64::from(server) + load * blocking);
    }
    let servers = f64::from(servers);
    let waiting = blocking / (1.0 - load / servers * (1.0 - blocking));
    waiting / (servers - load)
}

#[test]
fn erlangs_formula_has_its_known_values() {
    // M/M/1 with load 0.5 waits ρ/(1−ρ); M/M/2 waits ρ²/(1−ρ²).
    near(erlang_wait(1, 0.5), 1.0, 1e-9);
    near(erlang_wait(2, 1.6), 0.64 / 0.36, 1e-9);
}

#[test]
fn places_of_one_worker_wait_like_an_mmc_queue() {
    let input = memoryless(8, false, 6.8);
    let total = total(&input, &scenario(1, TENANTS, Policy::Affinity));
    near(
        total.waited / total.placed() as f64,
        erlang_wait(8, 6.8) * SERVICE,
        0.05,
    );
}

#[test]
fn workers_of_one_place_wait_like_an_mmc_queue() {
    let input = memoryless(1, false, 6.8);
    let total = total(&input, &scenario(8, TENANTS, Policy::LeastLoaded));
    near(
        total.waited / total.placed() as f64,
        erlang_wait(8, 6.8) * SERVICE,
        0.05,
    );
}

#[test]
fn random_workers_wait_like_separate_mm1_queues() {
    let input = memoryless(1, false, 5.6);
    let total = total(&input, &scenario(8, TENANTS, Policy::Random));
    near(
        total.waited / total.placed() as f64,
        erlang_wait(1, 0.7) * SERVICE,
        0.05,
    );
}

#[test]
fn a_shared_speed_is_processor_sharing() {
    // M/G/1 with processor sharing: the mean time is that of the service over 1−ρ, whatever the distribution.
    for tokens in [
        Tokens::Exponential { mean: MEAN_TOKENS },
        Tokens::LogNormal {
            median: MEAN_TOKENS / (0.5_f64).exp(),
            sigma: 1.0,
            most: 1e9,
        },
    ] {
        let mut input = memoryless(200, true, 0.7);
        input.traffic.completion_tokens = tokens;
        let total = total(&input, &scenario(1, TENANTS, Policy::LeastLoaded));
        near(total.sojourn / total.completed as f64, SERVICE / 0.3, 0.07);
    }
}

#[test]
fn littles_law_holds() {
    let input = Input::read(None).unwrap();
    for policy in [Policy::Random, Policy::Affinity] {
        let scenario = Scenario {
            hours: 24.0,
            ..scenario(8, 5000, policy)
        };
        let total = total(&input, &scenario);
        assert_eq!(total.given_up, 0);
        let in_system = total.mean(total.held + total.waiting);
        near(in_system, total.sojourn / total.seconds, 0.01);
        assert!(in_system > 1.0, "{in_system}");
    }
}

/// Che's approximation of the hit rate of a least recently used cache of so many adapters.
fn che_hit_rate(popularity: &[f64], size: f64) -> f64 {
    let sum: f64 = popularity.iter().sum();
    let hits = |time: f64| popularity.iter().map(move |weight| 1.0 - (-weight / sum * time).exp());
    let (mut low, mut high) = (0.0, 1e12);
    for _ in 0..200 {
        let time = (low + high) / 2.0;
        if hits(time).sum::<f64>() < size {
            low = time
        } else {
            high = time
        }
    }
    popularity
        .iter()
        .zip(hits(low))
        .map(|(weight, hit)| weight / sum * hit)
        .sum()
}

#[test]
fn a_memory_hits_as_often_as_che_says() {
    let tenants = 2000;
    for (exponent, size) in [(0.6, 100), (1.0, 100), (1.0, 400), (1.4, 20)] {
        let mut input = memoryless(64, false, 10.0);
        input.traffic.requests_per_tenant_per_day = 10.0 * 86_400.0 / f64::from(tenants);
        input.traffic.zipf_exponent = exponent;
        for size in &mut input.adapters.sizes {
            size.bytes = 1000;
        }
        input.adapters.engine_bytes = size * 1000;
        // Short, so that hardly any adapter is in use when another one comes.
        input.traffic.completion_tokens = Tokens::Exponential { mean: 10.0 };
        let mut scenario = scenario(1, tenants, Policy::LeastLoaded);
        scenario.hours = 20.0;
        let total = total(&input, &scenario);
        let weights: Vec<f64> = popularity(exponent, tenants).collect();
        near(
            total.share(total.from_engine),
            che_hit_rate(&weights, size as f64),
            0.03,
        );
    }
}

#[test]
fn affinity_finds_adapters_that_random_workers_do_not_have() {
    let input = Input::read(None).unwrap();
    let share = |policy| {
        let scenario = Scenario {
            hours: 6.0,
            start_hour: 32.0,
            ..scenario(8, 8000, policy)
        };
        let total = total(&input, &scenario);
        total.share(total.from_engine)
    };
    let (random, affinity) = (share(Policy::Random), share(Policy::Affinity));
    assert!(affinity > random + 0.1, "{affinity} {random}");
}

#[test]
fn every_request_is_answered_given_up_or_in_the_fleet() {
    let mut input = Input::read(None).unwrap();
    input.scaling.start_s = 600.0;
    let scenario = Scenario {
        scaling: Some(Signal::Work),
        load: 3.0,
        warm_up_hours: 0.0,
        hours: 24.0,
        ..scenario(8, 8000, Policy::Affinity)
    };
    let outcome = simulate(&input, &scenario).unwrap();
    let total = outcome.total().unwrap();
    assert!(total.given_up > 0 && total.completed > 0);
    let left = total.arrived - total.given_up - total.completed;
    // All that can be there at the end: every place, and what comes within the patience.
    assert!(left < 8 * 16 + 8000 * 40 * 3 / 24 / 60 * 2, "{left}");
    assert_eq!(outcome.intervals.len(), 96);
    near(total.seconds, 86_400.0, 1e-9);
}

#[test]
fn an_idle_fleet_goes_to_zero_and_wakes() {
    let mut input = Input::read(None).unwrap();
    // All traffic is around ten to noon.
    input.traffic.hours = std::array::from_fn(|hour| if (10..12).contains(&hour) { 1.0 } else { 0.0 });
    input.traffic.regions = vec![Region {
        name: "one".into(),
        share: 1.0,
        utc_offset_hours: 0.0,
    }];
    let scenario = Scenario {
        scaling: Some(Signal::Work),
        hours: 24.0,
        ..scenario(4, 500, Policy::Affinity)
    };
    let outcome = simulate(&input, &scenario).unwrap();
    let at = |hour: usize| {
        outcome.intervals[hour * 4..hour * 4 + 4]
            .iter()
            .map(|interval| interval.in_use)
            .sum::<f64>()
    };
    assert_eq!((at(3), at(16), at(23)), (0.0, 0.0, 0.0));
    assert!(at(10) > 0.0 && at(11) > 0.0);
    let total = outcome.total().unwrap();
    assert!(total.completed > 0);
    // The first ones have no patience for a start of four minutes.
    assert!(total.given_up > 0);
}

#[test]
fn a_cache_of_nothing_holds_what_is_in_use() {
    let mut cache = Cache::new(0);
    cache.insert(1, 5, 0.0, Tier::Store, &mut Vec::new());
    assert!(cache.touch(1).is_some());
}
