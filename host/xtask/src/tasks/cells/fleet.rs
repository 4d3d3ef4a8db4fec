//! Three cells with one map and one object store, and the tenants in them. Not here: what is asked of them.

use super::{
    http::{Answer, Connection},
    objects::ObjectStore,
    proxy::{Kind, Proxy},
};
use crate::{
    environment::Environment,
    process, say,
    tasks::server::{self, OPERATOR_KEY, Server},
};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The exit code of a request to the wrong cell.
pub const MISDIRECTED: i32 = 20;
/// Seconds after which a change of a room is saved.
pub const SNAPSHOT_INTERVAL_S: u64 = 3;

pub struct Cell {
    pub name: &'static str,
    pub address: SocketAddr,
    pub server: Server,
}

pub struct Tenant {
    pub id: String,
    pub cell: String,
    pub slot: u16,
    pub key: String,
    /// A word that only its documents have.
    pub word: String,
}

/// Where `riad cell show` says that a tenant belongs.
#[derive(Deserialize)]
struct Assignment {
    cell: String,
    slot: u16,
}

pub struct Cells {
    pub riad: PathBuf,
    pub folder: PathBuf,
    pub cells: Vec<Cell>,
    pub tenants: Vec<Tenant>,
    pub proxies: Vec<Proxy>,
    pub objects: ObjectStore,
}

impl Tenant {
    pub fn header(&self) -> String {
        format!("authorization: Bearer {}", self.key)
    }
}

impl Cell {
    /// What only the cell itself answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn operator<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let header = format!("authorization: Bearer {OPERATOR_KEY}");
        read(path, &Connection::open(self.address)?.get(path, &header)?)
    }

    /// # Errors
    /// When the cell does not answer, or with an error.
    pub fn get<T: DeserializeOwned>(&self, tenant: &Tenant, path: &str) -> Result<T> {
        read(path, &Connection::open(self.address)?.get(path, &tenant.header())?)
    }
}

/// # Errors
/// For what is no answer of this kind.
pub fn read<T: DeserializeOwned>(path: &str, answer: &Answer) -> Result<T> {
    let Answer { status, body, .. } = answer;
    ensure!((200..300).contains(status), "{path} is answered with {status}: {body}");
    serde_json::from_str(body).with_context(|| format!("cannot understand the answer to {path}: {body}"))
}

