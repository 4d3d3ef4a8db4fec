//! `cargo xtask fuzz [TARGET]`: gives generated input to the parsers of untrusted input, on the pinned compiler.
//! Input that fails is kept in `tests/fuzz/artifacts/`. Not here: the targets and their corpora (`tests/fuzz`).

use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, ensure};
use std::{fs, path::Path};

/// Coverage for libFuzzer. `cargo fuzz` adds a sanitizer, which only a nightly compiler has; Rust's own checks are enough for
/// code without `unsafe`.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
/// One input may take this long.
const INPUT_MAX_SECONDS: u32 = 10;
const INPUT_MAX_BYTES: u32 = 16 * 1024;
const MEMORY_MAX_MEGABYTES: u32 = 2048;

#[derive(clap::Args)]
pub struct Arguments {
    /// The name of a file in `tests/fuzz/fuzz_targets`; all of them if none is given
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let folder = environment.root.join("tests/fuzz");
    let all = targets(&folder)?;
    let chosen = match &arguments.target {
        Some(name) => {
            ensure!(
                all.contains(name),
                "there is no target {name}; there are {}",
                all.join(", ")
            );
            vec![name.clone()]
        }
        None => all,
    };
    let host = host(environment)?;
    let built = environment.target.join("fuzz");
    // `--target`: without it the flags would apply to build scripts too, which are not linked with libFuzzer.
    let mut words = vec!["build", "--locked", "--target", &host];
    for target in &chosen {
        words.extend(["--bin", target]);
    }
    process::run(
        process::command(&environment.cargo, &words, &folder)
            .env("CARGO_TARGET_DIR", &built)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", FLAGS),
    )?;
    for target in &chosen {
        say::line(&format!("fuzzing {target} for {} s", arguments.seconds));
        let program = built.join(&host).join("debug").join(target);
        fuzz(&folder, &built, &program, target, arguments.seconds)?;
    }
    Ok(())
}

/// New inputs that reach new code go into the target folder: the committed corpus grows by hand only.
fn fuzz(folder: &Path, built: &Path, program: &Path, target: &str, seconds: u32) -> Result<()> {
    let found = built.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let corpus = folder.join("corpus").join(target);
    let options = [
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_MAX_SECONDS}"),
        format!("-max_len={INPUT_MAX_BYTES}"),
        format!("-rss_limit_mb={MEMORY_MAX_MEGABYTES}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
    ];
    process::run(
        process::command(program, &[], folder)
            .args(options)
            .args([&found, &corpus]),
    )
    .with_context(|| format!("{target} found something; its input is in {}", artifacts.display()))
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let targets = folder.join("fuzz_targets");
    let files = fs::read_dir(&targets).with_context(|| format!("cannot read {}", targets.display()))?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The platform that the compiler runs on.
fn host(environment: &Environment) -> Result<String> {
    let version = process::read(&mut process::command(&environment.rustc, &["-vV"], &environment.root))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("the compiler does not say for which platform it is")?
        .to_owned())
}
