//! `cargo xtask schemathesis [--seconds N]`: sends requests that are made of the server's own document, good ones and broken ones, and
//! compares the answers with the document. Not here: which checks (`tests/schemathesis`).

use super::{
    python::Python,
    server::{OPERATOR_KEY, Server},
};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, bail, ensure};

/// The tenant whose operations are tried, and which the operator's operations never see: its server is another one.
const TENANT: &str = "acme";

#[derive(clap::Args)]
pub struct Arguments {
    /// How long it runs, over all operations
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..))]
    seconds: u64,
    /// For Schemathesis itself, after `--`, such as `--seed 1` or `--include-path /v1/search`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Operations that are tried together, on a server of their own: the operator's delete tenants and change their limits.
struct Part {
    name: &'static str,
    /// Options that select the operations.
    operations: [&'static str; 2],
    /// Of the seconds, how many tenths.
    tenths: u64,
}

const PARTS: [Part; 2] = [
    Part {
        name: "tenant",
        operations: ["--include-path-regex", "^/v1/"],
        tenths: 7,
    },
    Part {
        name: "operator",
        operations: ["--exclude-path-regex", "^/v1/"],
        tenths: 3,
    },
];

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let folder = environment.root.join("tests/schemathesis");
    let python = Python::with_requirements(environment, "schemathesis", &folder.join("requirements.txt"))?;
    let mut failed = Vec::new();
    for part in PARTS {
        let seconds = arguments.seconds * part.tenths / 10;
        say::line(&format!("== operations of the {}, for {seconds} s", part.name));
        let variables = [("RIAD_METRICS_KEY", OPERATOR_KEY.to_owned())];
        let mut server = Server::start(environment, "schemathesis", &variables)?;
        server.tenant(TENANT, &[])?;
        let document = format!("{}/openapi.json", server.url);
        let mut fuzz = process::command(
            python.program("schemathesis"),
            &["fuzz", &document, "--max-time", &seconds.to_string()],
            &folder,
        );
        fuzz.args(part.operations)
            .args(&arguments.arguments)
            .env("RIAD_URL", &server.url)
            .env("RIAD_OPERATOR_KEY", OPERATOR_KEY)
            .env("RIAD_TENANT", TENANT)
            .env("NO_PROXY", "127.0.0.1");
        let status = fuzz.status().context("cannot run schemathesis")?;
        ensure!(server.is_running(), "the server has ended:\n{}", server.log());
        if !status.success() {
            failed.push(part.name);
        }
    }
    if !failed.is_empty() {
        bail!(
            "schemathesis found something in the operations of: {}",
            failed.join(", ")
        );
    }
    Ok(())
}
