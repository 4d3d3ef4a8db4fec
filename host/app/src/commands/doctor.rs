//! `riad doctor`: looks at everything that a start and a day of serving need, and starts nothing.
//!
//! One line per check: ok, warn or fail, and what to do. No secret is printed, and no model is loaded.
//! Not here: what is looked at (`files`, `model`, `network`, `machine`).

mod files;
mod machine;
mod model;
mod network;

use crate::{
    cli::DoctorArgs,
    config::{Config, Secrets, Sources},
    output::{self, Output},
};
use riad_core::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Prints what was found; the exit code says whether a server can be started with it.
///
/// # Errors
/// `InvalidRequest` if a check failed.
pub async fn run(args: DoctorArgs) -> Result<()> {
    let checks = examine(args.config.as_deref(), args.data.as_deref()).await;
    let failed = checks.iter().filter(|check| check.grade == Grade::Fail).count();
    Output::new(args.json).show(&as_json(&checks, failed == 0), |_| as_lines(&checks));
    match failed {
        0 => Ok(()),
        _ => Err(Error::invalid(format!(
            "{failed} of {} checks failed; each line above that begins with `fail` says what to do",
            checks.len()
        ))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    /// It works, and may surprise later.
    Warn,
    /// A start would fail, or serve nobody.
    Fail,
    /// Not looked at, and why.
    Skip,
}

impl Grade {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// What one look has found, in a sentence; what to do comes after a semicolon.
#[derive(Debug)]
struct Check {
    what: &'static str,
    grade: Grade,
    message: String,
}

impl Check {
    fn ok(what: &'static str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Ok, message)
    }

    fn warn(what: &'static str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Warn, message)
    }

    fn fail(what: &'static str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Fail, message)
    }

    fn skip(what: &'static str, message: impl Into<String>) -> Self {
        Self::new(what, Grade::Skip, message)
    }

    fn new(what: &'static str, grade: Grade, message: impl Into<String>) -> Self {
        Self {
            what,
            grade,
            message: message.into(),
        }
    }
}

async fn examine(file: Option<&Path>, data: Option<&Path>) -> Vec<Check> {
    let loaded = Config::load_with_sources(file, std::env::vars_os());
    let (mut config, sources) = match loaded {
        Ok(loaded) => loaded,
        // Everything else depends on it.
        Err(error) => return vec![Check::fail("configuration", error.message())],
    };
    if let Some(data) = data {
        config.server.data = data.to_owned();
    }
    let mut checks = vec![configuration(&sources), secrets()];
    let folder = files::data_folder(&config.server.data);
    let runs = folder.runs;
    checks.extend(folder.checks);
    checks.extend(model::check(&config, runs));
    checks.push(match runs {
        true => Check::skip("listen address", "a server is running, with this data folder"),
        false => network::listen(&config.server.listen).await,
    });
    checks.extend(files::tls(&config.server));
    checks.extend(network::identity(config.auth.jwks.as_deref()).await);
    checks.extend(network::collector(config.telemetry.otlp_endpoint.as_deref()).await);
    checks.push(machine::open_files(config.limits.connections, config.limits.open_rooms).await);
    checks.push(machine::lanes(config.engine.lanes));
    checks.push(machine::clock(&config.server.data));
    checks
}

fn configuration(sources: &Sources) -> Check {
    let file = sources.file.as_ref().map(|file| file.display().to_string());
    let variables: Vec<_> = sources.variables.values().map(String::as_str).collect();
    let message = match (file, variables.as_slice()) {
        (None, []) => "defaults only; --config FILE names a file, riad.example.toml has all keys".to_owned(),
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

fn as_lines(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.what.len()).max().unwrap_or(0);
    checks
        .iter()
        .map(|check| {
            let message = output::clean(&check.message).replace('\n', " ");
            format!(
                "{:<4}  {}  {message}\n",
                check.grade.as_str(),
                output::table::pad(check.what, width)
            )
        })
        .collect()
}

fn as_json(checks: &[Check], ok: bool) -> Value {
    let checks: Vec<_> = checks
        .iter()
        .map(|check| json!({"check": check.what, "result": check.grade.as_str(), "message": check.message}))
        .collect();
    json!({"object": "doctor", "ok": ok, "checks": checks})
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let bytes = bytes as f64;
    match bytes {
        ..1e6 => format!("{:.0} kB", bytes / 1e3),
        ..1e9 => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

#[cfg(test)]
#[path = "doctor/tests.rs"]
mod tests;
