//! What a fleet that follows the traffic costs, beside one that is always as large as its peak.

use super::{P99, Table, count, percent, seconds};
use crate::tasks::simulate::scenarios::{Run, Runs};

/// What is claimed in the field.
const CLAIMED: f64 = 0.6;

/// Workers that the highest quarter of an hour wants at the utilization that is aimed at. What the autoscaler had beyond them, by
/// mistake, would make its savings look greater.
pub fn peak<T>(run: &Run<T>) -> f64 {
    (highest_work(run) / run.target_utilization).ceil().max(1.0)
}

/// Less than the peak's workers, all the time.
pub fn saving<T>(run: &Run<T>) -> f64 {
    1.0 - run.total.mean(run.total.in_use) / peak(run)
}

/// What the traffic allows: the mean of the work that came, beside its highest quarter of an hour.
fn bound<T>(run: &Run<T>) -> f64 {
    1.0 - run.total.mean(run.total.work) / highest_work(run).max(f64::MIN_POSITIVE)
}

/// Workers that the work of the highest quarter of an hour keeps busy.
fn highest_work<T>(run: &Run<T>) -> f64 {
    let intervals = run.outcome.intervals.iter();
    intervals
        .map(|interval| interval.mean(interval.work))
        .fold(0.0, f64::max)
}

pub fn section(runs: &Runs) -> String {
    let mut table = Table::new(&[
        "case",
        "mean workers",
        "most",
        "peak",
        "less than the peak",
        "bound by the traffic",
        "starts a day",
        "first token p99",
        "given up",
    ]);
    for run in &runs.costs {
        let total = &run.total;
        let starts = total.starts as f64 / (total.seconds / 86_400.0);
        table.row([
            run.what.to_owned(),
            format!("{:.1}", total.mean(total.in_use)),
            total.most_in_use.to_string(),
            count(peak(run)),
            percent(saving(run)),
            percent(bound(run)),
            count(starts),
            seconds(total.first_token(P99)),
            percent(total.given_up_share()),
        ]);
    }
    format!(
        "## Cost against peak provisioning\n\n\
        Cost is the time for which workers are paid: from the decision to start one until it is given back. The peak is the workers that \
        the highest quarter of an hour wants at the same utilization; peak provisioning has them all the time. \"Most\" is what the autoscaler \
        had at once, with its mistakes. The bound is what the traffic's own shape allows: one minus its mean over its highest quarter of an \
        hour.\n\n{}\n{}",
        table.text(),
        verdict(runs)
    )
}

/// Says plainly what of the claim holds here.
fn verdict(runs: &Runs) -> String {
    let reach: Vec<String> = runs
        .costs
        .iter()
        .filter(|run| saving(run) >= CLAIMED)
        .map(|run| {
            let lost = match run.total.given_up_share() {
                few if few < 0.01 => String::new(),
                share => format!(" while {} of the requests are given up", percent(share)),
            };
            format!("\"{}\" ({}{lost})", run.what, percent(saving(run)))
        })
        .collect();
    let (day, size) = (&runs.day, runs.size.workers);
    let (mean, peak) = (day.total.mean(day.total.in_use), peak(day));
    let claim = match reach.len() {
        0 => format!("None of the {} cases above reaches 60 %.", runs.costs.len()),
        some => format!(
            "Of the {} cases above, {some} reach 60 %: {}.",
            runs.costs.len(),
            reach.join(", ")
        ),
    };
    format!(
        "60 to 70 % less is claimed in the field. The whole fleet's day costs {} less than its peak of {peak:.0} workers, and {} less than all \
        {size}. {claim} What decides is the traffic, by its mean over its peak: nights save if all tenants sleep at the same time, weekends \
        if nobody works then. A larger part than the bound is saved only beside a fleet that was provisioned with room to spare: beside twice \
        its peak, the whole fleet's day costs {} less.\n",
        percent(saving(day)),
        percent(1.0 - mean / f64::from(size)),
        percent(1.0 - mean / peak / 2.0),
    )
}
