//! Runs the scripts, two at once, each with tenants of its own. Not here: what they say (`report`).

use super::{Access, Client, report::Outcome};
use crate::{environment::Environment, say, tasks::server::Server};
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

const AT_ONCE: usize = 2;
/// Only a script that hangs needs so long.
const SCRIPT_MAX: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(50);

/// A script and the command that runs it.
type Job = (&'static Client, Command);

/// # Errors
/// When a script cannot be started; one that fails is an outcome.
pub fn all(environment: &Environment, server: &Server, access: &Access, jobs: Vec<Job>) -> Result<Vec<Outcome>> {
    let waiting = Mutex::new(jobs);
    let work = || -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        loop {
            let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((client, command)) = job else {
                return Ok(outcomes);
            };
            outcomes.push(one(environment, server, access, client, command)?);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for worker in workers {
            let done = worker
                .join()
                .map_err(|_| anyhow::anyhow!("a thread that runs scripts panicked"))?;
            outcomes.extend(done?);
        }
        Ok(outcomes)
    })
}

fn one(
    environment: &Environment,
    server: &Server,
    access: &Access,
    client: &Client,
    mut command: Command,
) -> Result<Outcome> {
    let name = client.name;
    let folder = environment.target.join("servers/clients").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let log = folder.join("log");
    let file = File::create(&log)?;
    let tenant = |what: &str, policy: &[&str]| server.tenant(&format!("{name}{what}"), policy);
    command
        .current_dir(&folder)
        // Not the user's own settings of the client.
        .env("HOME", &folder)
        .env_remove("XDG_CONFIG_HOME")
        .env("NO_PROXY", "127.0.0.1")
        .env("RIAD_URL", &access.url)
        .env("RIAD_KEY", tenant("", &[])?)
        .env(
            "RIAD_LIMITED_KEY",
            tenant("-limited", &["limits.requests_per_minute=20"])?,
        )
        .env("RIAD_SPENT_KEY", tenant("-spent", &["budget.total_tokens=1"])?)
        .env("RIAD_PAGE_PORT", access.page.port().to_string())
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file);
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let status = wait(&mut child)?;
    let written = fs::read(&log)?;
    let written = String::from_utf8_lossy(&written);
    let outcome = Outcome::read(name, &written, status.is_some_and(|status| status.success()));
    let time = begun.elapsed().as_secs_f64();
    if outcome.has_failed() {
        let how = status.map_or_else(|| "it was still running".to_owned(), |status| status.to_string());
        say::line(&format!("{written}\n== {name}: FAILED after {time:.1} s ({how})"));
    } else {
        say::line(&format!("== {name}: passed in {time:.1} s"));
    }
    Ok(outcome)
}

/// `None` for one that hangs, which is ended.
fn wait(child: &mut Child) -> Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > SCRIPT_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}
