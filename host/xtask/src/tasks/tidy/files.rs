//! Rust files begin by saying what they are for, and are short enough to be read. Looks at what git knows or would add.

use crate::{environment::Environment, process};
use anyhow::{Context, Result};
use std::fs;

const MOST_LINES: usize = 600;
const NOTED_LINES: usize = 400;
/// Characters of a test's name.
const LONGEST_TEST_NAME: usize = 60;

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
        for test in test_names(text).filter(|test| test.len() > LONGEST_TEST_NAME) {
            let line = format!("{name}: the name of test {test} has more than {LONGEST_TEST_NAME} characters");
            // An error where all names are short; elsewhere a note until they are.
            if name.starts_with("tests/") || name.starts_with("host/xtask/") {
                self.wrong.push(line);
            } else {
                self.notes.push(line);
            }
        }
    }
}

/// The functions that follow `#[test]` or `#[tokio::test]`, whatever other attributes are between.
fn test_names(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let declaration = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let name = declaration.split(['(', '<']).next()?;
        std::mem::take(&mut is_test).then_some(name)
    })
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

    #[test]
    fn only_names_of_tests_have_to_be_short() {
        let (short, long) = ("a".repeat(60), "b".repeat(61));
        let text = format!(
            "//! Tests.\n#[test]\nfn {short}() {{}}\nfn {long}_helper() {{}}\n    #[tokio::test(flavor = \"x\")]\n    \
             #[ignore]\n    async fn {long}() {{}}\n"
        );
        assert_eq!(test_names(&text).collect::<Vec<_>>(), [&short, &long]);
        let mut found = Found::default();
        found.look_at("tests/some.rs", &text);
        assert_eq!((found.wrong.len(), found.notes.len()), (1, 0));
        assert!(
            found.wrong[0].contains(&format!("test {long} has")),
            "{:?}",
            found.wrong
        );
        found.look_at("host/some.rs", &text);
        assert_eq!((found.wrong.len(), found.notes.len()), (1, 1));
    }
}
