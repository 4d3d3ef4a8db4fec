//! Puts the SDKs, their templates and the contracts into the program: a list of every file's path in the repository and its content, so
//! that `riad plugin new` needs no network and no clone. Not here: what is written where (`commands/plugin/bundle.rs`).

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

const FOLDERS: [&str; 4] = ["sdk/rust", "sdk/javascript", "sdk/python", "wit"];
/// What building and testing leave behind, the frozen contracts, which only the server needs, and a lockfile that belongs to a workspace.
const SKIPPED: [&str; 10] = [
    "target",
    "node_modules",
    "__pycache__",
    ".venv",
    ".riad",
    "build",
    "dist",
    "released",
    ".pytest_cache",
    "Cargo.lock",
];

fn main() -> io::Result<()> {
    let repository = folder("CARGO_MANIFEST_DIR")?.join("../..").canonicalize()?;
    let mut bundled = Bundled::default();
    for name in FOLDERS {
        bundled.add(&repository.join(name))?;
    }
    bundled.files.sort();
    let mut list =
        String::from("/// Path in the repository, content.\npub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for path in &bundled.files {
        let name = path.strip_prefix(&repository).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        list += &format!("    ({name:?}, include_bytes!({:?})),\n", path.to_string_lossy());
    }
    list += "];\n";
    fs::write(folder("OUT_DIR")?.join("bundled_files.rs"), list)?;
    let mut out = io::stdout().lock();
    for path in bundled.folders.iter().chain(&bundled.files) {
        writeln!(out, "cargo::rerun-if-changed={}", path.display())?;
    }
    writeln!(out, "cargo::rerun-if-changed=build.rs")
}

fn folder(variable: &str) -> io::Result<PathBuf> {
    let found = env::var_os(variable).map(PathBuf::from);
    found.ok_or_else(|| io::Error::other(format!("cargo sets {variable}")))
}

#[derive(Default)]
struct Bundled {
    files: Vec<PathBuf>,
    /// Those whose every file is bundled: cargo looks at all that is in a folder.
    folders: Vec<PathBuf>,
}

impl Bundled {
    /// Whether nothing was skipped.
    fn add(&mut self, folder: &Path) -> io::Result<bool> {
        let mut is_whole = true;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if SKIPPED.iter().any(|name| entry.file_name() == *name) || kind.is_symlink() {
                is_whole = false;
            } else if kind.is_dir() {
                is_whole &= self.add(&entry.path())?;
            } else {
                self.files.push(entry.path());
            }
        }
        if is_whole {
            self.folders.push(folder.to_owned());
        }
        Ok(is_whole)
    }
}
