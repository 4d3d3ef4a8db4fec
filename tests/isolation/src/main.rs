//! The command line of the isolation suite. Exit code 0: nothing of A was seen; 1: something was, or an endpoint was not tried;
//! 2: the suite could not do its work. Not here: the suite (`riad_isolation`).

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Parser;
use riad_isolation::{AdapterFiles, Options, Report};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Plant canaries in tenant A's room and try every endpoint with tenant B's key.
///
/// Use two tenants that were made for this: their pipelines and settings change while it runs.
#[derive(Parser)]
#[command(name = "riad-isolation", max_term_width = 100)]
struct Arguments {
    /// The server, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// A key of the tenant whose canaries are hunted
    #[arg(long, value_name = "KEY")]
    key_a: String,
    /// A key of the tenant that hunts
    #[arg(long, value_name = "KEY")]
    key_b: String,
    /// A component that spies from B's room; the suite's own if it is not given
    #[arg(long, value_name = "FILE")]
    spy: Option<PathBuf>,
    /// A PEFT folder that fits the server's model; an adapter of the shipped model if it is not given
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
    /// There is no console at this address: proxies in front of cells have none
    #[arg(long)]
    without_console: bool,
    /// Plant the canaries in B's room too: the suite must see them and fail
    #[arg(long)]
    plant_leak: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let said = match run(arguments).await {
        Ok(report) => say(&report, json).map(|()| u8::from(!report.is_clean())),
        Err(error) => writeln!(io::stderr(), "error: {error:#}").map(|()| 2),
    };
    ExitCode::from(said.unwrap_or(2))
}

async fn run(arguments: Arguments) -> Result<Report> {
    let spy = arguments.spy.as_deref().map(read).transpose()?;
    let adapter = match &arguments.adapter {
        Some(folder) => Some(AdapterFiles {
            config: read(&folder.join("adapter_config.json"))?,
            weights: read(&folder.join("adapter_model.safetensors"))?,
        }),
        None => None,
    };
    riad_isolation::run(Options {
        base_url: arguments.base_url,
        key_a: arguments.key_a,
        key_b: arguments.key_b,
        spy,
        adapter,
        has_console: !arguments.without_console,
        plant_leak: arguments.plant_leak,
    })
    .await
}

fn read(path: &Path) -> Result<Bytes> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.into())
}

fn say(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let mut value = serde_json::to_value(report)?;
        if let Some(members) = value.as_object_mut() {
            members.insert("clean".into(), report.is_clean().into());
            members.insert("findings".into(), report.findings().into());
        }
        return writeln!(out, "{value:#}");
    }
    writeln!(out, "{report}")
}
