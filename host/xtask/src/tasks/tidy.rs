//! `cargo xtask tidy`: what no compiler checks. Not here: format and lints (rustfmt, clippy).

mod deployment;
mod directions;
mod files;
mod lockfiles;
mod modules;
mod workspace;

use crate::{environment::Environment, say};
use anyhow::{Result, bail};

pub fn run(environment: &Environment) -> Result<()> {
    let workspace = workspace::read(environment)?;
    let mut wrong = directions::check(environment, &workspace);
    wrong.extend(modules::check(environment)?);
    wrong.extend(lockfiles::check(environment, &workspace)?);
    wrong.extend(deployment::check(environment)?);
    let found = files::check(environment)?;
    for note in &found.notes {
        say::line(&format!("tidy: {note}"));
    }
    wrong.extend(found.wrong);
    if !wrong.is_empty() {
        bail!("tidy:\n{}", wrong.join("\n"));
    }
    say::line(&format!(
        "tidy: {} files are in order, crates depend in the allowed directions, modules form no cycles, lockfiles are up to date, \
         what host/deploy names exists",
        found.files
    ));
    Ok(())
}
