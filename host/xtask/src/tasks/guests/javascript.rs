//! Guests run without a JavaScript engine. Some crates take one for granted on this target: through wasm-bindgen they import functions that no
//! server has, and the component would be refused when it is uploaded. The lockfile shows it before anything is built.

use super::discover::Guest;
use anyhow::{Context, Result, bail};
use std::{collections::BTreeSet, fs, path::Path};

const CRATES: [&str; 4] = ["js-sys", "wasm-bindgen", "wasm-bindgen-futures", "web-sys"];

/// # Errors
/// A guest's workspace has one of the crates.
pub fn check(guests: &[Guest]) -> Result<()> {
    let workspaces: BTreeSet<&Path> = guests.iter().map(|guest| guest.workspace.as_path()).collect();
    for workspace in workspaces {
        let path = workspace.join("Cargo.lock");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let found = found(&text);
        if !found.is_empty() {
            bail!(
                "{} has {}, which need a JavaScript engine; run `cargo tree --target all --invert {}` there to see which crate brings them in",
                path.display(),
                found.join(", "),
                found.first().copied().unwrap_or_default()
            );
        }
    }
    Ok(())
}

fn found(lockfile: &str) -> Vec<&'static str> {
    let has = |name: &&str| lockfile.lines().any(|line| line == format!("name = \"{name}\""));
    CRATES.into_iter().filter(has).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_need_javascript_are_found() {
        let lockfile =
            "[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.100\"\n\n[[package]]\nname = \"wit-bindgen\"\n";
        assert_eq!(found(lockfile), ["wasm-bindgen"]);
        assert!(found("[[package]]\nname = \"wasm-bindgen-like\"\n").is_empty());
    }
}
