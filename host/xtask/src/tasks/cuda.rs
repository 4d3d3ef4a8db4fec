//! `cargo xtask cuda check`: compiles and links the server with the feature `cuda`. It needs no GPU; the compiler and the libraries come
//! from NVIDIA's Python packages. The target folder is one of its own, so that the usual build stays warm.

use super::python::Python;
use crate::{environment::Environment, process, say};
use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Compile and link the server with CUDA; takes about half an hour the first time
    Check {
        /// The compute capability to compile for, without the dot: 80 for A100, 89 for L4, 90 for H100
        #[arg(long, default_value = "90")]
        capability: String,
    },
}

const TOOLKIT: &str = "cuda-toolkit[nvcc,cudart,cccl,cublas,curand,nvrtc]==13.0.*";
/// Folder of the toolkit's major version in its packages.
const MAJOR: &str = "cu13";
/// Linkers look for `lib<name>.so`; the packages have `lib<name>.so.<version>` only.
const LIBRARIES: [(&str, u8); 5] = [
    ("cudart", 13),
    ("cublas", 13),
    ("cublasLt", 13),
    ("curand", 10),
    ("nvrtc", 13),
];

pub fn run(environment: &Environment, arguments: &Arguments) -> Result<()> {
    let Action::Check { capability } = &arguments.action;
    let home = match env::var_os("CUDA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home),
        None => toolkit(environment)?,
    };
    let target = environment.target.join("cuda");
    let search = |name: &str, first: &Path| -> Result<std::ffi::OsString> {
        let rest = env::var_os(name).unwrap_or_default();
        let folders = [first.to_owned()].into_iter().chain(env::split_paths(&rest));
        env::join_paths(folders.filter(|folder| !folder.as_os_str().is_empty()))
            .context("a folder has a colon in its name")
    };
    let mut build = process::command(
        &environment.cargo,
        &["build", "--release", "--package", "riad-app", "--features", "cuda"],
        &environment.root,
    );
    for name in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"] {
        build.env(name, &home);
    }
    build
        .env("CUDA_COMPUTE_CAP", capability)
        .env("PATH", search("PATH", &home.join("bin"))?)
        .env("LIBRARY_PATH", search("LIBRARY_PATH", &home.join("lib"))?)
        .env("CARGO_TARGET_DIR", &target);
    process::run(&mut build)?;
    say::line(&format!(
        "compiled and linked {} for compute capability {capability}; it was not run",
        target.join("release/riad").display()
    ));
    Ok(())
}

/// The toolkit out of the Python packages, with the names that build scripts and linkers expect.
fn toolkit(environment: &Environment) -> Result<PathBuf> {
    let python = Python::with(environment, "cuda", &[TOOLKIT])?;
    let lib = python.folder().join("lib");
    let mut versions = fs::read_dir(&lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let home = versions
        .find_map(|entry| {
            let home = entry.ok()?.path().join("site-packages/nvidia").join(MAJOR);
            home.is_dir().then_some(home)
        })
        .with_context(|| format!("{} has no {MAJOR}", lib.display()))?;
    for (name, version) in LIBRARIES {
        link(
            &format!("lib{name}.so.{version}"),
            &home.join(format!("lib/lib{name}.so")),
        )?;
    }
    link("lib", &home.join("lib64"))?;
    stub_driver(&home)?;
    Ok(home)
}

/// The driver's library comes with the driver, which only machines with a GPU have. As in NVIDIA's own toolkit, the linker gets one that
/// has the names of its functions; a program that is started without the driver does not find it.
fn stub_driver(home: &Path) -> Result<()> {
    let header = home.join("include/cuda.h");
    let declared = fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    let words = declared.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let is_function = |word: &&str| {
        word.strip_prefix("cu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    let names: BTreeSet<&str> = words.filter(is_function).collect();
    let source: String = names.iter().map(|name| format!("void {name}(void) {{}}\n")).collect();
    let path = home.join("lib/driver_stub.c");
    fs::write(&path, source).with_context(|| format!("cannot write {}", path.display()))?;
    let arguments = [
        "-shared",
        "-nostdlib",
        "-Wl,-soname,libcuda.so.1",
        "-o",
        "libcuda.so",
        "driver_stub.c",
    ];
    process::run(&mut process::command("cc", &arguments, &home.join("lib")))
}

#[cfg(unix)]
fn link(to: &str, at: &Path) -> Result<()> {
    match std::os::unix::fs::symlink(to, at) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot link {}", at.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn link(_: &str, at: &Path) -> Result<()> {
    anyhow::bail!(
        "set CUDA_HOME: the Python packages' toolkit can be used on Linux only ({})",
        at.display()
    )
}
