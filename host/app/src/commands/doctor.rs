//! `riad doctor`: checks what a server needs to start and to run, without starting one.
//!
//! One line per check: ok, warn or fail, and what to do. It prints no secret and loads no model.

mod files;
mod machine;
mod model;
mod network;
mod plugins;

use super::check::{self, Check};
use crate::{
    cli::DoctorArgs,
    config::{Config, Overrides, Secrets, Sources},
    output::Output,
};
use riad_core::Result;
use serde_json::json;
use std::path::Path;

/// Prints the result of every check; the exit code says whether a server can start.
///
/// # Errors
/// `InvalidRequest` if a check failed.
pub async fn run(args: DoctorArgs) -> Result<()> {
    let checks = run_checks(args.config.as_deref(), args.data.as_deref()).await;
    let outcome = check::outcome(&checks);
    let json = json!({"object": "doctor", "ok": outcome.is_ok(), "checks": check::as_json(&checks)});
    Output::new(args.json).show_json(&json, || check::as_lines(&checks));
    outcome
}

async fn run_checks(file: Option<&Path>, data: Option<&Path>) -> Vec<Check> {
    let overrides = Overrides::default().set("server.data", "--data", data);
    let (config, sources) = match Config::load_with_sources(file, std::env::vars_os(), &overrides) {
        Ok(loaded) => loaded,
        // Every other check depends on the configuration.
        Err(error) => return vec![Check::fail("configuration", error.message())],
    };
    let mut checks = vec![configuration(&sources), secrets()];
    let folder = files::data_folder(&config.server.data);
    let in_use = folder.in_use;
    checks.extend(folder.checks);
    checks.extend(model::check(&config, in_use));
    checks.push(match in_use {
        true => Check::skip("listen address", "a running server uses this data folder"),
        false => network::listen(&config.server.listen).await,
    });
    checks.extend(files::tls(&config.server));
    checks.extend(files::cells(&config.cell));
    checks.extend(network::identity(config.auth.jwks.as_deref()).await);
    checks.extend(network::collector(config.telemetry.otlp_endpoint.as_deref()).await);
    checks.push(machine::open_files(config.limits.connections, config.limits.open_rooms).await);
    checks.push(plugins::compiler(&config).await);
    checks.extend(plugins::grants(&config.server.data));
    checks.push(machine::clock(&config.server.data));
    checks
}

fn configuration(sources: &Sources) -> Check {
    let file = sources.file.as_ref().map(|file| file.display().to_string());
    let variables: Vec<_> = sources.variables.values().map(String::as_str).collect();
    let message = match (file, variables.as_slice()) {
        (None, []) => "defaults only; --config FILE reads a file, riad.example.toml has all keys".to_owned(),
        (Some(file), []) => file,
        (None, variables) => format!("defaults, and {}", variables.join(", ")),
        (Some(file), variables) => format!("{file}, and {}", variables.join(", ")),
    };
    Check::ok("configuration", message)
}

fn secrets() -> Check {
    match Secrets::read(std::env::vars_os()) {
        Ok(secrets) if secrets.operator_key.is_none() => {
            let set = secrets.set();
            let others = match set.as_slice() {
                [] => String::new(),
                set => format!("{} set; ", set.join(" and ")),
            };
            Check::ok(
                "secrets",
                format!("{others}RIAD_OPERATOR_KEY is not set: the first start makes a key and shows it once"),
            )
        }
        Ok(secrets) => Check::ok("secrets", format!("{} set", secrets.set().join(" and "))),
        Err(error) => Check::fail("secrets", error.message()),
    }
}

#[cfg(test)]
#[path = "doctor/tests.rs"]
mod tests;
