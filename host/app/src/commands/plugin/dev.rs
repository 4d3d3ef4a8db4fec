//! `riad plugin dev`: looks at the files' times a few times a second. A change is built and deployed when no other follows it at once.

use super::{
    deploy,
    logs::{self, Log},
    project::Project,
    size, stages, toolchain,
};
use crate::{
    client::Client,
    output::{self, Output, clean, line, note, short_digest},
};
use riad_core::Result;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

const PAUSE: Duration = Duration::from_millis(300);
/// What tools write, and what is no source.
const IGNORED: [&str; 11] = [
    ".git",
    ".riad",
    ".venv",
    ".pytest_cache",
    "__pycache__",
    "build",
    "node_modules",
    "target",
    "Cargo.lock",
    "package-lock.json",
    ".DS_Store",
];

/// Ends when the folder or the log cannot be read at the start; later failures are shown, and the next change is another try.
pub async fn run(folder: &Path, client: &Client, out: &Output) -> Result<()> {
    let folder = Project::open(folder)?.folder;
    let mut log = Log::new(client);
    // What was logged before is not about this.
    log.news().await?;
    note(&format!("Watching {}; Ctrl-C ends.", folder.display()));
    let mut deployed = None;
    loop {
        let files = settled(&folder).await;
        if deployed.as_ref() != Some(&files) {
            if let Err(error) = redeploy(&folder, client).await {
                output::error(&error);
            }
            deployed = Some(files);
        }
        // A server that restarts is asked again.
        for found in log.news().await.unwrap_or_default() {
            logs::show(&found, out)?;
        }
    }
}

async fn redeploy(folder: &Path, client: &Client) -> Result<()> {
    let begun = Instant::now();
    let project = Project::open(folder)?;
    let built = toolchain::build(&project).await?;
    let (name, bytes) = (&project.manifest.name, built.bytes.len());
    let made = deploy(client, name, built.bytes.into(), &stages(&project), None).await?;
    line(&format!(
        "Deployed {name}@{}, {}, in {:.1} s.",
        clean(&short_digest(&made.body.version)),
        size(bytes),
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// The files once two looks in a row find the same: an editor may write several.
async fn settled(folder: &Path) -> Files {
    let mut before = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        let mut files = Files::new();
        // What is removed while it is listed is missing at the next look.
        let _ = list(folder, &mut files);
        if before.as_ref() == Some(&files) {
            return files;
        }
        before = Some(files);
    }
}

fn list(folder: &Path, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if IGNORED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.insert(entry.path(), (metadata.modified()?, metadata.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_write_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let look = || {
            let mut files = Files::new();
            list(folder.path(), &mut files).unwrap();
            files
        };
        let write = |path: &str| super::super::project::write(&folder.path().join(path), path).unwrap();
        write("src/lib.rs");
        let before = look();
        assert_eq!(before.len(), 1);
        for path in [
            "target/debug/x",
            "build/a.wasm",
            ".riad/sdk/x",
            "Cargo.lock",
            "src/__pycache__/a.pyc",
        ] {
            write(path);
        }
        assert_eq!(look(), before);
        write("src/other.rs");
        assert_ne!(look(), before);
    }
}
