//! What breaks first when there is more traffic.

use super::{MEDIAN, P99, Table, count, factor, percent, places_in_use, seconds};
use crate::tasks::simulate::{
    input::Input,
    scenarios::{Run, Runs},
};

/// Shares beyond which something counts as broken.
const FULL: f64 = 0.95;
const GIVEN_UP: f64 = 0.01;
const STORE_BUSY: f64 = 0.9;

pub fn section(input: &Input, runs: &Runs) -> String {
    let (workers, store) = (runs.part.workers, &input.store);
    let part = f64::from(workers) / 1000.0;
    let store = format!(
        "{} reads and {} MB a second",
        count(store.requests_per_second_per_1000_workers * part),
        count(store.bytes_per_second_per_1000_workers * part / 1e6)
    );
    format!(
        "## What breaks first\n\n\
        The busiest hour, after {} hours with as much more traffic, which begin with no worker. Broken is: {} of the places in use and no more workers; a 99th percentile of \
        the first token above {} s; {} of the requests given up; the store busy {} of the time.\n\n![Load](load.svg)\n\n\
        **The fleet may not grow** beyond {workers} workers.\n\n{}\n\
        **The fleet may grow**, and the store does not ({store}).\n\n{}\n\
        **Workers are faster**, by the same factor as there is more traffic: {workers} GPUs of another size, with the same network, store and \
        memory.\n\n{}",
        runs.day.scenario.warm_up_hours,
        percent(FULL),
        input.traffic.target_first_token_s,
        percent(GIVEN_UP),
        percent(STORE_BUSY),
        table(input, &runs.capped),
        table(input, &runs.grown),
        table(input, &runs.faster),
    )
}

fn table(input: &Input, runs: &[Run<f64>]) -> String {
    let mut table = Table::new(&[
        "traffic",
        "workers, most",
        "places in use",
        "first token p50",
        "p99",
        "given up",
        "in the engine",
        "store busy",
        "broken",
    ]);
    for run in runs {
        let total = &run.total;
        table.row([
            factor(run.what),
            total.most_in_use.to_string(),
            percent(places_in_use(run)),
            seconds(total.first_token(MEDIAN)),
            seconds(total.first_token(P99)),
            percent(total.given_up_share()),
            percent(total.share(total.from_engine)),
            percent(total.mean(total.store_busy)),
            match broken(input, run).as_slice() {
                [] => "–".to_owned(),
                some => some.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            },
        ]);
    }
    format!("{}\n{}", table.text(), verdict(input, runs))
}

/// What is broken, with the number that shows it.
fn broken(input: &Input, run: &Run<f64>) -> Vec<(&'static str, String)> {
    let total = &run.total;
    let (places, p99) = (places_in_use(run), total.first_token(P99));
    let (given_up, busy) = (total.given_up_share(), total.mean(total.store_busy));
    let is_full = places > FULL && total.most_in_use >= run.scenario.workers;
    let all = [
        (
            is_full,
            "workers",
            format!("{} of the places are in use", percent(places)),
        ),
        (
            busy > STORE_BUSY,
            "store",
            format!("the store is busy {} of the time", percent(busy)),
        ),
        (
            p99 > input.traffic.target_first_token_s,
            "first token",
            format!("the first token takes {} at the 99th percentile", seconds(p99)),
        ),
        (
            given_up > GIVEN_UP,
            "given up",
            format!("{} of the requests are given up", percent(given_up)),
        ),
    ];
    all.into_iter()
        .filter(|(is_broken, ..)| *is_broken)
        .map(|(_, name, shown)| (name, shown))
        .collect()
}

fn verdict(input: &Input, runs: &[Run<f64>]) -> String {
    let first = runs
        .iter()
        .map(|run| (run, broken(input, run)))
        .find(|(_, broken)| !broken.is_empty());
    match (first, runs.last()) {
        (Some((run, broken)), _) => {
            let shown: Vec<String> = broken.into_iter().map(|(_, shown)| shown).collect();
            format!("At {}: {}.\n", factor(run.what), shown.join("; "))
        }
        (None, Some(last)) => format!("Nothing is broken up to {}.\n", factor(last.what)),
        (None, None) => String::new(),
    }
}
