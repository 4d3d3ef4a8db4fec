//! What was seen, as it is said while the task runs, and as a Markdown file.

use crate::{environment::Environment, process, say};
use anyhow::{Context, Result};
use std::{fs, num::NonZero, path::Path, thread};

const REPORT: &str = "tests/cells/REPORT.md";

pub struct Report {
    /// The system's load average when the task began.
    busy: Option<String>,
    parts: Vec<Part>,
    skipped: Vec<String>,
}

struct Part {
    title: String,
    rows: Vec<Row>,
}

struct Row {
    what: String,
    aim: String,
    seen: String,
    is_missed: bool,
}

impl Report {
    pub fn new() -> Self {
        let busy = fs::read_to_string("/proc/loadavg").ok();
        Self {
            busy: busy.and_then(|busy| Some(busy.split(' ').nth(1)?.to_owned())),
            parts: Vec::new(),
            skipped: Vec::new(),
        }
    }

    pub fn part(&mut self, title: &str) {
        say::line(&format!("== {title}"));
        self.parts.push(Part {
            title: title.to_owned(),
            rows: Vec::new(),
        });
    }

    /// What has no aim, or was correct, because the task would have failed otherwise.
    pub fn seen(&mut self, what: &str, seen: impl Into<String>) {
        self.row(what, "", seen.into(), false);
    }

    /// A number of an aim. To miss it does not make the task fail.
    pub fn measured(&mut self, what: &str, aim: &str, is_met: bool, seen: impl Into<String>) {
        self.row(what, aim, seen.into(), !is_met);
    }

    pub fn skip(&mut self, what: &str, why: &str) {
        say::line(&format!("== {what}: SKIPPED, {why}"));
        self.skipped.push(format!("{what}: {why}."));
    }

    fn row(&mut self, what: &str, aim: &str, seen: String, is_missed: bool) {
        let aim_said = match (aim, is_missed) {
            ("", _) => String::new(),
            (aim, true) => format!(" (MISSED: {aim})"),
            (aim, false) => format!(" (aim: {aim})"),
        };
        say::line(&format!("{what}: {seen}{aim_said}"));
        if let Some(part) = self.parts.last_mut() {
            part.rows.push(Row {
                what: what.to_owned(),
                aim: aim.to_owned(),
                seen,
                is_missed,
            });
        }
    }

    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, environment: &Environment, riad: &Path) -> Result<()> {
        let version = process::read(&mut process::command(riad, &["--version"], &environment.root))?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let mut text = format!(
            "# Three cells, two proxies, one object store\n\nWritten by `cargo xtask cells`. Do not edit.\n\n{}, {cores} cores ({}), everything on one machine: the load and the \
             proxies compute beside the cells. What a row without an aim says was checked, or it is a number that other rows need.\n\n",
            version.trim(),
            std::env::consts::ARCH
        );
        if let Some(busy) = &self.busy {
            text +=
                &format!("Programs that computed at the same time in the five minutes before, on average: {busy}.\n\n");
        }
        for skipped in &self.skipped {
            text += &format!("Skipped: {skipped}\n\n");
        }
        for part in self.parts.iter().filter(|part| !part.rows.is_empty()) {
            text += &format!("## {}\n\n| what | aim | seen |\n| --- | --- | --- |\n", part.title);
            for Row {
                what,
                aim,
                seen,
                is_missed,
            } in &part.rows
            {
                let mark = if *is_missed { " **missed**" } else { "" };
                text += &format!("| {} | {} | {}{mark} |\n", cell(what), cell(aim), cell(seen));
            }
            text += "\n";
        }
        let file = environment.root.join(REPORT);
        fs::write(&file, format!("{}\n", text.trim_end())).with_context(|| format!("cannot write {}", file.display()))
    }
}

fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
