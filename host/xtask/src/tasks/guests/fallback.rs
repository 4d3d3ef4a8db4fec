//! A compiler with the WebAssembly target where rustup cannot fetch one: Debian's packages, unpacked into the cache folder
//! (nothing is installed, no root), and std built from their sources once. Takes minutes and 600 MB.
//! Not here: when it is wanted (`compiler`).

use super::compiler::{Compiler, TARGET};
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Changes when std must be built again.
const RECIPE: &str = "2";

fn folder(environment: &Environment) -> PathBuf {
    environment.cache.join("riad/rust-wasm")
}

/// The compiler's place, whether it is there or not.
pub fn rustc(environment: &Environment) -> PathBuf {
    folder(environment).join("rustc")
}

/// Whether it was made as this version makes it.
pub fn is_ready(environment: &Environment) -> bool {
    fs::read_to_string(folder(environment).join("recipe")).is_ok_and(|recipe| recipe == RECIPE)
}

pub fn make(environment: &Environment) -> Result<Compiler> {
    let folder = folder(environment);
    say::line(&format!(
        "guests: the installed Rust has no {TARGET}, making one in {}",
        folder.display()
    ));
    if !folder.join("usr/bin/rustc").is_file() {
        unpack(&folder).context(
            "the target can be had with `rustup target add wasm32-unknown-unknown`; the fallback from Debian's packages failed",
        )?;
    }
    write_wrapper(&folder)?;
    build_std(environment, &folder)?;
    fs::write(folder.join("recipe"), RECIPE)?;
    Compiler::new(rustc(environment), &environment.root)
}

fn unpack(folder: &Path) -> Result<()> {
    let packages = folder.join("packages");
    fs::create_dir_all(&packages)?;
    let apt = |arguments: &[&str]| process::read(&mut process::command("apt-cache", arguments, folder));
    let madison = apt(&["madison", "rustc-web"])?;
    let version = madison
        .lines()
        .next()
        .and_then(|line| line.split('|').nth(1))
        .map(str::trim)
        .context("no rustc-web in the configured package sources; run `apt-get update`")?;
    let depends = |package: &str, prefix: &str| -> Result<String> {
        let text = apt(&["depends", &format!("{package}={version}")])?;
        text.lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| {
                name.strip_prefix(prefix)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
            .map(str::to_string)
            .with_context(|| format!("{package} does not depend on a {prefix}…"))
    };
    let library = depends("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = depends(&library, "libllvm")?;
    let lld = format!("lld-{}", llvm.trim_start_matches("libllvm"));
    let user = process::read(&mut process::command("id", &["-un"], folder))?;
    let user = format!("APT::Sandbox::User={}", user.trim());
    let same = |name: &str| format!("{name}={version}");
    process::run(&mut process::command(
        "apt-get",
        &[
            "-qq",
            "-o",
            &user,
            "download",
            &same("rustc-web"),
            &same("libstd-rust-web-dev"),
            &same(&library),
            &same("rust-web-src"),
            &same("rust-web-llvm"),
            &llvm,
            &lld,
        ],
        &packages,
    ))?;
    for package in fs::read_dir(&packages)? {
        let package = package?.path();
        process::run(process::command("dpkg-deb", &["-x"], folder).arg(&package).arg(folder))?;
    }
    // Of the sources only `library` is wanted.
    for source in fs::read_dir(folder.join("usr/src"))? {
        let source = source?.path();
        for unused in ["compiler", "src", "debian"] {
            let unused = source.join(unused);
            if unused.is_dir() {
                fs::remove_dir_all(unused)?;
            }
        }
    }
    fs::remove_dir_all(&packages)?;
    let linker = folder.join("usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    if !linker.is_symlink() {
        std::os::unix::fs::symlink("../../../../bin/rust-lld", &linker)?;
    }
    Ok(())
}

/// The compiler finds its LLVM beside itself.
fn write_wrapper(folder: &Path) -> Result<()> {
    let usr = folder.join("usr");
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH=\"{usr}/lib/x86_64-linux-gnu${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\" exec \"{usr}/bin/rustc\" \"$@\"\n",
        usr = usr.display()
    );
    let path = folder.join("rustc");
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A crate that does nothing: cargo builds std beside it, and std goes where the compiler looks for it.
fn build_std(environment: &Environment, folder: &Path) -> Result<()> {
    let work = folder.join("work");
    if work.is_dir() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(work.join("src"))?;
    fs::write(work.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        work.join("Cargo.toml"),
        "[package]\nname = \"seed\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[profile.release]\npanic = \"abort\"\ndebug = false\n[workspace]\n",
    )?;
    // Bitcode: a guest may use lto. Unstable unless marked: as the real std is built.
    let flags = [
        "-Cembed-bitcode=yes".to_string(),
        "-Zforce-unstable-if-unmarked".to_string(),
        format!("--remap-path-prefix={}=/rust-wasm", folder.display()),
        format!("--remap-path-prefix={}=/cargo", environment.cargo_home.display()),
    ];
    let target = work.join("target");
    process::run(
        process::command(
            &environment.cargo,
            &[
                "build",
                "--quiet",
                "--release",
                "--target",
                TARGET,
                "-Zbuild-std=std,panic_abort",
            ],
            &work,
        )
        .env("RUSTC", folder.join("rustc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")),
    )?;
    let library = folder.join("usr/lib/rustlib").join(TARGET).join("lib");
    if library.is_dir() {
        fs::remove_dir_all(&library)?;
    }
    fs::create_dir_all(&library)?;
    let mut copied = 0;
    for file in fs::read_dir(target.join(TARGET).join("release/deps"))? {
        let file = file?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libseed") {
            fs::copy(&file, library.join(&name))?;
            copied += 1;
        }
    }
    if copied == 0 {
        bail!("building std gave no library");
    }
    fs::remove_dir_all(&work)?;
    Ok(())
}
