//! Puts the published source of `mistralrs-core` where `[lib] path` expects it, with our patches applied.
//!
//! Not here: any edit of the source itself (that is `patches/`), and upstream's own `build.rs`, whose
//! `rerun-if-changed=.git/HEAD` would rebuild the crate on every `cargo build`.

use sha2::{Digest, Sha256};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const NAME: &str = "mistralrs-core-0.8.1";
/// SHA-256 of the published `.crate` file, as crates.io's index lists it.
const SHA256: &str = "a2b8b9e5c94491d9ceeded3a30291cb6af6ae74810a5776dd55e3bbb8b3429d4";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=patches");
    println!("cargo:rustc-env=MISTRALRS_GIT_REVISION=0.8.1-riad");

    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let patches = read_patches(&here.join("patches"));
    let stamp = stamp(&patches);
    let upstream = here.join("upstream");
    if fs::read_to_string(upstream.join(".stamp")).ok().as_deref() != Some(stamp.as_str()) {
        materialise(&upstream, &patches);
        fs::write(upstream.join(".stamp"), stamp).expect("write the stamp");
    }

    #[cfg(feature = "cuda")]
    build_kernels(&upstream);
}

/// (file name, content) of each patch, in the order of their names.
fn read_patches(dir: &Path) -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .expect("host/mistralrs-core/patches exists")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "patch"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display())))
        })
        .collect();
    found.sort();
    found
}

fn stamp(patches: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    hash.update(SHA256);
    for (name, text) in patches {
        hash.update(name);
        hash.update(text);
    }
    format!("{:x}", hash.finalize())
}

fn materialise(upstream: &Path, patches: &[(String, String)]) {
    let archive = find_archive().unwrap_or_else(|| {
        fetch();
        find_archive().unwrap_or_else(|| panic!("{NAME}.crate is not in cargo's registry cache after `cargo fetch`"))
    });
    let bytes = fs::read(&archive).unwrap_or_else(|e| panic!("read {}: {e}", archive.display()));
    let found = format!("{:x}", Sha256::digest(&bytes));
    assert_eq!(found, SHA256, "{} is not the published {NAME}", archive.display());

    let parent = upstream.parent().expect("upstream/ lies in this crate");
    let staging = parent.join(".upstream-staging");
    let _ = fs::remove_dir_all(&staging);
    tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()))
        .unpack(&staging)
        .unwrap_or_else(|e| panic!("unpack {}: {e}", archive.display()));
    let root = staging.join(NAME);
    // A manifest below ours would be taken for a package of its own.
    for name in ["Cargo.toml", "Cargo.toml.orig", "Cargo.lock", "build.rs"] {
        let _ = fs::remove_file(root.join(name));
    }
    for (name, text) in patches {
        apply(&root, name, text);
    }
    let _ = fs::remove_dir_all(upstream);
    fs::rename(&root, upstream).expect("move the patched source into place");
    let _ = fs::remove_dir_all(&staging);
}

fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).expect("a home folder")).join(".cargo")
    })
}

fn find_archive() -> Option<PathBuf> {
    fs::read_dir(cargo_home().join("registry/cache"))
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join(format!("{NAME}.crate"))))
        .find(|path| path.is_file())
}

/// Lets cargo download the published crate, by a manifest of its own that is patched by nobody.
fn fetch() {
    let dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("fetch");
    fs::create_dir_all(dir.join("src")).expect("a folder for the manifest");
    fs::write(dir.join("src/lib.rs"), "").expect("write lib.rs");
    fs::write(
        dir.join("Cargo.toml"),
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n\
         mistralrs-core = \"=0.8.1\"\n\n[workspace]\n",
    )
    .expect("write the manifest");
    let cargo = env::var_os("CARGO").expect("cargo sets CARGO");
    let status = Command::new(cargo).arg("fetch").current_dir(&dir).status().expect("run cargo fetch");
    assert!(status.success(), "cargo fetch of {NAME} failed: the first build needs the registry, later ones do not");
}

/// Applies one unified diff that may touch several files (`--- a/…`, `+++ b/…`).
fn apply(root: &Path, name: &str, text: &str) {
    let mut starts: Vec<usize> = text.match_indices("--- a/").map(|(at, _)| at).collect();
    starts.push(text.len());
    for pair in starts.windows(2) {
        let section = &text[pair[0]..pair[1]];
        let target = section.lines().nth(1).and_then(|l| l.strip_prefix("+++ b/")).unwrap_or_else(|| panic!("{name}: no +++ line"));
        let path = root.join(target.trim());
        let before = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: read {target}: {e}"));
        let patch = diffy::Patch::from_str(section).unwrap_or_else(|e| panic!("{name}: {e}"));
        let after = diffy::apply(&before, &patch).unwrap_or_else(|e| panic!("{name} does not apply to {target}: {e}"));
        fs::write(&path, after).unwrap_or_else(|e| panic!("{name}: write {target}: {e}"));
    }
}

/// What upstream's `build.rs` does for CUDA: compile its kernels and link them.
#[cfg(feature = "cuda")]
fn build_kernels(upstream: &Path) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut builder = cudaforge::KernelBuilder::new().source_glob(upstream.join("src/cuda/*.cu").to_string_lossy().as_ref()).out_dir(&out);
    for flag in [
        "-std=c++17",
        "-O3",
        "-U__CUDA_NO_HALF_OPERATORS__",
        "-U__CUDA_NO_HALF_CONVERSIONS__",
        "-U__CUDA_NO_HALF2_OPERATORS__",
        "-U__CUDA_NO_BFLOAT16_CONVERSIONS__",
        "--expt-relaxed-constexpr",
        "--expt-extended-lambda",
        "--use_fast_math",
        "--compiler-options",
        "-fPIC",
    ] {
        builder = builder.arg(flag);
    }
    // bf16 tensor-core intrinsics exist from compute capability 8.0.
    if builder.get_compute_cap().is_some_and(|cap| cap < 80) {
        builder = builder.arg("-DNO_BF16_KERNEL");
    }
    builder.build_lib(out.join("libmistralrscuda.a")).expect("compile the CUDA kernels");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-lib=mistralrscuda");
    println!("cargo:rustc-link-lib=dylib=cudart");
    println!("cargo:rustc-link-lib=dylib=stdc++");
}
