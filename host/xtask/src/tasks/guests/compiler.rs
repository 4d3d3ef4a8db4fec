//! The compiler that builds guests: the installed Rust, if it has the WebAssembly target.

use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub const TARGET: &str = "wasm32-unknown-unknown";

pub struct Compiler {
    pub rustc: PathBuf,
    /// Name, commit and LLVM: what says whether two compilers give the same bytes.
    pub version: String,
}

impl Compiler {
    /// `None`: the installed Rust lacks the target.
    pub fn find(environment: &Environment) -> Result<Option<Self>> {
        let rustc = environment.rustc.clone();
        if !has_target(&rustc, &environment.root) {
            return Ok(None);
        }
        let text = process::read(&mut process::command(&rustc, &["-vV"], &environment.root))?;
        let first = text.lines().next().context("the compiler does not say its version")?;
        let llvm = text.lines().find(|line| line.starts_with("LLVM")).unwrap_or("no LLVM");
        Ok(Some(Self {
            version: format!("{first}, {llvm}"),
            rustc,
        }))
    }
}

fn has_target(rustc: &Path, folder: &Path) -> bool {
    let library = process::read(&mut process::command(
        rustc,
        &["--print", "target-libdir", "--target", TARGET],
        folder,
    ));
    let Some(entries) = library.ok().and_then(|path| fs::read_dir(path.trim()).ok()) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}
