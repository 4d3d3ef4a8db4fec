//! Builds one guest so that every machine with the same compiler gets the same bytes: no path of this machine goes into it.

use super::{
    compiler::{Compiler, TARGET},
    discover::Guest,
};
use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use std::fs;

/// The component's bytes.
pub fn build(environment: &Environment, guest: &Guest, compiler: &Compiler) -> Result<Vec<u8>> {
    let target = environment.target.join("guests");
    let flags = [
        format!("--remap-path-prefix={}=/riad", environment.root.display()),
        format!("--remap-path-prefix={}=/cargo", environment.cargo_home.display()),
    ];
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
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")),
    )?;
    let file = target
        .join(TARGET)
        .join("guest")
        .join(format!("{}.wasm", guest.package.replace('-', "_")));
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}
