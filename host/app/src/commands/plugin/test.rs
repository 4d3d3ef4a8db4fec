//! `riad plugin test`: the cases of a plugin's folder, run in the sandbox of the server, with its limits and its standard pipeline.

mod bench;
mod case;
mod compare;
mod embedder;
mod outside;
mod report;
mod room;
mod runner;
#[cfg(test)]
mod tests;

pub use bench::run as bench;

use super::{project::Project, toolchain};
use crate::output::{Output, data_line, line, note};
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

/// Exit code 1 if a case differs from what it expects.
pub async fn run(project: &Project, update: bool, out: &Output) -> Result<ExitCode> {
    let mut files = CaseFile::all(project)?;
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
