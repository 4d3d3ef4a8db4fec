//! The isolation suite and OpenAI's client, unchanged, through the proxies.

use super::{fleet::Cells, proxy::Kind, remote::Remote, report::Report};
use crate::{
    environment::Environment,
    process,
    tasks::{peers::ADAPTERS, python::Python},
};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::{fs::File, net::SocketAddr, process::Stdio};

const CLIENTS: &str = "tests/clients/python";
const CLIENT: &str = "openai-python";
/// The suite's plugin uses all capabilities.
const GRANTED: &[&str] = &[r#"plugins.http_hosts=["api.example"]"#];

/// What `riad-isolation --json` says.
#[derive(Deserialize)]
struct Findings {
    outcomes: Vec<Attempt>,
    uncovered: Vec<String>,
    harm: Vec<String>,
}

#[derive(Deserialize)]
struct Attempt {
    endpoint: String,
    what: String,
    status: u16,
    leaked: Vec<String>,
    faults: Vec<String>,
}

impl Attempt {
    /// A proxy has no operator's API, where the suite expects that the key is refused, and no cell's health.
    fn is_hidden(&self) -> bool {
        let path = self.endpoint.split(' ').nth(1).unwrap_or_default();
        let is_operators = path.starts_with("/operator/") || ["/metrics", "/healthz", "/readyz"].contains(&path);
        is_operators && self.status == 404 && self.leaked.is_empty() && self.faults.len() == 1
    }

    /// A request that no proxy forwards: nginx answers a zero byte in a path and two keys by itself.
    fn is_malformed(&self) -> bool {
        let is_malformed = ["zero byte", "two keys"].iter().any(|fault| self.what.contains(fault));
        is_malformed && self.status == 400 && self.leaked.is_empty() && self.faults.len() == 1
    }

    fn is_as_expected(&self) -> bool {
        self.is_hidden() || self.is_malformed() || self.leaked.is_empty() && self.faults.is_empty()
    }
}

/// # Errors
/// When a tenant sees something of another one, or the client fails.
pub fn run(environment: &Environment, cells: &Cells, remote: Option<&Remote>, report: &mut Report) -> Result<()> {
    report.part("Suites through the proxies");
    let proxies: Vec<_> = cells.proxies.iter().map(|proxy| (proxy.kind, proxy.address)).collect();
    for (kind, address) in &proxies {
        isolation(environment, cells, *kind, *address, remote.is_some(), report)?;
    }
    if remote.is_some() {
        report.skip(
            "OpenAI's client",
            "its script is for the model that ships, and vLLM serves another one",
        );
        return Ok(());
    }
    for (kind, address) in proxies {
        client(environment, cells, kind, address, report)?;
    }
    Ok(())
}

/// Two tenants of one cell, and two of different cells.
fn isolation(
    environment: &Environment,
    cells: &Cells,
    kind: Kind,
    address: SocketAddr,
    is_remote: bool,
    report: &mut Report,
) -> Result<()> {
    let program = cells.riad.with_file_name("riad-isolation");
    if !program.is_file() {
        report.skip("the isolation suite", "it was not built beside riad");
        return Ok(());
    }
    let hunted = format!("{kind}-hunted");
    let home = cells.cell_of(&hunted)?;
    let key = cells.make_tenant(&hunted, "", GRANTED)?.key;
    for is_same in [true, false] {
        let names = (0..100).map(|number| format!("{kind}-hunter-{number}"));
        let mut hunter = None;
        for name in names {
            if (cells.cell_of(&name)? == home) == is_same {
                hunter = Some(name);
                break;
            }
        }
        let hunter = cells.make_tenant(&hunter.context("all tenants are in one cell")?, "", GRANTED)?;
        let mut command = process::command(&program, &["--json", "--without-console"], &cells.folder);
        command
            .args([
                "--base-url",
                &format!("http://{address}"),
                "--key-a",
                &key,
                "--key-b",
                &hunter.key,
            ])
            .stderr(Stdio::piped());
        if is_remote {
            command
                .arg("--adapter")
                .arg(environment.root.join(ADAPTERS).join("adapter-a"));
        }
        let output = command
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let Findings {
            outcomes,
            uncovered,
            harm,
        } = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "the isolation suite failed: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        let wrong: Vec<String> = outcomes
            .iter()
            .filter(|attempt| !attempt.is_as_expected())
            .map(|attempt| {
                format!(
                    "{} ({}): {:?} {:?}",
                    attempt.endpoint, attempt.what, attempt.leaked, attempt.faults
                )
            })
            .chain(uncovered.iter().map(|endpoint| format!("{endpoint} was not tried")))
            .chain(harm)
            .collect();
        ensure!(
            wrong.is_empty(),
            "the isolation suite through {kind} found:\n{}",
            wrong.join("\n")
        );
        let hidden = outcomes.iter().filter(|attempt| attempt.is_hidden()).count();
        let malformed = outcomes.iter().filter(|attempt| attempt.is_malformed()).count();
        report.seen(
            &format!("{kind}: isolation suite, tenants in {}", if is_same { "one cell" } else { "two cells" }),
            format!(
                "{} attempts, nothing of the other tenant in any answer; {hidden} of the operator's endpoints are not there (404), {malformed} malformed requests are the proxy's to refuse (400)",
                outcomes.len()
            ),
        );
    }
    Ok(())
}

/// The script of `cargo xtask clients`.
fn client(
    environment: &Environment,
    cells: &Cells,
    kind: Kind,
    address: SocketAddr,
    report: &mut Report,
) -> Result<()> {
    let scripts = environment.root.join(CLIENTS);
    let requirements = scripts.join("requirements").join(format!("{CLIENT}.txt"));
    let python = match Python::with_requirements(environment, CLIENT, &requirements) {
        Ok(python) => python,
        Err(error) => {
            report.skip("OpenAI's client", &format!("{error:#}"));
            return Ok(());
        }
    };
    let key = |what: &str, policy: &[&str]| -> Result<String> {
        Ok(cells.make_tenant(&format!("{kind}-client{what}"), "", policy)?.key)
    };
    let log = cells.folder.join(format!("{kind}-client.log"));
    let file = File::create(&log)?;
    let status = process::command(python.program("python"), &[], &cells.folder)
        .arg(scripts.join(format!("check_{}.py", CLIENT.replace('-', "_"))))
        .env("RIAD_URL", format!("http://{address}"))
        .env("RIAD_KEY", key("", &[])?)
        .env("RIAD_LIMITED_KEY", key("-limited", &["limits.requests_per_minute=20"])?)
        .env("RIAD_SPENT_KEY", key("-spent", &["budget.total_tokens=1"])?)
        .env("NO_PROXY", "127.0.0.1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .context("cannot run Python")?;
    let said = std::fs::read_to_string(&log)?;
    ensure!(status.success(), "OpenAI's client through {kind} failed:\n{said}");
    let worked = said
        .lines()
        .filter(|line| line.starts_with("@ ") && line.ends_with(" ok"))
        .count();
    report.seen(
        &format!("{kind}: OpenAI's client for Python"),
        format!("{worked} features, all work"),
    );
    Ok(())
}
