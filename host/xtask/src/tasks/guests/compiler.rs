//! The compiler that builds guests: the installed one when it has the target, else the fallback when that was made before.
//! Not here: making the fallback (`fallback`).

use super::fallback;
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
    /// A compiler that can build guests now, without making anything.
    pub fn at_hand(environment: &Environment) -> Result<Option<Self>> {
        for rustc in [environment.rustc.clone(), fallback::rustc(environment)] {
            if has_target(&rustc, &environment.root) && (rustc == environment.rustc || fallback::is_ready(environment))
            {
                return Self::new(rustc, &environment.root).map(Some);
            }
        }
        Ok(None)
    }

    pub fn new(rustc: PathBuf, folder: &Path) -> Result<Self> {
        let text = process::read(&mut process::command(&rustc, &["-vV"], folder))?;
        let first = text.lines().next().context("the compiler does not say its version")?;
        let llvm = text.lines().find(|line| line.starts_with("LLVM")).unwrap_or("no LLVM");
        Ok(Self {
            version: format!("{first}, {llvm}"),
            rustc,
        })
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
