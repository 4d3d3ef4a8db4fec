//! The report: what was simulated, what came out, and what it rests on. Every figure in it and every judgement is computed. Not here: the
//! runs (`scenarios`).

mod costs;
mod limits;
mod plots;
mod words;

use super::{
    batch::Speeds,
    input::Input,
    measures::{INTERVAL, Interval},
    routing::Policy,
    scenarios::{Run, Runs},
    wave::HOUR,
};
use anyhow::Result;
use plots::Plot;
use std::collections::BTreeMap;
use words::{Table, count, factor, percent, seconds};

const MEDIAN: f64 = 0.5;
const P99: f64 = 0.99;

/// Of a line in a plot.
type Points = Vec<(f64, f64)>;
type Value<'a> = &'a dyn Fn(&Interval) -> f64;

/// Files by name.
///
/// # Errors
/// When nothing was measured, or a plot cannot be drawn.
pub fn write(input: &Input, runs: &Runs, seed: u64, own_figures: bool) -> Result<BTreeMap<&'static str, String>> {
    let sections = [
        head(runs, seed, own_figures),
        summary(input, runs)?,
        what_was_simulated(input, runs),
        day(runs),
        policies(runs),
        costs::section(runs),
        limits::section(input, runs),
        exponents(runs),
        basis(input),
    ];
    let mut files = BTreeMap::from([("REPORT.md", sections.join("\n"))]);
    for (name, plot) in plots(input, runs) {
        files.insert(name, plot.svg()?);
    }
    Ok(files)
}

fn head(runs: &Runs, seed: u64, own_figures: bool) -> String {
    let figures = match own_figures {
        true => "a file of its own (`--input`)",
        false => "`host/xtask/src/tasks/simulate/input.toml`, which says where each is from",
    };
    format!(
        "# A simulated fleet\n\n\
        Written by `cargo xtask simulate --seed {seed} --gpus {} --tenants {} --hours {}`. The same command writes the same bytes on the \
        same kind of machine. The figures that went in are in {figures}; nothing here was measured on a fleet.\n",
        runs.size.workers, runs.size.tenants, runs.hours
    )
}

fn summary(input: &Input, runs: &Runs) -> Result<String> {
    let total = &runs.day.total;
    let target = input.traffic.target_first_token_s;
    let mut table = Table::new(&["the whole fleet, that day", ""]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("requests", count(total.arrived as f64));
    row(
        "workers in use, mean and most",
        format!("{:.0}, {}", total.mean(total.in_use), total.most_in_use),
    );
    row(
        &format!("less than the peak's {:.0} all the time", costs::peak(&runs.day)),
        percent(costs::saving(&runs.day)),
    );
    row(
        &format!("less than all {} all the time", runs.size.workers),
        percent(1.0 - total.mean(total.in_use) / f64::from(runs.size.workers)),
    );
    row(
        "time to the first token, median and 99th percentile",
        format!(
            "{}, {}",
            seconds(total.first_token(MEDIAN)),
            seconds(total.first_token(P99))
        ),
    );
    row(
        &format!("first tokens within {target} s"),
        format!("{:.2} %", total.first_tokens_within(target) * 100.0),
    );
    row("requests given up", format!("{:.3} %", total.given_up_share() * 100.0));
    row("adapters found in the engine, on the host, in the store", tiers(total));
    Ok(format!("## In short\n\n{}", table.text()))
}

fn tiers(total: &Interval) -> String {
    [total.from_engine, total.from_host, total.from_store]
        .map(|from| percent(total.share(from)))
        .join(", ")
}

fn what_was_simulated(input: &Input, runs: &Runs) -> String {
    let (requests, events) = runs.counts();
    let speeds = Speeds::new(&input.engine);
    let places = input.engine.places;
    let regions: Vec<String> = input
        .traffic
        .regions
        .iter()
        .map(|region| format!("{} {}", region.name, percent(region.share)))
        .collect();
    format!(
        "## What was simulated\n\n\
        Each request is simulated by itself, on each worker: {} requests and {} events in all runs together.\n\n\
        - **The day** is the whole fleet: at most {} workers (called GPUs in the command), {} tenants, each with an adapter of its own, {} \
        hours from a Tuesday, 0:00 UTC, after {} hours that are not counted.\n\
        - **Placement** is the whole fleet in the busiest hour ({:.0}:00 UTC), after {} hours that are not counted.\n\
        - **Everything else** is a fleet of {} workers and {} tenants: the same figures per worker, in little. Its first line under \
        [cost](#cost-against-peak-provisioning) is the day once more, so that the two can be compared.\n\n\
        A **worker** decodes {:.0} tokens/s alone and {:.0} in a batch of {places} with as many adapters, and reads prompts at {:.0} \
        tokens/s. A request that finds a place holds it until its last token; its adapter is loaded from the host's memory or the object \
        store if the engine does not have it, while other requests go on. A request for which no worker has a place waits at the router, \
        the oldest first, and is given up after {} s. **Traffic** comes at random (Poisson) at a rate that follows each region's day: {}. \
        Tenants are drawn by Zipf's law with exponent {}. **The autoscaler** looks every {} s, wants {} utilization by the work of the \
        tokens asked for in the last minute, starts workers that come after {} s, and drains those that nothing has wanted for {} s.\n",
        count(requests as f64),
        count(events as f64),
        count(f64::from(runs.size.workers)),
        count(f64::from(runs.size.tenants)),
        runs.hours,
        runs.day.scenario.warm_up_hours,
        runs.busiest_hour.rem_euclid(24.0),
        runs.day.scenario.warm_up_hours,
        runs.part.workers,
        count(f64::from(runs.part.tenants)),
        speeds.decode(1, 1),
        speeds.decode(places, places) * f64::from(places),
        input.engine.prefill_tokens_per_second * input.engine.speed,
        input.traffic.patience_s,
        regions.join(", "),
        input.traffic.zipf_exponent,
        input.scaling.interval_s,
        percent(input.scaling.target_utilization),
        input.scaling.start_s,
        input.scaling.scale_down_window_s,
    )
}

fn day(runs: &Runs) -> String {
    let highest = |value: Value<'_>| {
        let intervals = runs.day.outcome.intervals.iter();
        let highest = intervals.max_by(|one, other| value(one).total_cmp(&value(other)));
        highest.map_or((0.0, String::new()), |highest| (value(highest), clock(highest.start)))
    };
    let (p99, p99_at) = highest(&|interval| interval.first_token(P99));
    let (from_store, from_store_at) = highest(&|interval| interval.share(interval.from_store));
    let total = &runs.day.total;
    format!(
        "## The day\n\n![Workers](workers.svg)\n\n![First token](first-token.svg)\n\n![Adapters](adapters.svg)\n\n\
        The worst quarter of an hour begins at {p99_at}, with {} at the 99th percentile of the first token: prompts are read one after the \
        other, and long ones are what is waited for. Workers were started {} times. A worker that starts has no adapter in its memories; the \
        share that comes from the store is highest from {from_store_at} on, with {}, and {} over the day. The engine's memories dropped {} \
        adapters an hour for each worker. The store was busy {} of the time.\n",
        seconds(p99),
        count(total.starts as f64),
        percent(from_store),
        percent(total.share(total.from_store)),
        count(total.evictions as f64 / (total.ready / HOUR)),
        percent(total.mean(total.store_busy)),
    )
}

