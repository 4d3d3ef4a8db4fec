//! The benchmark of retrieval: Python scripts in `tests/peers/retrieval` that ask a server and its peers the same, and write a report. They
//! start the server themselves, because they start it again to find its rooms cold, and read how much memory it has. Not here: what is
//! measured.

use crate::{
    environment::Environment,
    process, say,
    tasks::{python::Python, server},
};
use anyhow::Result;
use std::path::Path;

const SCRIPTS: &str = "tests/peers/retrieval";

/// `arguments` are the scripts' own. Without Python or its packages it says so and measures nothing.
///
/// # Errors
/// When the server cannot be built, or a script fails.
pub fn run(environment: &Environment, arguments: &[String]) -> Result<()> {
    let scripts = environment.root.join(SCRIPTS);
    let requirements = scripts.join("requirements.txt");
    let python = match Python::with_requirements(environment, "retrieval", &requirements) {
        Ok(python) => python,
        Err(error) => {
            say::line(&format!("== retrieval: SKIPPED, {error:#}"));
            return Ok(());
        }
    };
    let riad = server::build(environment)?;
    let mut bench = process::command(python.program("python"), &["bench.py"], &scripts);
    bench
        .arg("--riad")
        .arg(riad)
        .arg("--work")
        .arg(environment.target.join("retrieval"));
    // Their absence is one of the report's own lines.
    if let Ok(sysroot) = process::read(&mut process::command(
        &environment.rustc,
        &["--print", "sysroot"],
        &environment.root,
    )) {
        bench
            .arg("--rust-docs")
            .arg(Path::new(sysroot.trim()).join("share/doc/rust"));
    }
    process::run(
        bench
            .args(arguments)
            .env("NO_PROXY", "127.0.0.1")
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}
