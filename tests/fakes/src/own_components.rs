//! The server's own components, compiled once for all tests of a build: the parsers of files take seconds. A compiled file has a checksum
//! and the compiler's version in it, so that one of another build is not loaded. Not here: components of tenants, which every server
//! compiles anew.

use riad_core::Digest;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

const OWN: [&[u8]; 3] = [
    include_bytes!("../../../plugins/standard/standard.wasm"),
    include_bytes!("../../../plugins/extractor/extractor.wasm"),
    include_bytes!("../../../plugins/chunker/chunker.wasm"),
];

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Into the data folder of a server that is to start.
pub fn put(data: &Path) {
    copy_own(&shared(), &data.join("compiled")).unwrap();
}

/// Out of the data folder of one that runs.
pub fn take(data: &Path) {
    copy_own(&data.join("compiled"), &shared()).unwrap();
}

/// Beside the tests' programs.
fn shared() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("riad-own-components")
}

fn copy_own(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(files) = fs::read_dir(from) else {
        return Ok(());
    };
    fs::create_dir_all(to)?;
    let own = OWN.map(|component| Digest::of(component).hex());
    for file in files {
        let name = file?.file_name();
        let (Some(text), target) = (name.to_str(), to.join(&name)) else {
            continue;
        };
        let is_own = text.ends_with(".cwasm") && own.iter().any(|digest| text.starts_with(digest.as_str()));
        if is_own && !target.exists() {
            // Other tests do the same: a file is there as a whole or not at all.
            let part = to.join(format!(
                "{}-{}.part",
                process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            ));
            fs::copy(from.join(&name), &part)?;
            fs::rename(part, target)?;
        }
    }
    Ok(())
}
