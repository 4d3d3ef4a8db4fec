//! `cargo xtask cells [--riad PROGRAM]`: three cells behind a real HAProxy and a real nginx, with the configuration that `riad cell routes` writes.
//! Two tenants in two cells ask through both; a map that has changed, and a cell that is killed, reach no wrong room.
//! A proxy that is not installed is skipped, with a line that says so. Not here: each rule of routing, with fakes (`host/cells/tests`).

mod http;
mod proxy;

use super::server::{self, OPERATOR_KEY, Server};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, ensure};
use http::Connection;
use proxy::{Kind, Proxy};
use serde::Deserialize;
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// The exit code of a request to the wrong cell.
const MISDIRECTED: i32 = 20;
/// Servers look every three seconds whether the map has changed.
const RELOAD_MAX: Duration = Duration::from_secs(30);
const MEASURED: usize = 500;

#[derive(clap::Args)]
pub struct Arguments {
    /// A `riad` that was built before; if it is not given, the workspace is built
    #[arg(long)]
    riad: Option<PathBuf>,
}

struct Cell {
    name: &'static str,
    address: SocketAddr,
    server: Server,
}

struct Tenant {
    id: &'static str,
    cell: String,
    slot: u16,
    key: String,
    /// A word that only its document has.
    word: &'static str,
}

/// Where `riad cell show` says that a tenant belongs.
#[derive(Deserialize)]
struct Place {
    cell: String,
    slot: u16,
}

struct Cells {
    riad: PathBuf,
    folder: PathBuf,
    cells: Vec<Cell>,
    tenants: Vec<Tenant>,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let riad = match &arguments.riad {
        Some(riad) => fs::canonicalize(riad).with_context(|| format!("there is no {}", riad.display()))?,
        None => server::build(environment)?,
    };
    let mut cells = Cells::start(environment, riad)?;
    cells.make_tenants()?;
    cells.check_without_proxy()?;
    let mut tried = 0;
    for kind in Kind::ALL {
        let address = server::free_address()?;
        let Some(proxy) = Proxy::start(kind, &cells.folder, address, &cells.routes(kind, address)?)? else {
            say::line(&format!("== {kind}: SKIPPED, it is not installed"));
            continue;
        };
        say::line(&format!("== {kind}"));
        cells.check_proxy(&proxy)?;
        cells.check_old_map(&proxy)?;
        cells.check_killed_cell(&proxy)?;
        tried += 1;
    }
    say::line(&format!("3 cells answered as they should, behind {tried} proxies"));
    Ok(())
}

impl Cells {
    fn start(environment: &Environment, riad: PathBuf) -> Result<Self> {
        let folder = server::new_folder(environment, "cells")?;
        let names = ["a", "b", "c"];
        let mut addresses = Vec::new();
        for _ in names {
            addresses.push(server::free_address()?);
        }
        let cells = names.iter().zip(&addresses);
        let planned: Vec<String> = cells
            .map(|(name, address)| format!("{name}=http://{address}"))
            .collect();
        let mut all = Self {
            riad,
            folder,
            cells: Vec::new(),
            tenants: Vec::new(),
        };
        all.cell_command(&["plan", "--cells", &planned.join(",")])?;
        for (name, address) in names.into_iter().zip(addresses) {
            let folder = all.folder.join(name);
            fs::create_dir_all(&folder)?;
            let variables = [
                ("RIAD_CELL__NAME", name.to_owned()),
                ("RIAD_CELL__MAP", all.map().to_string_lossy().into_owned()),
                // Each has a whole server's memory otherwise.
                ("RIAD_ENGINE__MAX_SEQUENCES", "2".to_owned()),
            ];
            let server = Server::start_at(all.riad.clone(), folder, address, &variables)?;
            all.cells.push(Cell { name, address, server });
        }
        Ok(all)
    }

    fn map(&self) -> PathBuf {
        self.folder.join("cells.toml")
    }

    fn cell_command(&self, words: &[&str]) -> Result<String> {
        let (action, rest) = words.split_first().context("no command")?;
        let map = self.map();
        let map = map.to_string_lossy();
        let words = [&["cell", action, "--map", map.as_ref()][..], rest].concat();
        process::read(&mut process::command(&self.riad, &words, &self.folder))
    }

    fn routes(&self, kind: Kind, address: SocketAddr) -> Result<String> {
        self.cell_command(&["routes", "--for", &kind.to_string(), "--listen", &address.to_string()])
    }

