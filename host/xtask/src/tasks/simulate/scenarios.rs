//! Which runs the report is made of. Not here: what it says about them (`report`).

use super::{
    fleet::{Outcome, Scenario, simulate},
    input::Input,
    measures::Interval,
    routing::Policy,
    scaling::Signal,
    wave::{DAY, HOUR, Wave},
};
use crate::say;
use anyhow::Result;

/// The day that is simulated begins on Tuesday, 0:00 UTC, so that no region has a weekend.
pub const TUESDAY: f64 = 24.0;
const HOURS_A_DAY: f64 = 24.0;
const WEEK: f64 = 168.0;
/// What needs many runs is run on so small a part of the fleet, with that part of the tenants.
const PART: u32 = 20;
const LEAST_WORKERS: u32 = 4;
const WARM_UP: f64 = 3.0;

const LOADS: [f64; 6] = [1.0, 1.25, 1.5, 2.0, 4.0, 8.0];
const SPEEDS: [f64; 4] = [1.0, 4.0, 16.0, 64.0];
const EXPONENTS: [f64; 5] = [0.6, 0.8, 1.0, 1.2, 1.4];

#[derive(Clone, Copy)]
pub struct Size {
    pub workers: u32,
    pub tenants: u32,
}

/// One run, with what it is called and what it came to.
pub struct Run<T> {
    pub what: T,
    pub scenario: Scenario,
    pub outcome: Outcome,
    pub total: Interval,
    /// Of each worker.
    pub places: f64,
    pub target_utilization: f64,
}

pub struct Runs {
    pub size: Size,
    pub part: Size,
    pub hours: f64,
    pub day: Run<()>,
    /// Workers that were on, all the time, when policies were compared.
    pub policies: Vec<Run<Policy>>,
    /// By the factor; at first the fleet may not grow beyond the day's, then it may.
    pub capped: Vec<Run<f64>>,
    pub grown: Vec<Run<f64>>,
    /// By the factor of both the workers' speed and the traffic.
    pub faster: Vec<Run<f64>>,
    pub exponents: Vec<Run<f64>>,
    pub costs: Vec<Run<&'static str>>,
    /// The busiest hour of the day, from the beginning of the week.
    pub busiest_hour: f64,
}

impl Runs {
    /// All that was simulated, warm-up too.
    pub fn counts(&self) -> (u64, u64) {
        let outcomes = std::iter::once(&self.day.outcome)
            .chain(self.policies.iter().map(|run| &run.outcome))
            .chain(self.costs.iter().map(|run| &run.outcome));
        let factors = [&self.capped, &self.grown, &self.faster, &self.exponents];
        let outcomes = outcomes.chain(factors.into_iter().flatten().map(|run| &run.outcome));
        outcomes.fold((0, 0), |(requests, events), outcome| {
            (requests + outcome.requests, events + outcome.events)
        })
    }
}

/// # Errors
/// When the input's figures cannot be used.
pub fn run(input: &Input, size: Size, hours: f64, seed: u64) -> Result<Runs> {
    let wave = Wave::new(&input.traffic, 1.0);
    let busiest_hour = wave.busiest(TUESDAY / HOURS_A_DAY * DAY) / HOUR - 0.5;
    let day = Scenario {
        workers: size.workers,
        store_workers: size.workers,
        tenants: size.tenants,
        policy: Policy::Affinity,
        scaling: Some(Signal::Work),
        load: 1.0,
        start_hour: TUESDAY,
        warm_up_hours: WARM_UP,
        hours,
        seed,
    };
    let part = part(size);
    let peak = Scenario {
        workers: part.workers,
        store_workers: part.workers,
        tenants: part.tenants,
        start_hour: busiest_hour,
        hours: 1.0,
        ..day.clone()
    };
    let whole_day = measured("the whole fleet", input, (), day.clone())?;
    // As many as the autoscaler wanted, so that all policies have the utilization that it aims at.
    let workers = whole_day.total.most_in_use.max(1);
    let policies = [Policy::Random, Policy::LeastLoaded, Policy::Affinity]
        .into_iter()
        .map(|policy| {
            let scenario = Scenario {
                workers,
                scaling: None,
                policy,
                start_hour: busiest_hour,
                hours: 1.0,
                ..day.clone()
            };
            measured(&format!("placement: {}", policy.name()), input, policy, scenario)
        });
    let policies = policies.collect::<Result<_>>()?;
    let loads = |name: &str, grows: bool| {
        let run = |load: f64| {
            let workers = f64::from(part.workers) * if grows { 2.0 * load } else { 1.0 };
            let scenario = Scenario {
                load,
                workers: workers as u32,
                ..peak.clone()
            };
            measured(&format!("{name}, load × {load}"), input, load, scenario)
        };
        LOADS.into_iter().map(run).collect::<Result<Vec<_>>>()
    };
    let faster = SPEEDS.into_iter().map(|speed| {
        let mut input = input.clone();
        input.engine.speed *= speed;
        let scenario = Scenario {
            load: speed,
            ..peak.clone()
        };
        measured(&format!("workers and load × {speed}"), &input, speed, scenario)
    });
    let exponents = EXPONENTS.into_iter().map(|exponent| {
        let mut input = input.clone();
        input.traffic.zipf_exponent = exponent;
        measured(&format!("Zipf exponent {exponent}"), &input, exponent, peak.clone())
    });
    Ok(Runs {
        size,
        part,
        hours,
        capped: loads("capped", false)?,
        grown: loads("growing", true)?,
        faster: faster.collect::<Result<_>>()?,
        exponents: exponents.collect::<Result<_>>()?,
        costs: costs(input, part, &day)?,
        day: whole_day,
        policies,
        busiest_hour,
    })
}

