//! `cargo xtask simulate`: a discrete-event model of a fleet, and a report with plots about it. The same seed and figures give the same
//! bytes. `simulate/input.toml` has the figures that it is fed with, and where each is from. Not here: anything that is measured.

mod batch;
mod cache;
mod calendar;
mod fleet;
mod input;
mod measures;
mod report;
mod routing;
mod scaling;
mod scenarios;
mod store;
mod table;
mod traffic;
mod wave;
mod worker;

use crate::{environment::Environment, say};
use anyhow::{Context, Result, ensure};
use input::Input;
use scenarios::Size;
use std::{
    fs,
    path::{Path, PathBuf},
};

const REPORT: &str = "REPORT.md";

#[derive(clap::Args)]
pub struct Arguments {
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Workers that the fleet has at the most
    #[arg(long, default_value_t = 1000)]
    gpus: u32,
    #[arg(long, default_value_t = 1_000_000)]
    tenants: u32,
    /// Hours of the main run
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Figures to use instead of `host/xtask/src/tasks/simulate/input.toml`
    #[arg(long)]
    input: Option<PathBuf>,
    /// The folder that is written
    #[arg(long, default_value = "tests/simulation")]
    out: PathBuf,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let input = Input::read(arguments.input.as_deref())?;
    let out = environment.root.join(&arguments.out);
    write(&input, arguments, &out)?;
    say::line(&format!("simulate: {} is written", out.join(REPORT).display()));
    Ok(())
}

fn write(input: &Input, arguments: &Arguments, out: &Path) -> Result<()> {
    ensure!(arguments.gpus > 0, "--gpus must be above 0");
    ensure!(arguments.hours > 0, "--hours must be above 0");
    ensure!(
        arguments.tenants >= 100 * arguments.gpus.div_ceil(10),
        "--tenants must be at least 10 for each of --gpus, and 100"
    );
    let size = Size {
        workers: arguments.gpus,
        tenants: arguments.tenants,
    };
    let runs = scenarios::run(input, size, f64::from(arguments.hours), arguments.seed)?;
    let own_figures = arguments.input.is_some();
    let report = report::write(input, &runs, arguments.seed, own_figures)?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (name, text) in &report {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, env, process};

    /// All files of a report about a small fleet.
    fn files(seed: u64) -> BTreeMap<String, Vec<u8>> {
        let arguments = Arguments {
            seed,
            gpus: 2,
            tenants: 600,
            hours: 6,
            input: None,
            out: PathBuf::new(),
        };
        let folder = env::temp_dir().join(format!("riad-simulate-{}-{seed}", process::id()));
        write(&Input::read(None).unwrap(), &arguments, &folder).unwrap();
        let files = fs::read_dir(&folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(path).unwrap(),
            )
        });
        let files = files.collect();
        fs::remove_dir_all(&folder).unwrap();
        files
    }

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_seed_others() {
        let one = files(5);
        assert!(one == files(5));
        let other = files(6);
        assert!(one.keys().eq(other.keys()));
        for (name, bytes) in &one {
            assert_ne!(bytes, &other[name], "{name}");
        }
        let report = String::from_utf8_lossy(&one[REPORT]);
        for name in one.keys().filter(|name| name.ends_with(".svg")) {
            assert!(report.contains(&format!("({name})")), "{name}");
        }
    }
}
