//! `cargo xtask test`: what must pass before a commit, in order of cost, up to the first failure; each step with its time.

use super::{console, guests, model, tidy, wit};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Crates that are tested with debug assertions and little optimized: compiling all of them takes longer than all tests. What ships is
/// built by `cargo run`, by the benchmarks, and by what asks a server from outside, such as `cargo xtask clients`.
const ASSERTED: &[&str] = &[
    "riad-core",
    "riad-admission",
    "riad-batch",
    "riad-embeddings",
    "riad-engine",
    "riad-language",
    "riad-objects",
    "riad-store",
    "riad-sandbox",
    "riad-outbound",
    "riad-telemetry",
    "riad-services",
    "riad-api-types",
    "riad-api",
    "riad-cells",
    "riad-console",
    "riad-app",
    "riad-isolation",
];

/// Below mistral.rs, which would be built once more for it: its unit tests with debug assertions are a run of their own.
const KERNELS: &str = "riad-kernels";
const LITTLE_OPTIMIZED: &str = "opt-level=1";

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
        let formatted = manifests.iter().chain(&["tests/console/Cargo.toml"]);
        formatted
            .into_iter()
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
    steps.step("contracts", || wit::run(environment, &wit::Arguments::checking()))?;
    steps.step("guests", || guests::run(environment, &guests::Arguments::checking()))?;
    let deny = &mut process::command(&environment.cargo, &["deny", "--version"], &environment.root);
    if process::succeeds(deny) {
        steps.step("licenses", || cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    } else {
        say::line("== licenses: skipped, cargo-deny is not installed (`cargo install cargo-deny`)");
    }
    let tested = settings(ASSERTED);
    steps.step("tests", || {
        with_debug_assertions(
            environment,
            &["--workspace", "--lib", "--bins", "--test", "*"],
            &tested,
            ASSERTED,
        )?;
        let doc = ["test", "--release", "--workspace", "--no-fail-fast", "--doc"];
        cargo(&[&doc[..], &words(&tested)].concat())
    })?;
    steps.step("tests of the kernels", || {
        with_debug_assertions(
            environment,
            &["--package", KERNELS, "--lib"],
            &settings(&[KERNELS]),
            &[KERNELS],
        )
    })?;
    match model::download(environment) {
        Ok(source) => steps.step("real model", || {
            model::compare(environment, &model::make(environment, source)?, &tested)
        })?,
        Err(error) => say::line(&format!("== real model: skipped, {error:#}")),
    }
    for (step, manifest) in [
        ("plugin tests", "plugins/Cargo.toml"),
        ("SDK tests", "sdk/rust/Cargo.toml"),
    ] {
        steps.step(step, || {
            let test = ["test", "--release", "--locked", "--manifest-path", manifest];
            let setting = format!("profile.release.{LITTLE_OPTIMIZED}");
            cargo(&[&test[..], &["--config", &setting]].concat())
        })?;
    }
    steps.step("demo", || {
        let demo = [&["run", "--release"], &words(&tested)[..], &["--", "demo", "--once"]];
        cargo(&demo.concat())
    })?;
    if console::has_browser(environment) {
        // With what the demo was run with.
        let riad = environment.target.join("release/riad");
        steps.step("console", || console::walk(environment, riad, None))?;
    } else {
        say::line("== console: skipped, chromedriver is not installed (Debian: chromium-driver)");
    }
    steps.summary();
    Ok(())
}

/// Of these crates, for cargo's command line.
fn settings(packages: &[&str]) -> Vec<String> {
    let of = |package| {
        ["debug-assertions=true", LITTLE_OPTIMIZED]
            .into_iter()
            .flat_map(move |setting| {
                [
                    "--config".to_owned(),
                    format!("profile.release.package.{package}.{setting}"),
                ]
            })
    };
    packages.iter().flat_map(of).collect()
}

fn words(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

/// Runs the tests of what is selected with these settings, after a look at what cargo built: a switch that stops working would go
/// unnoticed, since the tests pass without it.
fn with_debug_assertions(
    environment: &Environment,
    selected: &[&str],
    settings: &[String],
    packages: &[&str],
) -> Result<()> {
    let test = [&["test", "--release"], selected, &words(settings)[..]].concat();
    let cargo = |more: &[&str]| {
        let mut command = process::command(&environment.cargo, &[&test[..], more].concat(), &environment.root);
        command.env("CARGO_TARGET_DIR", &environment.target);
        command
    };
    // First where it can be seen: it takes long.
    process::run(&mut cargo(&["--no-run"]))?;
    let built = process::read(&mut cargo(&["--no-run", "--message-format", "json-render-diagnostics"]))?;
    let asserted = asserted(&built)?;
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !asserted.contains(&package.replace('-', "_")))
        .copied()
        .collect();
    ensure!(
        missing.is_empty(),
        "built without debug assertions: {}",
        missing.join(", ")
    );
    process::run(&mut cargo(&["--no-fail-fast"]))
}

/// The members of a line of `--message-format json` that count here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        target: Target,
        profile: Profile,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
    debug_assertions: bool,
}

/// Libraries whose unit tests were built with debug assertions, as cargo reports it.
fn asserted(messages: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for line in messages.lines() {
        let message = serde_json::from_str(line).context("cannot understand what cargo reports about a build")?;
        if let Message::CompilerArtifact { target, profile } = message
            && profile.test
            && profile.debug_assertions
        {
            names.insert(target.name);
        }
    }
    Ok(names)
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

#[cfg(test)]
mod tests {
    use super::asserted;

    #[test]
    fn only_unit_tests_with_debug_assertions_count() {
        let artifact = |name: &str, test: bool, debug_assertions: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "target": { "name": name, "kind": ["lib"] },
                "profile": { "opt_level": "3", "debug_assertions": debug_assertions, "test": test },
            })
        };
        let messages = [
            artifact("riad_core", true, true),
            artifact("riad_store", true, false),
            artifact("riad_api", false, true),
            serde_json::json!({ "reason": "build-finished", "success": true }),
        ];
        let lines: Vec<String> = messages.iter().map(ToString::to_string).collect();
        assert!(asserted(&lines.join("\n")).unwrap().into_iter().eq(["riad_core"]));
        assert!(asserted("no JSON").is_err());
    }
}