    fn cell(&self, name: &str) -> Result<&Cell> {
        let found = self.cells.iter().find(|cell| cell.name == name);
        found.with_context(|| format!("there is no cell {name}"))
    }

    fn cell_mut(&mut self, name: &str) -> Result<&mut Cell> {
        let found = self.cells.iter_mut().find(|cell| cell.name == name);
        found.with_context(|| format!("there is no cell {name}"))
    }

    /// Two tenants, each in the cell that the map says and refused by the others.
    fn make_tenants(&mut self) -> Result<()> {
        for (id, word) in [("acme", "zorblax"), ("globex", "quimpert")] {
            let place = self.cell_command(&["show", "--tenant", id, "--json"])?;
            let Place { cell, slot } =
                serde_json::from_str(&place).context("cannot understand where a tenant belongs")?;
            for other in self.cells.iter().filter(|other| other.name != cell) {
                let code = self.riad(&other.server.url, OPERATOR_KEY, &["tenant", "create", id])?.0;
                ensure!(
                    code == MISDIRECTED,
                    "cell {} made the tenant {id} of cell {cell}: {code}",
                    other.name
                );
            }
            let key = self.cell(&cell)?.server.tenant(id, &[])?;
            ensure!(
                key.starts_with(&format!("riad_sk_{slot:05}_")),
                "the key of {id} does not say slot {slot}"
            );
            self.tenants.push(Tenant {
                id,
                cell,
                slot,
                key,
                word,
            });
        }
        let mut cells: Vec<&str> = self.tenants.iter().map(|tenant| tenant.cell.as_str()).collect();
        cells.dedup();
        ensure!(
            cells.len() == self.tenants.len(),
            "the tenants are in one cell; choose others"
        );
        Ok(())
    }

    fn check_without_proxy(&self) -> Result<()> {
        for tenant in &self.tenants {
            for cell in &self.cells {
                let (code, said) = self.riad(&cell.server.url, &tenant.key, &["models"])?;
                let expected = if cell.name == tenant.cell { 0 } else { MISDIRECTED };
                ensure!(
                    code == expected,
                    "cell {} answered {} with {code}: {said}",
                    cell.name,
                    tenant.id
                );
                ensure!(
                    code == 0 || said.contains(&format!("\"{}\"", tenant.cell)),
                    "no cell is named: {said}"
                );
            }
        }
        Ok(())
    }

    /// Each tenant reads what it wrote, and nothing of the other's.
    fn check_proxy(&self, proxy: &Proxy) -> Result<()> {
        let url = format!("http://{}", proxy.address);
        for tenant in &self.tenants {
            let file = self.folder.join(format!("{}.txt", tenant.id));
            fs::write(&file, format!("The secret word of {} is {}.", tenant.id, tenant.word))?;
            let (code, said) = self.riad(&url, &tenant.key, &["document", "add", &file.to_string_lossy()])?;
            ensure!(code == 0, "{} cannot add a document: {said}", tenant.id);
        }
        for tenant in &self.tenants {
            for words in [&["search", "secret word"][..], &["chat", "What is the secret word?"]] {
                let (code, said) = self.riad(&url, &tenant.key, words)?;
                ensure!(code == 0, "{words:?} of {}: {said}", tenant.id);
                for other in self.tenants.iter().filter(|other| other.id != tenant.id) {
                    ensure!(
                        !said.contains(other.word),
                        "{} read a word of {}: {said}",
                        tenant.id,
                        other.id
                    );
                }
                // What the model answers is its own matter.
                ensure!(
                    words.contains(&"chat") || said.contains(tenant.word),
                    "{} finds nothing: {said}",
                    tenant.id
                );
            }
            for header in [
                format!("authorization: Bearer {}", tenant.key),
                format!("x-api-key: {}", tenant.key),
            ] {
                let status = Connection::open(proxy.address)?.get("/v1/models", &header)?.status;
                ensure!(status == 200, "{header} is answered with {status}");
            }
            self.measure(tenant, proxy)?;
        }
        for path in ["/operator/v1/tenants", "/metrics"] {
            let header = format!("authorization: Bearer {OPERATOR_KEY}");
            let status = Connection::open(proxy.address)?.get(path, &header)?.status;
            ensure!(status == 404, "{path} is answered with {status}");
        }
        Ok(())
    }

