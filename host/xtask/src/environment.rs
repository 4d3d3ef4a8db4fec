//! The environment of a task, read once: folders and the tools to call. Not here: running them (`process`).

use anyhow::{Context, Result};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

pub struct Environment {
    /// The repository.
    pub root: PathBuf,
    /// Where cargo builds: `CARGO_TARGET_DIR` or `target/`.
    pub target: PathBuf,
    /// Cargo's home, which source paths in a build begin with.
    pub cargo_home: PathBuf,
    /// Where the user's programs keep what they can make again.
    cache: Option<PathBuf>,
    /// The cargo that runs this task.
    pub cargo: PathBuf,
    /// The compiler that cargo would use.
    pub rustc: PathBuf,
}

impl Environment {
    /// # Errors
    /// When there is no home folder, or the repository is gone.
    pub fn read() -> Result<Self> {
        let root = Path::new(env!("RIAD_SOURCE"));
        let root = fs::canonicalize(root).with_context(|| format!("{} is gone; build xtask again", root.display()))?;
        Ok(Self {
            target: path("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target)),
            cache: path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache"))),
            cargo_home: match path("CARGO_HOME") {
                Some(cargo_home) => cargo_home,
                None => path("HOME").context("HOME is not set")?.join(".cargo"),
            },
            cargo: path("CARGO").unwrap_or_else(|| "cargo".into()),
            rustc: path("RUSTC").unwrap_or_else(|| "rustc".into()),
            root,
        })
    }

    /// Riad's folder in the user's cache.
    ///
    /// # Errors
    /// When the user has none.
    pub fn cache(&self) -> Result<PathBuf> {
        let cache = self.cache.as_ref().context("neither XDG_CACHE_HOME nor HOME is set")?;
        Ok(cache.join("riad"))
    }
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
