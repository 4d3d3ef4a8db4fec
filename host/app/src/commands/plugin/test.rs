//! `riad plugin test`: the cases of a plugin's folder, run in the sandbox of the server, with its limits and its standard pipeline.

mod bench;
mod case;
mod compare;
mod embedder;
mod ingestion;
mod measured;
mod outside;
mod replay;
mod report;
mod room;
mod runner;
#[cfg(test)]
mod tests;

pub use bench::run as bench;

use super::{project::Project, toolchain};
use crate::{
    client::Client,
    output::{Output, data_line, line, note},
};
use case::CaseFile;
use compare::{Difference, differences};
use riad_core::{Error, Result};
use runner::{Outcome, Runner};
use serde_json::Value;
use std::process::ExitCode;

/// What was found out about a case.
struct Tried {
    name: String,
    outcome: Outcome,
    /// `None`: the case expects nothing yet.
    differences: Option<Vec<Difference>>,
}

/// The cases of the plugin's folder. Exit code 1 if one differs from what it expects.
pub async fn run(project: &Project, update: bool, out: &Output) -> Result<ExitCode> {
    try_cases(project, CaseFile::all(project)?, update, out).await
}

/// A real request of the room. It expects nothing yet: what comes out is shown, and with `update` kept as a case.
pub async fn replay(project: &Project, client: &Client, receipt: u64, update: bool, out: &Output) -> Result<ExitCode> {
    let case = replay::case(client, receipt, &project.manifest.stages).await?;
    replay::differences(&project.manifest)
        .iter()
        .for_each(|line| note(line));
    let file = CaseFile::of_receipt(project, receipt, case);
    if update {
        return try_cases(project, vec![file], update, out).await;
    }
    let built = toolchain::build(project).await?;
    let runner = Runner::new(project, &built.bytes).await?;
    let mut tried = Vec::new();
    for case in file.cases {
        let outcome = runner.run(&case).await?;
        if !out.is_json() {
            let found = serde_json::to_string_pretty(&outcome.results()).map_err(Error::internal)?;
            data_line(&found);
            note(&report::used(&outcome));
        }
        tried.push(Tried {
            name: case.name,
            outcome,
            differences: None,
        });
    }
    if out.is_json() {
        data_line(&report::json(&tried).to_string());
    }
    Ok(ExitCode::SUCCESS)
}

async fn try_cases(project: &Project, mut files: Vec<CaseFile>, update: bool, out: &Output) -> Result<ExitCode> {
    let built = toolchain::build(project).await?;
    let runner = Runner::new(project, &built.bytes).await?;
    let mut tried = Vec::new();
    for file in &mut files {
        for case in &mut file.cases {
            let outcome = runner.run(case).await?;
            let found = outcome.results();
            if update {
                case.expect = Some(found.clone());
            }
            tried.push(Tried {
                name: case.name.clone(),
                differences: case.expect.as_ref().map(|expected| differences(expected, &found)),
                outcome,
            });
        }
        if update {
            file.write()?;
            note(&format!("Wrote what came out into {}.", file.path.display()));
        }
    }
    if out.is_json() {
        data_line(&report::json(&tried).to_string());
    } else {
        line(&report::text(&tried));
    }
    Ok(match tried.iter().all(Tried::has_passed) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

impl Tried {
    fn has_passed(&self) -> bool {
        self.differences.as_ref().is_some_and(Vec::is_empty)
    }
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
