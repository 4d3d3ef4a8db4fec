//! What the machine has: files, memory, cores, disk, time. Not here: what is on its disk (`files`, `model`).
//!
//! Figures come from `/proc` where there is one and from `ulimit` and `df` of POSIX elsewhere: all of them are read, and
//! none is worth a system call of our own.

use super::Check;
use std::{
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// For databases, pipes, libraries and whatever else a process has open.
const OTHER_FILES: u64 = 256;
/// Databases with their logs, an index.
const FILES_PER_ROOM: u64 = 8;
/// 2025-01-01: this program is younger.
const YOUNGEST_SECONDS: u64 = 1_735_689_600;

pub(super) async fn open_files(connections: u32, rooms: u32) -> Check {
    const WHAT: &str = "open files";
    let needed = u64::from(connections) + u64::from(rooms) * FILES_PER_ROOM + OTHER_FILES;
    match open_files_limit() {
        None => Check::skip(WHAT, "the system does not say how many there may be"),
        Some(limit) if limit < needed => Check::warn(
            WHAT,
            format!(
                "{limit} allowed, {needed} needed for limits.connections and limits.open_rooms; raise the limit (ulimit -n \
                 {needed}, LimitNOFILE={needed}), or lower those"
            ),
        ),
        Some(limit) => Check::ok(WHAT, format!("{limit} allowed, {needed} needed")),
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

/// What is free for us on the disk of a folder.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    free_of(&ask("df", &["-Pk", "--", folder.to_str()?])?)
}

/// POSIX: the columns of `df -Pk` are file system, blocks of 1024 bytes, used, available, capacity, mount point.
fn free_of(table: &str) -> Option<u64> {
    // A file system's name may have spaces; the share in percent is easy to find.
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

/// What a process may still take: of the machine, and of the group that a container is.
pub(super) fn available_bytes() -> Option<u64> {
    let machine = available_of(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let group = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let left = group("memory.max")
        .and_then(|max| max.trim().parse::<u64>().ok())
        .zip(group("memory.current").and_then(|used| used.trim().parse::<u64>().ok()))
        .map(|(max, used)| max.saturating_sub(used));
    Some(left.map_or(machine, |left| left.min(machine)))
}

/// The line is `MemAvailable:  <number> kB`.
fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

fn cores() -> u64 {
    thread::available_parallelism().map_or(1, |cores| u64::try_from(cores.get()).unwrap_or(u64::MAX))
}

/// 0 stands for one per core.
pub(super) fn lane_count(configured: usize) -> u64 {
    match configured {
        0 => cores(),
        lanes => u64::try_from(lanes).unwrap_or(u64::MAX),
    }
}

pub(super) fn lanes(configured: usize) -> Check {
    const WHAT: &str = "lanes";
    let (lanes, cores) = (lane_count(configured), cores());
    match lanes > cores {
        true => Check::warn(
            WHAT,
            format!(
                "{lanes} lanes on {cores} cores slow each other down on a processor; set engine.lanes to {cores} or less"
            ),
        ),
        false => Check::ok(WHAT, format!("{lanes} lanes, {cores} cores")),
    }
}

pub(super) fn clock(data: &Path) -> Check {
    let written = ["control.db", "control.db-wal"]
        .iter()
        .filter_map(|name| data.join(name).metadata().ok()?.modified().ok())
        .max();
    judge_clock(SystemTime::now(), written)
}

/// Keys expire, budgets begin anew and receipts are dated by it.
fn judge_clock(now: SystemTime, written: Option<SystemTime>) -> Check {
    const WHAT: &str = "clock";
    const TOLERANCE: Duration = Duration::from_secs(60);
    if now < UNIX_EPOCH + Duration::from_secs(YOUNGEST_SECONDS) {
        return Check::fail(WHAT, "the system's time is before this program was made; set the clock");
    }
    match written.and_then(|written| written.duration_since(now).ok()) {
        Some(ahead) if ahead > TOLERANCE => Check::warn(
            WHAT,
            format!(
                "the data folder was written {} seconds in the future: the clock went back; set it, or budgets count wrong",
                ahead.as_secs()
            ),
        ),
        Some(_) | None => Check::ok(WHAT, "plausible"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Grade;

    #[test]
    fn the_systems_tables_are_read() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax processes  1 2 processes\nMax open files  1024  4096  files\n";
        assert_eq!(soft_limit(limits), Some(1024));
        assert_eq!(soft_limit("Max open files unlimited unlimited files"), Some(u64::MAX));
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/my disk 100 60 40 60% /a b\n";
        assert_eq!(free_of(table), Some(40 * 1024));
        assert_eq!(available_of("MemTotal: 9 kB\nMemAvailable:   5 kB\n"), Some(5120));
        for nonsense in ["", "x", "Max open files", "MemAvailable: lots kB"] {
            assert_eq!(
                (soft_limit(nonsense), free_of(nonsense), available_of(nonsense)),
                (None, None, None)
            );
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_says_something() {
        assert!(free_bytes(Path::new("/")).is_some());
        assert!(available_bytes().is_some_and(|bytes| bytes > 0));
        assert!(open_files_limit().is_some());
    }

    #[test]
    fn a_clock_that_went_back_is_noticed() {
        let now = SystemTime::now();
        assert_eq!(judge_clock(now, None).grade, Grade::Ok);
        assert_eq!(judge_clock(now, Some(now)).grade, Grade::Ok);
        assert_eq!(
            judge_clock(now, Some(now + Duration::from_secs(3600))).grade,
            Grade::Warn
        );
        assert_eq!(judge_clock(UNIX_EPOCH, None).grade, Grade::Fail);
    }
}
