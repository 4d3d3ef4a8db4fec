//! Builds one guest so that every machine with the same compiler gets the same bytes: no path of this machine goes into it.
//!
//! Paths get in two ways. As text, which `--remap-path-prefix` replaces; and in cargo's `-C metadata`, a hash that names every
//! symbol and has the folder of a crate in it that lies outside of its workspace, as the SDK does. A wrapper around the
//! compiler sees to both; flags in `RUSTFLAGS` would go into that hash themselves.

use super::{
    compiler::{Compiler, TARGET},
    discover::Guest,
};
use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// `$1` is the compiler. Our own crates are named by their package alone; others keep cargo's hash, because of some there are
/// two versions.
const WRAPPER: &str = r#"#!/bin/sh
rustc="$1"
shift
case "$CARGO_MANIFEST_DIR" in "$RIAD_ROOT"/*) ours=yes ;; *) ours=no ;; esac
left=$#
while [ "$left" -gt 0 ]; do
    argument="$1"
    shift
    case "$ours:$argument" in yes:metadata=*) argument="metadata=$CARGO_PKG_NAME" ;; esac
    set -- "$@" "$argument"
    left=$((left - 1))
done
exec "$rustc" "$@" "--remap-path-prefix=$RIAD_ROOT=/riad" "--remap-path-prefix=$RIAD_CARGO_HOME=/cargo"
"#;

/// The component's bytes.
pub fn build(environment: &Environment, guest: &Guest, compiler: &Compiler) -> Result<Vec<u8>> {
    let target = environment.target.join("guests");
    let wrapper = wrapper(&target)?;
    process::run(
        process::command(
            &environment.cargo,
            &[
                "build",
                "--quiet",
                "--locked",
                "--profile",
                "guest",
                "--target",
                TARGET,
                "--package",
                &guest.package,
            ],
            &guest.workspace,
        )
        .env("RUSTC", &compiler.rustc)
        .env("RUSTC_WRAPPER", wrapper)
        .env("RIAD_ROOT", &environment.root)
        .env("RIAD_CARGO_HOME", &environment.cargo_home)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS"),
    )?;
    let file = target
        .join(TARGET)
        .join("guest")
        .join(format!("{}.wasm", guest.package.replace('-', "_")));
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

fn wrapper(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("rustc-wrapper");
    // Cargo asks the compiler anew when the wrapper's time changes.
    if fs::read_to_string(&path).ok().as_deref() != Some(WRAPPER) {
        fs::write(&path, WRAPPER).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}
