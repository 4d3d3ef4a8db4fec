//! `cargo xtask clients [NAME…]`: real clients, of which nothing is changed but URL and key, against a server of its own; ends with a
//! table of what works. Not here: the scripts (`tests/clients`).

mod report;
mod run;
mod setup;

use super::server::{self, Server};
use crate::{environment::Environment, say};
use anyhow::{Result, bail, ensure};
use report::Outcome;
use setup::{Setup, Unready};
use std::net::SocketAddr;

#[derive(clap::Args)]
pub struct Arguments {
    /// Clients to run, by name; all of them if none is given
    names: Vec<String>,
}

/// What a client is written in, which decides where its script is and what it needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `python/check_<name>.py`, with `python/requirements/<name>.txt`
    Python,
    /// `node/check-<name>.mjs`
    Node,
    /// A binary of the workspace `rust`
    Rust,
    /// `python/check_<name>.py`, which calls a program of the registry of crates
    Program { version: &'static str },
    /// `browser/check.py`, which shows a page to a browser
    Browser,
}

struct Client {
    name: &'static str,
    kind: Kind,
}

static CLIENTS: [Client; 15] = [
    client("openai-python", Kind::Python),
    client("openai-node", Kind::Node),
    client("litellm", Kind::Python),
    client("langchain-python", Kind::Python),
    client("langchain-js", Kind::Node),
    client("llama-index", Kind::Python),
    client("ai-sdk", Kind::Node),
    client("pydantic-ai", Kind::Python),
    client("instructor", Kind::Python),
    client("haystack", Kind::Python),
    client("llm", Kind::Python),
    client("anthropic-python", Kind::Python),
    client("async-openai", Kind::Rust),
    client("aichat", Kind::Program { version: "0.30.0" }),
    client("browser", Kind::Browser),
];

const fn client(name: &'static str, kind: Kind) -> Client {
    Client { name, kind }
}

/// What the scripts are given.
struct Access {
    url: String,
    /// Where the browser's page comes from.
    page: SocketAddr,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let chosen = choose(&arguments.names)?;
    let mut setup = Setup::new(environment);
    let mut outcomes = Vec::new();
    let mut ready = Vec::new();
    for client in chosen {
        match setup.command(client) {
            Ok(command) => ready.push((client, command)),
            Err(Unready::Broken(error)) => return Err(error),
            Err(Unready::Missing(error)) => {
                say::line(&format!("== {}: SKIPPED, {error:#}", client.name));
                outcomes.push(Outcome::skipped(client.name));
            }
        }
    }
    ensure!(!ready.is_empty(), "no client could be set up");
    let page = server::free_address()?;
    let origins = ("RIAD_SERVER__CORS_ORIGINS", format!("http://{page}"));
    let mut server = Server::start(environment, "clients", &[origins])?;
    let access = Access {
        url: server.url.clone(),
        page,
    };
    outcomes.extend(run::all(environment, &server, &access, ready)?);
    ensure!(server.is_running(), "the server has ended:\n{}", server.log());
    outcomes.sort_by_key(|outcome| CLIENTS.iter().position(|client| client.name == outcome.name));
    say::line(&report::table(&outcomes));
    let failed: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.has_failed())
        .map(|outcome| outcome.name)
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn choose(names: &[String]) -> Result<Vec<&'static Client>> {
    for name in names {
        let all: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
        ensure!(
            CLIENTS.iter().any(|client| client.name == name),
            "there is no client {name}; there are {}",
            all.join(", ")
        );
    }
    let is_chosen = |client: &&Client| names.is_empty() || names.iter().any(|name| name == client.name);
    Ok(CLIENTS.iter().filter(is_chosen).collect())
}
