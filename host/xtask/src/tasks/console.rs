//! `cargo xtask console [--riad PROGRAM]`: walks the console in headless Chromium, checks each page with axe-core, and writes pictures of some into
//! `tests/console/screenshots/`. `cargo xtask test` does the same without pictures, where there is a browser.
//! Not here: what is done in the browser (`tests/console`), and the console without one (`tests/end-to-end/tests/wire/console`).

use super::{
    node,
    server::{self, OPERATOR_KEY, Server},
};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

const DRIVER: &str = "chromedriver";
/// Until the browser's driver listens.
const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
const WALK: &str = "tests/console";
const SCREENSHOTS: &str = "tests/console/screenshots";
/// The second serves what the first does.
const COMPONENTS: [&str; 2] = ["plugins/price-desk/price-desk.wasm", "plugins/standard/standard.wasm"];

#[derive(clap::Args)]
pub struct Arguments {
    /// A `riad` that was built before; if it is not given, the workspace is built
    #[arg(long)]
    riad: Option<PathBuf>,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    ensure!(
        has_browser(environment),
        "{DRIVER} is not installed (Debian: chromium-driver)"
    );
    let riad = match &arguments.riad {
        Some(riad) => fs::canonicalize(riad).with_context(|| format!("there is no {}", riad.display()))?,
        None => server::build(environment)?,
    };
    let screenshots = environment.root.join(SCREENSHOTS);
    walk(environment, riad, Some(&screenshots))?;
    say::line(&format!("the pictures are in {SCREENSHOTS}; look at them"));
    Ok(())
}

pub fn has_browser(environment: &Environment) -> bool {
    process::succeeds(&mut process::command(DRIVER, &["--version"], &environment.root))
}

/// # Errors
/// When a page is not as it should be, or something does not start.
pub fn walk(environment: &Environment, riad: PathBuf, screenshots: Option<&Path>) -> Result<()> {
    let axe = match node::packages(environment, "axe", &environment.root.join(WALK).join("axe")) {
        Ok(folder) => Some(folder.join("node_modules/axe-core/axe.min.js")),
        Err(error) => {
            say::line(&format!("== axe-core: skipped, {error:#}"));
            None
        }
    };
    let target = environment.target.join("console");
    let manifest = format!("{WALK}/Cargo.toml");
    let build = ["build", "--release", "--locked", "--manifest-path", &manifest];
    process::run(process::command(&environment.cargo, &build, &environment.root).env("CARGO_TARGET_DIR", &target))
        .context("the program that walks the console cannot be built")?;
    let folder = server::new_folder(environment, "console")?;
    let server = Server::start_at(riad, folder, server::free_address()?, &[])?;
    let driver = Driver::start(environment)?;
    let program = target.join("release/riad-console-tests");
    let mut command = process::command(&program, &["--url", &server.url], &environment.root);
    command
        .args(["--operator-key", OPERATOR_KEY, "--driver", &driver.url, "--components"])
        .args(COMPONENTS);
    if let Some(axe) = axe {
        command.arg("--axe").arg(axe);
    }
    if let Some(screenshots) = screenshots {
        command.arg("--screenshots").arg(screenshots);
    }
    process::run(&mut command)
}

/// The browser's driver on a port of its own, ended with the walk.
struct Driver {
    url: String,
    child: Child,
}

impl Driver {
    fn start(environment: &Environment) -> Result<Self> {
        let address = server::free_address()?;
        let port = format!("--port={}", address.port());
        let mut command = process::command(DRIVER, &[&port, "--log-level=WARNING"], &environment.root);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot run {DRIVER}"))?;
        let driver = Self {
            url: format!("http://{address}"),
            child,
        };
        let begun = Instant::now();
        while TcpStream::connect_timeout(&address, POLL).is_err() {
            ensure!(begun.elapsed() < START_MAX, "{DRIVER} does not start");
            thread::sleep(POLL);
        }
        Ok(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        process::end(&mut self.child, START_MAX);
    }
}
