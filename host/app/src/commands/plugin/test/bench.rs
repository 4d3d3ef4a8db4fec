//! `riad plugin bench`: each case many times, each time in a fresh instance, as a server runs it.

use super::{
    case::CaseFile,
    report::{micros, milliseconds},
    runner::Runner,
};
use crate::{
    commands::plugin::{project::Project, toolchain},
    output::{Output, line, note, table},
};
use riad_core::{Result, plugin::Stage};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Of one stage of a case.
#[derive(Default)]
struct Series {
    /// With host calls, without the making of the instance.
    times: Vec<Duration>,
    fuel: Vec<u64>,
}

pub async fn run(project: &Project, runs: u32, out: &Output) -> Result<()> {
    let files = CaseFile::all(project)?;
    let built = toolchain::build(project).await?;
    let runner = Runner::new(project, &built.bytes).await?;
    let mut measured = Vec::new();
    for case in files.iter().flat_map(|file| &file.cases) {
        let mut stages: BTreeMap<Stage, Series> = BTreeMap::new();
        // The first run loads what was compiled.
        for _ in 0..=runs {
            for (stage, found) in runner.run(case).await?.stages {
                let series = stages.entry(stage).or_default();
                series.times.push(found.whole);
                series.fuel.push(found.fuel);
            }
        }
        for (stage, mut series) in stages {
            series.times.remove(0);
            series.times.sort_unstable();
            series.fuel.sort_unstable();
            measured.push((case.name.clone(), stage, series));
        }
    }
    if out.is_json() {
        out.show_json(&json(&measured), String::new);
        return Ok(());
    }
    let rows: Vec<_> = measured
        .iter()
        .map(|(case, stage, series)| {
            vec![
                case.clone(),
                stage.to_string(),
                milliseconds(percentile(&series.times, 50).unwrap_or_default()),
                milliseconds(percentile(&series.times, 99).unwrap_or_default()),
                percentile(&series.fuel, 50).unwrap_or_default().to_string(),
            ]
        })
        .collect();
    line(table::render(&["case", "stage", "p50 ms", "p99 ms", "fuel"], &rows).trim_end());
    note(&format!(
        "{runs} runs of each case, each in a fresh instance whose making is not counted."
    ));
    Ok(())
}

fn json(measured: &[(String, Stage, Series)]) -> Value {
    let rows = measured.iter().map(|(case, stage, series)| {
        let time = |percent| percentile(&series.times, percent).map(micros);
        json!({
            "case": case,
            "stage": stage.as_str(),
            "p50_us": time(50),
            "p99_us": time(99),
            "fuel": percentile(&series.fuel, 50),
        })
    });
    rows.collect()
}

/// Of a sorted list, the least value that so many percent of all do not exceed.
fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(50));
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile::<u32>(&[], 50), None);
    }
}
