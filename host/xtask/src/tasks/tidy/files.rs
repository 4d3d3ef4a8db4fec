//! Rust files begin by saying what they are for, and are short enough to be read. Looks at what git knows or would add.

use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use std::fs;

const MOST_LINES: usize = 600;
const NOTED_LINES: usize = 400;

#[derive(Default)]
pub struct Found {
    pub files: usize,
    pub wrong: Vec<String>,
    pub notes: Vec<String>,
}

pub fn check(environment: &Environment) -> Result<Found> {
    let listed = process::read(&mut process::command(
        "git",
        &[
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
            "--",
            "*.rs",
        ],
        &environment.root,
    ))?;
    let mut found = Found::default();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = environment.root.join(name);
        // Deleted and not yet committed.
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        found.look_at(name, &text);
    }
    Ok(found)
}

impl Found {
    fn look_at(&mut self, name: &str, text: &str) {
        self.files += 1;
        if !text.starts_with("//!") {
            self.wrong.push(format!(
                "{name} does not begin with `//!`: what is it for, and what is not in it?"
            ));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            self.wrong.push(format!(
                "{name} has {lines} lines, more than {MOST_LINES}: it should be split"
            ));
        } else if lines > NOTED_LINES {
            self.notes.push(format!("{name} has {lines} lines"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_lengths_are_looked_at() {
        let mut found = Found::default();
        found.look_at("good.rs", "//! Good.\n#![no_std]\n");
        found.look_at("bare.rs", "fn main() {}\n");
        found.look_at("long.rs", &"//! Long.\n".repeat(601));
        found.look_at("longish.rs", &"//! Longish.\n".repeat(600));
        assert_eq!(found.files, 4);
        assert_eq!(found.wrong.len(), 2, "{:?}", found.wrong);
        assert!(found.wrong.iter().any(|line| line.starts_with("bare.rs")));
        assert!(found.wrong.iter().any(|line| line.starts_with("long.rs has 601 lines")));
        assert_eq!(found.notes, ["longish.rs has 600 lines"]);
    }
}
