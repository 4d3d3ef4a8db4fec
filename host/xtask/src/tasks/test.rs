//! `cargo xtask test`: what must pass before a commit, in order of cost, up to the first failure; each step with its time.

use super::{guests, tidy};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};

pub fn run(environment: &Environment) -> Result<()> {
    let cargo = |arguments: &[&str]| {
        process::run(
            process::command(&environment.cargo, arguments, &environment.root)
                .env("CARGO_TARGET_DIR", &environment.target),
        )
    };
    // The guests' workspaces are apart: they are built for another target, and by their authors alone.
    let manifests = ["plugins/Cargo.toml", "tests/guests/Cargo.toml", "sdk/rust/Cargo.toml"];
    let mut steps = Steps::default();
    steps.step("format", || {
        cargo(&["fmt", "--all", "--check"])?;
        manifests
            .iter()
            .try_for_each(|manifest| cargo(&["fmt", "--all", "--check", "--manifest-path", manifest]))
    })?;
    steps.step("clippy", || {
        let clippy = ["clippy", "--release", "--all-targets"];
        let deny = ["--", "-D", "warnings"];
        cargo(&[&clippy[..], &["--workspace"], &deny].concat())?;
        manifests
            .iter()
            .try_for_each(|manifest| cargo(&[&clippy[..], &["--locked", "--manifest-path", manifest], &deny].concat()))
    })?;
    steps.step("tidy", || tidy::run(environment))?;
    steps.step("guests", || guests::run(environment, &guests::Arguments::checking()))?;
    let deny = &mut process::command(&environment.cargo, &["deny", "--version"], &environment.root);
    if process::succeeds(deny) {
        steps.step("licenses", || cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        say::line("== licenses: skipped, cargo-deny is not installed (`cargo install cargo-deny`)");
    }
    steps.step("tests", || {
        cargo(&["test", "--release", "--workspace", "--no-fail-fast"])
    })?;
    steps.step("plugin tests", || {
        cargo(&["test", "--release", "--locked", "--manifest-path", "plugins/Cargo.toml"])
    })?;
    steps.step("SDK tests", || {
        cargo(&[
            "test",
            "--release",
            "--locked",
            "--manifest-path",
            "sdk/rust/Cargo.toml",
        ])
    })?;
    steps.step("demo", || cargo(&["run", "--release", "--", "demo", "--once"]))?;
    steps.summary();
    Ok(())
}

#[derive(Default)]
struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        say::line(&format!("== {name}"));
        let begun = Instant::now();
        work().with_context(|| format!("the step \"{name}\" failed"))?;
        let time = begun.elapsed();
        say::line(&format!("== {name}: passed in {:.1} s", time.as_secs_f64()));
        self.done.push((name, time));
        Ok(())
    }

    fn summary(&self) {
        let total: Duration = self.done.iter().map(|(_, time)| *time).sum();
        let steps: Vec<String> = self
            .done
            .iter()
            .map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()))
            .collect();
        say::line(&format!(
            "== all {} steps passed in {:.1} s: {}",
            self.done.len(),
            total.as_secs_f64(),
            steps.join(", ")
        ));
    }
}
