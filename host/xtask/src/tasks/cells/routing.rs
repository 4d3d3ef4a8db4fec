//! Which request reaches which cell: through the proxies, after a change of the map, and when a cell is killed.

use super::{
    fleet::{Cells, MISDIRECTED, Tenant},
    http::Connection,
    proxy::Kind,
    report::Report,
};
use crate::tasks::server::OPERATOR_KEY;
use anyhow::{Result, ensure};
use std::{
    fs,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// Servers look every three seconds whether the map has changed.
const RELOAD_MAX: Duration = Duration::from_secs(30);
const MEASURED: usize = 500;
/// What a proxy may add to the median.
const PROXY_MAX: Duration = Duration::from_micros(200);

/// # Errors
/// When a request reaches the wrong room, or the right one does not answer.
pub fn run(cells: &mut Cells, report: &mut Report) -> Result<()> {
    report.part("Routes");
    cells.check_without_proxy()?;
    report.seen("A tenant at a cell that is not its own", "421, which names the cell");
    let proxies: Vec<_> = cells.proxies.iter().map(|proxy| (proxy.kind, proxy.address)).collect();
    for (kind, address) in proxies {
        cells.check_proxy(kind, address, report)?;
        cells.check_old_map(kind, address)?;
        cells.check_killed_cell(address)?;
        report.seen(
            &format!("{kind}: documents, searches and chats of tenants in two cells"),
            "each in its own room; the operator's API and the metrics are not there (404)",
        );
        report.seen(
            &format!("{kind}: with an old map; with a killed cell"),
            "no wrong room; the other tenant is served",
        );
    }
    Ok(())
}

impl Cells {
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
    fn check_proxy(&self, kind: Kind, address: SocketAddr, report: &mut Report) -> Result<()> {
        let url = format!("http://{address}");
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
                let foreign = self.foreign_words(tenant).into_iter().find(|word| said.contains(word));
                ensure!(
                    foreign.is_none(),
                    "{} read the word of another tenant: {said}",
                    tenant.id
                );
                // What the model answers is its own matter.
                ensure!(
                    words.contains(&"chat") || said.contains(&tenant.word),
                    "{} finds nothing: {said}",
                    tenant.id
                );
            }
            for header in [tenant.header(), format!("x-api-key: {}", tenant.key)] {
                let status = Connection::open(address)?.get("/v1/models", &header)?.status;
                ensure!(status == 200, "{header} is answered with {status}");
            }
            self.measure(tenant, kind, address, report)?;
        }
        for path in ["/operator/v1/tenants", "/metrics"] {
            let header = format!("authorization: Bearer {OPERATOR_KEY}");
            let status = Connection::open(address)?.get(path, &header)?.status;
            ensure!(status == 404, "{path} is answered with {status}");
        }
        Ok(())
    }

    /// What the proxy adds to a request, on connections that stay open.
    fn measure(&self, tenant: &Tenant, kind: Kind, address: SocketAddr, report: &mut Report) -> Result<()> {
        let header = tenant.header();
        let mut there = Connection::open(self.cell(&tenant.cell)?.address)?;
        let mut through = Connection::open(address)?;
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
        let added = proxied.saturating_sub(direct);
        report.measured(
            &format!("{kind}: what it adds to a request of {}", tenant.id),
            &format!("at most {} µs p50", PROXY_MAX.as_micros()),
            added <= PROXY_MAX,
            format!(
                "{} µs: {} µs beside {} µs, medians of {MEASURED}",
                added.as_micros(),
                proxied.as_micros(),
                direct.as_micros()
            ),
        );
        Ok(())
    }

    /// The map changes and the proxy does not know: the old cell answers 421, also for a key that it knows.
    fn check_old_map(&self, kind: Kind, address: SocketAddr) -> Result<()> {
        let tenant = self.first()?;
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
        let through = Connection::open(address)?.get("/v1/models", &header)?;
        // nginx goes where the 421 says, and there is no such tenant.
        let expected = match kind {
            Kind::Haproxy => 421,
            Kind::Nginx => 401,
        };
        ensure!(through.status == expected, "through the proxy it is {}", through.status);
        self.cell_command(&["assign", &tenant.slot.to_string(), old])?;
        wait(|| Ok(status_at(old)? == 200 && status_at(new)? == 421))
    }

    /// Its tenant gets an error, the other one notices nothing; when it runs again, all is there.
    fn check_killed_cell(&mut self, address: SocketAddr) -> Result<()> {
        let statuses = |cells: &Self| -> Result<Vec<u16>> {
            let status = |tenant: &Tenant| Ok(Connection::open(address)?.get("/v1/models", &tenant.header())?.status);
            cells.tenants.iter().map(status).collect()
        };
        let killed = self.first()?.cell.clone();
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
        let tenant = self.first()?;
        let url = format!("http://{address}");
        let said = self.riad(&url, &tenant.key, &["search", "secret word"])?.1;
        ensure!(
            said.contains(&tenant.word),
            "the killed cell has lost a document: {said}"
        );
        Ok(())
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