    /// What the proxy adds to a request, on connections that stay open.
    fn measure(&self, tenant: &Tenant, proxy: &Proxy) -> Result<()> {
        let header = format!("authorization: Bearer {}", tenant.key);
        let mut there = Connection::open(self.cell(&tenant.cell)?.address)?;
        let mut through = Connection::open(proxy.address)?;
        let (mut direct, mut proxied) = (Vec::new(), Vec::new());
        // In turns, so that what else the machine does meets both.
        for _ in 0..MEASURED {
            for (connection, times) in [(&mut there, &mut direct), (&mut through, &mut proxied)] {
                let begun = Instant::now();
                let status = connection.get("/v1/models", &header)?.status;
                ensure!(status == 200, "the answer is {status}");
                times.push(begun.elapsed());
            }
        }
        let median = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        let (direct, proxied) = (median(&mut direct), median(&mut proxied));
        say::line(&format!(
            "{}: median of {MEASURED} requests {} µs, without the proxy {} µs",
            tenant.id,
            proxied.as_micros(),
            direct.as_micros()
        ));
        Ok(())
    }

    /// The map changes and the proxy does not know: the old cell answers 421, also for a key that it knows.
    fn check_old_map(&self, proxy: &Proxy) -> Result<()> {
        let tenant = self.tenants.first().context("no tenant")?;
        let (old, new) = (tenant.cell.as_str(), "a");
        ensure!(old != new, "the tenant is in the cell that it should move to");
        let header = format!("x-api-key: {}", tenant.key);
        let status_at = |cell: &str| -> Result<u16> {
            Ok(Connection::open(self.cell(cell)?.address)?
                .get("/v1/models", &header)?
                .status)
        };
        self.cell_command(&["assign", &tenant.slot.to_string(), new])?;
        // Each cell reads the map in its own time; the new one has the slot then, and no such key.
        wait(|| Ok(status_at(old)? == 421 && status_at(new)? == 401))?;
        let at_old = Connection::open(self.cell(old)?.address)?.get("/v1/models", &header)?;
        ensure!(
            at_old.cell.as_deref() == Some(new),
            "the 421 does not name the cell {new}"
        );
        let through = Connection::open(proxy.address)?.get("/v1/models", &header)?;
        // nginx goes where the 421 says, and there is no such tenant.
        let expected = match proxy.kind {
            Kind::Haproxy => 421,
            Kind::Nginx => 401,
        };
        ensure!(through.status == expected, "through the proxy it is {}", through.status);
        self.cell_command(&["assign", &tenant.slot.to_string(), old])?;
        wait(|| Ok(status_at(old)? == 200 && status_at(new)? == 421))
    }

    /// Its tenant gets an error, the other one notices nothing; when it runs again, all is there.
    fn check_killed_cell(&mut self, proxy: &Proxy) -> Result<()> {
        let statuses = |cells: &Self| -> Result<Vec<u16>> {
            let status = |tenant: &Tenant| {
                let header = format!("authorization: Bearer {}", tenant.key);
                Ok(Connection::open(proxy.address)?.get("/v1/models", &header)?.status)
            };
            cells.tenants.iter().map(status).collect()
        };
        let killed = self.tenants.first().context("no tenant")?.cell.clone();
        self.cell_mut(&killed)?.server.kill()?;
        let found = statuses(self)?;
        ensure!(
            matches!(found.as_slice(), [502 | 503, 200]),
            "with cell {killed} killed, the answers are {found:?}"
        );
        self.cell_mut(&killed)?.server.start_again()?;
        let found = statuses(self)?;
        ensure!(
            found == [200, 200],
            "with cell {killed} running again, the answers are {found:?}"
        );
        let tenant = self.tenants.first().context("no tenant")?;
        let url = format!("http://{}", proxy.address);
        let said = self.riad(&url, &tenant.key, &["search", "secret word"])?.1;
        ensure!(
            said.contains(tenant.word),
            "the killed cell has lost a document: {said}"
        );
        Ok(())
    }

    /// Exit code, and what it wrote.
    fn riad(&self, url: &str, key: &str, words: &[&str]) -> Result<(i32, String)> {
        let mut command = process::command(&self.riad, words, &self.folder);
        command
            .env("RIAD_URL", url)
            .env("RIAD_KEY", key)
            .env("RIAD_OPERATOR_KEY", key)
            .env("NO_COLOR", "1");
        let output = command
            .output()
            .with_context(|| format!("cannot run {}", self.riad.display()))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }
}

fn wait(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds()? {
        ensure!(begun.elapsed() < RELOAD_MAX, "the servers do not read the map again");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
