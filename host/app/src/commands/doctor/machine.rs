//! What the machine has: open files, free disk space, time.
//!
//! The figures come from `/proc` on Linux, else from `ulimit` and `df` of POSIX, because system calls would need unsafe code.

use crate::commands::check::Check;
use riad_core::Timestamp;
use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

/// Databases, pipes, libraries and the like.
const OTHER_FILES: u64 = 256;
/// Databases with their logs, an index.
const FILES_PER_ROOM: u64 = 8;
/// 2025-01-01, before this program existed.
const EARLIEST: Timestamp = Timestamp::from_seconds(1_735_689_600);

pub(super) async fn open_files(connections: u32, rooms: u32) -> Check {
    const NAME: &str = "open files";
    let needed = u64::from(connections) + u64::from(rooms) * FILES_PER_ROOM + OTHER_FILES;
    match open_files_limit() {
        None => Check::skip(NAME, "the system does not report the limit"),
        Some(limit) if limit < needed => Check::warn(
            NAME,
            format!(
                "{limit} allowed, {needed} needed for limits.connections and limits.open_rooms; raise the limit (ulimit -n \
                 {needed}, LimitNOFILE={needed}), or lower those"
            ),
        ),
        Some(limit) => Check::ok(NAME, format!("{limit} allowed, {needed} needed")),
    }
}

fn open_files_limit() -> Option<u64> {
    if let Ok(limits) = std::fs::read_to_string("/proc/self/limits") {
        return soft_limit(&limits);
    }
    number(&ask("sh", &["-c", "ulimit -n"])?)
}

/// The line is `Max open files  <soft>  <hard>  files`.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    number(line.split_whitespace().next()?)
}

fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "unlimited" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

/// Free bytes on the disk of a folder.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    free_of(&ask("df", &["-Pk", "--", folder.to_str()?])?)
}

/// POSIX: the columns of `df -Pk` are file system, blocks of 1024 bytes, used, available, capacity, mount point.
fn free_of(table: &str) -> Option<u64> {
    // A file system's name may have spaces, so the columns are counted from the one in percent.
    let words: Vec<_> = table.lines().nth(1)?.split_whitespace().collect();
    let capacity = words.iter().position(|word| word.ends_with('%'))?;
    let blocks: u64 = words.get(capacity.checked_sub(1)?)?.parse().ok()?;
    blocks.checked_mul(1024)
}

fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(super) fn clock(data: &Path) -> Check {
    let written = ["control.db", "control.db-wal"]
        .iter()
        .filter_map(|name| data.join(name).metadata().ok()?.modified().ok())
        .filter_map(|modified| modified.duration_since(UNIX_EPOCH).ok())
        .map(|since_epoch| Timestamp::default().plus(since_epoch))
        .max();
    compare_clock(Timestamp::now(), written)
}

/// Expiry of keys, renewal of budgets and dates of receipts depend on the clock.
fn compare_clock(now: Timestamp, written: Option<Timestamp>) -> Check {
    const NAME: &str = "clock";
    const TOLERANCE: Duration = Duration::from_secs(60);
    if now < EARLIEST {
        return Check::fail(NAME, "the system's time is before this program existed; set the clock");
    }
    match written {
        Some(written) if written > now.plus(TOLERANCE) => Check::warn(
            NAME,
            format!(
                "the data folder was last written {} seconds in the future: the clock went back; set it, or budgets count wrong",
                written.as_seconds() - now.as_seconds()
            ),
        ),
        Some(_) | None => Check::ok(NAME, "plausible"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::Status;

    #[test]
    fn system_tables_are_parsed() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax processes  1 2 processes\nMax open files  1024  4096  files\n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(soft_limit("Max open files unlimited unlimited files"), Some(u64::MAX));
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/my disk 100 60 40 60% /a b\n";
        assert_eq!(free_of(table), Some(40 * 1024));
        for nonsense in ["", "x", "Max open files"] {
            assert_eq!((soft_limit(nonsense), free_of(nonsense)), (None, None));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_reports_figures() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert!(open_files_limit().is_some());
    }

    #[test]
    fn a_clock_that_went_back_is_noticed() {
        let now = Timestamp::now();
        let later = now.plus(Duration::from_secs(3600));
        assert_eq!(compare_clock(now, None).status, Status::Ok);
        assert_eq!(compare_clock(now, Some(now)).status, Status::Ok);
        assert_eq!(compare_clock(now, Some(later)).status, Status::Warn);
        assert_eq!(compare_clock(Timestamp::default(), None).status, Status::Fail);
    }
}
