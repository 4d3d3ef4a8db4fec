//! `host/RESOURCES.md` is the table of `riad_core::resources`, and whatever makes a queue, permits or a cache has a row in it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use riad_core::{ErrorKind, Limits, resources};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What makes something that is shared, waited for or evicted.
const MAKERS: [&str; 8] = [
    "Limiter::new(",
    "Limiter::with_clock(",
    "Semaphore::new(",
    "mpsc::channel(",
    "mpsc::sync_channel(",
    "unbounded_channel(",
    "LruCache::new(",
    "RateLimiter::direct(",
];
/// `admission` makes the limiters of others; `app` and the tools serve nobody; the rest know nothing of tenants.
const OTHERS: [&str; 7] = [
    "admission",
    "app",
    "xtask",
    "kernels",
    "lora",
    "paged",
    "mistralrs-core",
];

fn host() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Path and code of every file, without its tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(host()).unwrap() {
        let folder = folder.unwrap();
        if !OTHERS.iter().any(|other| folder.file_name() == *other) {
            collect(&folder.path().join("src"), &mut found);
        }
    }
    assert!(found.len() > 200, "only {} files were found", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") || path.ends_with("core/src/resources.rs") {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            found.push((path, code.to_owned()));
        }
    }
}

/// Whether the code calls it, and not something whose name ends the same.
fn calls(code: &str, maker: &str) -> bool {
    code.match_indices(maker)
        .any(|(at, _)| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// As in `api/src/error.rs`.
fn status(kind: Option<ErrorKind>) -> &'static str {
    match kind {
        Some(ErrorKind::Busy) => "429: ",
        Some(ErrorKind::Unavailable) => "503: ",
        None => "",
        Some(other) => panic!("which status has {other:?}?"),
    }
}

fn expected() -> Vec<String> {
    let rows = resources::ALL.iter().map(|resource| {
        let (kind, words) = resource.refusal();
        let (name, shared_by, bound) = (resource.name(), resource.shared_by(), resource.bound());
        format!("| {name} | {shared_by} | {bound} | {}{words} |", status(kind))
    });
    rows.collect()
}

#[test]
fn the_document_has_the_rows_of_the_registry() {
    let document = fs::read_to_string(host().join("RESOURCES.md")).unwrap();
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let expected = expected();
    assert_eq!(rows, expected, "the rows should be:\n{}", expected.join("\n"));
}

#[test]
fn every_resource_is_named_where_it_is_made() {
    let sources = sources();
    let is_named = |id: &str| {
        let name = format!("resources::{id}");
        sources.iter().any(|(_, code)| code.contains(&name))
    };
    let missing: Vec<_> = resources::ALL
        .iter()
        .map(|resource| resource.id())
        .filter(|id| !is_named(id))
        .collect();
    assert!(missing.is_empty(), "no code makes {missing:?}");
}

#[test]
fn what_makes_a_queue_permits_or_a_cache_names_it() {
    let (mut makers, mut unnamed) = (BTreeSet::new(), Vec::new());
    for (path, code) in sources() {
        let called: Vec<_> = MAKERS.into_iter().filter(|maker| calls(&code, maker)).collect();
        if !called.is_empty() && !code.contains("resources::") {
            unnamed.push(format!("{} calls {called:?}", path.display()));
        }
        makers.extend(called);
    }
    assert!(
        unnamed.is_empty(),
        "these name no row of core/src/resources.rs (who shares it, and what bounds it?): {unnamed:#?}"
    );
    assert!(
        makers.len() > 3,
        "only {makers:?} were found: have the others got another name?"
    );
}

#[test]
fn the_limits_in_the_table_exist() {
    let keys: BTreeSet<_> = Limits::TABLE.iter().map(|(name, _, _)| *name).collect();
    for resource in resources::ALL {
        let named = resource
            .bound()
            .split('`')
            .filter_map(|part| part.strip_prefix("limits."));
        for key in named {
            assert!(keys.contains(key), "{}: there is no limits.{key}", resource.name());
        }
    }
}