impl Cells {
    /// `variables` are configuration keys of the cell with a name.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(
        environment: &Environment,
        riad: PathBuf,
        folder: PathBuf,
        variables: impl Fn(&Path) -> Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let names = ["a", "b", "c"];
        let mut addresses = Vec::new();
        for _ in names {
            addresses.push(server::free_address()?);
        }
        let cells = names.iter().zip(&addresses);
        let planned: Vec<String> = cells
            .map(|(name, address)| format!("{name}=http://{address}"))
            .collect();
        let objects = ObjectStore::start(environment, &folder)?;
        let mut all = Self {
            riad,
            folder,
            cells: Vec::new(),
            tenants: Vec::new(),
            proxies: Vec::new(),
            objects,
        };
        all.cell_command(&["plan", "--cells", &planned.join(",")])?;
        for (name, address) in names.into_iter().zip(addresses) {
            let folder = all.folder.join(name);
            fs::create_dir_all(&folder)?;
            let mut all_variables = vec![
                ("RIAD_CELL__NAME", name.to_owned()),
                ("RIAD_CELL__MAP", all.map().to_string_lossy().into_owned()),
                // Each has a whole server's memory otherwise.
                ("RIAD_ENGINE__MAX_SEQUENCES", "2".to_owned()),
                ("RIAD_OBJECTS__SNAPSHOT_INTERVAL_S", SNAPSHOT_INTERVAL_S.to_string()),
            ];
            all_variables.extend(all.objects.variables.iter().cloned());
            all_variables.extend(variables(&folder));
            let server = Server::start_at(all.riad.clone(), folder, address, &all_variables)?;
            all.cells.push(Cell { name, address, server });
        }
        Ok(all)
    }

    /// Proxies that are not installed are skipped.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start_proxies(&mut self) -> Result<()> {
        for kind in Kind::ALL {
            let address = server::free_address()?;
            match Proxy::start(kind, &self.folder, address, &self.routes(kind, address)?)? {
                Some(proxy) => self.proxies.push(proxy),
                None => say::line(&format!("== {kind}: SKIPPED, it is not installed")),
            }
        }
        Ok(())
    }

    /// A new tenant in its cell.
    ///
    /// # Errors
    /// When the cell refuses.
    pub fn make_tenant(&self, id: &str, word: &str, policy: &[&str]) -> Result<Tenant> {
        let Assignment { cell, slot } = self.assignment(id)?;
        Ok(Tenant {
            key: self.cell(&cell)?.server.tenant(id, policy)?,
            id: id.to_owned(),
            cell,
            slot,
            word: word.to_owned(),
        })
    }

    /// The cell of a tenant, which there need not be.
    ///
    /// # Errors
    /// When `riad` does not say it.
    pub fn cell_of(&self, id: &str) -> Result<String> {
        Ok(self.assignment(id)?.cell)
    }

    fn assignment(&self, id: &str) -> Result<Assignment> {
        let assignment = self.cell_command(&["show", "--tenant", id, "--json"])?;
        serde_json::from_str(&assignment).context("cannot understand where a tenant belongs")
    }

    pub fn map(&self) -> PathBuf {
        self.folder.join("cells.toml")
    }

    /// # Errors
    /// When the command fails.
    pub fn cell_command(&self, words: &[&str]) -> Result<String> {
        let (action, rest) = words.split_first().context("no command")?;
        let map = self.map();
        let map = map.to_string_lossy();
        let words = [&["cell", action, "--map", map.as_ref()][..], rest].concat();
        process::read(&mut process::command(&self.riad, &words, &self.folder))
    }

    fn routes(&self, kind: Kind, address: SocketAddr) -> Result<String> {
        self.cell_command(&["routes", "--for", &kind.to_string(), "--listen", &address.to_string()])
    }

    /// A script of a shell that makes every proxy follow the map.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn follow_script(&self) -> Result<PathBuf> {
        let (riad, map) = (self.riad.display(), self.map());
        let follow = self.proxies.iter().map(|proxy| {
            proxy.follow(&format!(
                "'{riad}' cell routes --map '{}' --for {} --listen {}",
                map.display(),
                proxy.kind,
                proxy.address
            ))
        });
        let script = self.folder.join("follow.sh");
        fs::write(&script, format!("set -e\n{}", follow.collect::<String>()))?;
        Ok(script)
    }

    /// # Errors
    /// When there is none.
    pub fn cell(&self, name: &str) -> Result<&Cell> {
        let found = self.cells.iter().find(|cell| cell.name == name);
        found.with_context(|| format!("there is no cell {name}"))
    }

    /// # Errors
    /// When there is none.
    pub fn cell_mut(&mut self, name: &str) -> Result<&mut Cell> {
        let found = self.cells.iter_mut().find(|cell| cell.name == name);
        found.with_context(|| format!("there is no cell {name}"))
    }

    /// The first of the tenants: what is done to it must not concern the others.
    ///
    /// # Errors
    /// When there are none.
    pub fn first(&self) -> Result<&Tenant> {
        self.tenants.first().context("no tenant")
    }

    /// Words of tenants other than this one.
    pub fn foreign_words(&self, tenant: &Tenant) -> Vec<&str> {
        let others = self.tenants.iter().filter(|other| other.id != tenant.id);
        others.map(|other| other.word.as_str()).collect()
    }

    /// Exit code, and what it wrote.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn riad(&self, url: &str, key: &str, words: &[&str]) -> Result<(i32, String)> {
        let mut command = process::command(&self.riad, words, &self.folder);
        command
            .envs(self.objects.variables.iter().map(|(name, value)| (*name, value)))
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
