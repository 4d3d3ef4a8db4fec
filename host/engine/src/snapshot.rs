//! Where the files of a model are: a local folder, or a snapshot in the Hugging Face cache.

use std::path::{Path, PathBuf};

/// The folder of `model`, which is a local folder or a hub id such as `owner/name`. `None` if there is no such folder and the
/// Hugging Face cache holds no snapshot for the branch `main`.
///
/// Chooses the snapshot that mistral.rs loads: the commit that `refs/main` names. Older snapshots may lie beside it.
#[must_use]
pub fn snapshot_folder(model: &str) -> Option<PathBuf> {
    let folder = Path::new(model);
    if folder.is_dir() {
        return Some(folder.to_owned());
    }
    cached_snapshot(&hub_cache()?, model)
}

fn hub_cache() -> Option<PathBuf> {
    let home = match std::env::var_os("HF_HOME") {
        Some(home) => PathBuf::from(home),
        None => std::env::home_dir()?.join(".cache/huggingface"),
    };
    Some(home.join("hub"))
}

fn cached_snapshot(cache: &Path, model: &str) -> Option<PathBuf> {
    let repository = cache.join(format!("models--{}", model.replace('/', "--")));
    let commit = std::fs::read_to_string(repository.join("refs/main")).ok()?;
    let folder = repository.join("snapshots").join(commit);
    folder.is_dir().then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "acme/tiny";

    /// A cache with these snapshots of the model, each with a `config.json`.
    fn cache(commits: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--acme--tiny");
        for commit in commits {
            let snapshot = repository.join("snapshots").join(commit);
            std::fs::create_dir_all(&snapshot).unwrap();
            std::fs::write(snapshot.join("config.json"), "{}").unwrap();
        }
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        (cache, repository)
    }

    #[test]
    fn the_snapshot_is_the_one_that_main_refers_to() {
        let commits = ["aaaa", "bbbb", "cccc", "dddd"];
        let (cache, repository) = cache(&commits);
        let upstream = hf_hub::Cache::new(cache.path().to_owned());
        for commit in commits {
            std::fs::write(repository.join("refs/main"), commit).unwrap();
            let folder = cached_snapshot(cache.path(), MODEL).unwrap();
            assert_eq!(folder, repository.join("snapshots").join(commit));
            // mistral.rs finds its files with hf_hub.
            assert_eq!(
                upstream.model(MODEL.into()).get("config.json"),
                Some(folder.join("config.json"))
            );
        }
    }

    #[test]
    fn a_snapshot_that_main_does_not_refer_to_is_not_used() {
        let (cache, repository) = cache(&["aaaa"]);
        assert_eq!(cached_snapshot(cache.path(), MODEL), None, "there is no refs/main");
        std::fs::write(repository.join("refs/main"), "bbbb").unwrap();
        assert_eq!(cached_snapshot(cache.path(), MODEL), None, "its snapshot is not there");
        let upstream = hf_hub::Cache::new(cache.path().to_owned());
        assert_eq!(upstream.model(MODEL.into()).get("config.json"), None);
    }

    #[test]
    fn a_local_folder_is_used_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert_eq!(snapshot_folder(name).as_deref(), Some(folder.path()));
    }
}