fn part(size: Size) -> Size {
    let workers = (size.workers / PART).max(LEAST_WORKERS).min(size.workers);
    let tenants = u64::from(size.tenants) * u64::from(workers) / u64::from(size.workers);
    Size {
        workers,
        tenants: tenants as u32,
    }
}

/// What a fleet that follows the traffic costs, under one assumption after the other.
fn costs(input: &Input, part: Size, day: &Scenario) -> Result<Vec<Run<&'static str>>> {
    let world = input.clone();
    let mut country = input.clone();
    // The region with the most traffic gets all of it.
    country
        .traffic
        .regions
        .sort_by(|one, other| other.share.total_cmp(&one.share));
    country.traffic.regions.truncate(1);
    for region in &mut country.traffic.regions {
        region.share = 1.0;
    }
    let changed = |change: &dyn Fn(&mut Input)| {
        let mut changed = country.clone();
        change(&mut changed);
        changed
    };
    let scenario = |hours: f64| Scenario {
        // No bound: a peak in one time zone is higher.
        workers: part.workers * 4,
        store_workers: part.workers,
        tenants: part.tenants,
        hours,
        start_hour: if hours > HOURS_A_DAY { 0.0 } else { TUESDAY },
        ..day.clone()
    };
    let few = Scenario {
        workers: 1,
        store_workers: 1,
        tenants: 10,
        ..scenario(WEEK)
    };
    let occupancy = Scenario {
        scaling: Some(Signal::Occupancy),
        ..scenario(HOURS_A_DAY)
    };
    let one_day = || scenario(HOURS_A_DAY);
    let cases = [
        ("all regions, a working day", world.clone(), one_day()),
        ("all regions, a week", world, scenario(WEEK)),
        ("one region, a working day", country.clone(), one_day()),
        ("one region, a week", country.clone(), scenario(WEEK)),
        (
            "one region, a week, weekends without traffic",
            changed(&|input| input.traffic.weekend = 0.0),
            scenario(WEEK),
        ),
        (
            "one region, a working day, workers that start in 1 minute",
            changed(&|input| input.scaling.start_s = 60.0),
            one_day(),
        ),
        (
            "one region, a working day, workers that start in 15 minutes",
            changed(&|input| input.scaling.start_s = 900.0),
            one_day(),
        ),
        (
            "one region, a working day, aim of 50 % utilization",
            changed(&|input| input.scaling.target_utilization = 0.5),
            one_day(),
        ),
        (
            "one region, a working day, aim of 90 % utilization",
            changed(&|input| input.scaling.target_utilization = 0.9),
            one_day(),
        ),
        (
            "one region, a working day, scaled by places in use instead of work",
            country.clone(),
            occupancy,
        ),
        ("one region, a week, 10 tenants, one worker", country, few),
    ];
    cases
        .into_iter()
        .map(|(name, input, scenario)| measured(name, &input, name, scenario))
        .collect()
}

fn measured<T>(name: &str, input: &Input, what: T, scenario: Scenario) -> Result<Run<T>> {
    let outcome = simulate(input, &scenario)?;
    let total = outcome.total()?;
    say::line(&format!(
        "simulate: {name}: {} workers, {} tenants, {} requests",
        scenario.workers, scenario.tenants, outcome.requests
    ));
    Ok(Run {
        what,
        scenario,
        outcome,
        total,
        places: f64::from(input.engine.places),
        target_utilization: input.scaling.target_utilization,
    })
}