fn clock(start: f64) -> String {
    let minutes = (start / 60.0).round() as u64;
    format!("{:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
}

fn policies(runs: &Runs) -> String {
    let mut table = Table::new(&[
        "placement",
        "in the engine",
        "on the host",
        "in the store",
        "first token p50",
        "p99",
        "places in use",
        "store busy",
        "loads per worker and minute",
    ]);
    for run in &runs.policies {
        let total = &run.total;
        let loads = (total.from_host + total.from_store) as f64 / (total.ready / 60.0);
        table.row([
            run.what.name().to_owned(),
            percent(total.share(total.from_engine)),
            percent(total.share(total.from_host)),
            percent(total.share(total.from_store)),
            seconds(total.first_token(MEDIAN)),
            seconds(total.first_token(P99)),
            percent(places_in_use(run)),
            percent(total.mean(total.store_busy)),
            format!("{loads:.1}"),
        ]);
    }
    let workers = runs.policies.first().map_or(0, |run| run.scenario.workers);
    let find = |policy: Policy| runs.policies.iter().find(|run| run.what == policy);
    let verdict = match (find(Policy::LeastLoaded), find(Policy::Affinity)) {
        (Some(least), Some(affinity)) => {
            let p99 = |run: &Run<Policy>| run.total.first_token(P99);
            let missed = |run: &Run<Policy>| 1.0 - run.total.share(run.total.from_engine);
            format!(
                "Affinity loads {:.2} times as many adapters as least loaded alone, and its first token comes {:.2} times as late at the \
                99th percentile.\n",
                missed(affinity) / missed(least),
                p99(affinity) / p99(least)
            )
        }
        (None, _) | (_, None) => String::new(),
    };
    format!(
        "## Placement\n\n{workers} workers, all on, the same requests.\n\n{}\n{verdict}",
        table.text()
    )
}

fn places_in_use<T>(run: &Run<T>) -> f64 {
    run.total.held / run.total.ready / run.places
}

fn exponents(runs: &Runs) -> String {
    let mut table = Table::new(&[
        "exponent",
        "in the engine",
        "on the host",
        "in the store",
        "first token p50",
        "p99",
        "store busy",
    ]);
    for run in &runs.exponents {
        let total = &run.total;
        table.row([
            run.what.to_string(),
            percent(total.share(total.from_engine)),
            percent(total.share(total.from_host)),
            percent(total.share(total.from_store)),
            seconds(total.first_token(MEDIAN)),
            seconds(total.first_token(P99)),
            percent(total.mean(total.store_busy)),
        ]);
    }
    format!(
        "## How uneven tenants are\n\nThe busiest hour, {} workers at the most. The lower Zipf's exponent, the more even the tenants: more of \
        them ask within an hour, and fewer adapters are where they are needed.\n\n![Zipf](zipf.svg)\n\n{}",
        runs.part.workers,
        table.text()
    )
}

fn basis(input: &Input) -> String {
    let own = Speeds::new(&input.engine);
    format!(
        "## What this rests on\n\n\
        The model is tested against what is known: the mean wait of M/M/c queues (Erlang's formula) for places of one worker and for workers, \
        M/M/1 for random placement, the mean time of processor sharing, Little's law, Che's approximation of a cache's hits, and a mix of \
        prompts and streams that the benchmark measured and the model is not fed with (with the default figures it is 11 % slower). \
        `cargo test --release -p riad-xtask` runs them.\n\n\
        What is measured is the engine: a batch's tokens per second, what adapters cost in it, and prefill (one sequence takes {:.1} ms for a \
        token, {} take {:.1} ms). What is assumed is the rest: traffic, sizes of requests and adapters, the network, the store, and how long a \
        worker needs to start. The default worker is two CPU cores with a model of 135 million parameters; a GPU has other figures, and \
        conclusions that are ratios (cost, placement) depend on them less than times do.\n\n\
        Not in the model, in favor of the fleet: failures, spot instances that are taken away, machines that cannot be had, the router's and \
        the network's own time, adapters that slow the batch while they load, preemption when the KV cache is full. Against it: the prefix \
        cache, conversations (requests of a tenant come one by one here, in life they come together, which caches like), adapters that are \
        warmed elsewhere before a worker is given back, an autoscaler that knows the hour. Fairness between tenants is measured by `cargo xtask \
        bench fairness`; here all wait in one line.\n",
        1e3 / own.decode(1, 1),
        input.engine.places,
        1e3 / own.decode(input.engine.places, input.engine.places),
    )
}

fn plots<'a>(input: &Input, runs: &'a Runs) -> Vec<(&'static str, Plot<'a>)> {
    let intervals = &runs.day.outcome.intervals;
    let over_day = |value: Value<'_>| -> Points {
        let hour = |interval: &Interval| (interval.start + INTERVAL / 2.0) / HOUR;
        intervals
            .iter()
            .map(|interval| (hour(interval), value(interval)))
            .collect()
    };
    let by_factor = |runs: &[Run<f64>], value: Value<'_>| -> Points {
        runs.iter().map(|run| (run.what, value(&run.total))).collect()
    };
    let target = input.scaling.target_utilization;
    let tiers = |points: &dyn Fn(Value<'_>) -> Points| {
        vec![
            ("in the engine", points(&|one| one.share(one.from_engine) * 100.0)),
            ("on the host", points(&|one| one.share(one.from_host) * 100.0)),
            ("in the store", points(&|one| one.share(one.from_store) * 100.0)),
        ]
    };
    let plot = |title, across, up, lines| Plot {
        title,
        across,
        up,
        lines,
        marks: 13,
    };
    vec![
        (
            "workers.svg",
            plot(
                "Workers over the day",
                "hour, UTC",
                "workers",
                vec![
                    ("in use", over_day(&|one| one.mean(one.in_use))),
                    (
                        "wanted by the work that comes",
                        over_day(&|one| one.mean(one.work) / target),
                    ),
                ],
            ),
        ),
        (
            "first-token.svg",
            plot(
                "Time to the first token over the day",
                "hour, UTC",
                "seconds",
                vec![
                    ("99th percentile", over_day(&|one| one.first_token(P99))),
                    ("median", over_day(&|one| one.first_token(MEDIAN))),
                ],
            ),
        ),
        (
            "adapters.svg",
            plot(
                "Where requests find their adapter",
                "hour, UTC",
                "% of requests",
                tiers(&over_day),
            ),
        ),
        (
            "load.svg",
            plot(
                "The busiest hour, with more traffic",
                "traffic, × the day's",
                "time to the first token, p99, s",
                vec![
                    (
                        "the fleet may not grow",
                        by_factor(&runs.capped, &|one| one.first_token(P99)),
                    ),
                    (
                        "the fleet may grow",
                        by_factor(&runs.grown, &|one| one.first_token(P99)),
                    ),
                ],
            ),
        ),
        (
            "zipf.svg",
            plot(
                "Where requests find their adapter",
                "Zipf exponent",
                "% of requests",
                tiers(&|value| by_factor(&runs.exponents, value)),
            ),
        ),
    ]
}
