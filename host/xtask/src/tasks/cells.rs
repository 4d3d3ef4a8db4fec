//! `cargo xtask cells [--riad PROGRAM] [--vllm]`: three cells behind a real HAProxy and a real nginx, with the configuration that `riad cell routes`
//! writes, and an S3-compatible server with their snapshots. Tenants ask through both proxies while the map changes, a cell is killed, a tenant
//! moves, and a disk is lost; `tests/cells/REPORT.md` says what was seen.
//! What is not installed is skipped, with a line that says so. Not here: each rule of routing, with fakes (`host/cells/tests`).

mod billing;
mod fleet;
mod http;
mod load;
mod losing;
mod moving;
mod objects;
mod proxy;
mod remote;
mod report;
mod routing;
mod suites;

use super::server;
use crate::{environment::Environment, say};
use anyhow::{Context, Result, ensure};
use fleet::{Cells, MISDIRECTED};
use remote::Remote;
use report::Report;
use std::{fs, path::PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// A `riad` that was built before; if it is not given, the workspace is built
    #[arg(long)]
    riad: Option<PathBuf>,
    /// A real vLLM generates for the cells; its packages are 6 GB
    #[arg(long)]
    vllm: bool,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let riad = match &arguments.riad {
        Some(riad) => fs::canonicalize(riad).with_context(|| format!("there is no {}", riad.display()))?,
        None => server::build(environment)?,
    };
    let folder = server::new_folder(environment, "cells")?;
    let mut report = Report::new();
    let remote = match arguments.vllm {
        true => Remote::start(environment, &folder).map_err(|error| format!("{error:#}")),
        false => Err("it was not asked for (--vllm)".to_owned()),
    };
    let remote = match remote {
        Ok(remote) => Some(remote),
        Err(why) => {
            report.skip("vLLM", &why);
            None
        }
    };
    let mut cells = Cells::start(environment, riad, folder, |folder| {
        remote
            .as_ref()
            .map(|remote| remote.variables(folder))
            .unwrap_or_default()
    })?;
    make_tenants(&mut cells)?;
    cells.start_proxies()?;
    report.part("Set-up");
    report.seen("Object store", cells.objects.name.clone());
    report.seen(
        "Engine",
        remote
            .as_ref()
            .map_or("each cell's own", |_| "a vLLM that all cells share"),
    );
    routing::run(&mut cells, &mut report)?;
    if let Some(remote) = &remote {
        report.part("Adapters");
        remote.put_adapters(&cells)?;
        remote.check_answers(&cells, "at first", &mut report)?;
    }
    suites::run(environment, &cells, remote.as_ref(), &mut report)?;
    moving::run(&mut cells, &mut report)?;
    if let Some(remote) = &remote {
        remote.check_answers(&cells, "after the moves", &mut report)?;
    }
    losing::run(&mut cells, &mut report)?;
    if let Some(remote) = &remote {
        remote.check_answers(&cells, "after the restore", &mut report)?;
    }
    report.write(environment, &cells.riad)?;
    let tried = cells.proxies.len();
    say::line(&format!("3 cells answered as they should, behind {tried} proxies"));
    Ok(())
}

/// Two, each in the cell that the map says and refused by the others.
fn make_tenants(cells: &mut Cells) -> Result<()> {
    for (id, word) in [("acme", "zorblax"), ("globex", "quimpert")] {
        let home = cells.cell_of(id)?;
        for other in cells.cells.iter().filter(|other| other.name != home) {
            let words = ["tenant", "create", id];
            let code = cells.riad(&other.server.url, server::OPERATOR_KEY, &words)?.0;
            ensure!(
                code == MISDIRECTED,
                "cell {} made the tenant {id} of cell {home}: {code}",
                other.name
            );
        }
        let tenant = cells.make_tenant(id, word, &[])?;
        ensure!(
            tenant.key.starts_with(&format!("riad_sk_{:05}_", tenant.slot)),
            "the key of {id} does not say slot {}",
            tenant.slot
        );
        cells.tenants.push(tenant);
    }
    let mut homes: Vec<&str> = cells.tenants.iter().map(|tenant| tenant.cell.as_str()).collect();
    homes.dedup();
    ensure!(
        homes.len() == cells.tenants.len(),
        "the tenants are in one cell; choose others"
    );
    Ok(())
}
