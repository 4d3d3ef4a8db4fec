//! What `/proc` says about a process: processor time, memory and threads.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::sleep;

/// Of the clock in which Linux shows processor time to programs, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;
/// Over which a thread's processor time is looked at.
const WINDOW: Duration = Duration::from_millis(500);
/// Share of the window that a thread must have computed to count as busy.
const BUSY: f64 = 0.5;

#[derive(Clone)]
pub struct Process {
    id: u32,
    folder: PathBuf,
}

/// In MiB.
#[derive(Clone, Copy)]
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

impl Process {
    pub fn of(id: u32) -> Self {
        Self {
            id,
            folder: Path::new("/proc").join(id.to_string()),
        }
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// Processor time until now, that of its children included. 0 if the process has ended.
    pub fn seconds(&self) -> f64 {
        let running: f64 = self.children().iter().map(Self::seconds).sum();
        seconds(&self.folder, 4) + running
    }

    fn children(&self) -> Vec<Self> {
        let tasks = fs::read_dir(self.folder.join("task")).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| {
                let ids = list.split_whitespace().filter_map(|id| id.parse().ok());
                ids.map(Self::of).collect::<Vec<_>>()
            })
            .collect()
    }

    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.folder.join("status")).unwrap();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
        };
        Memory {
            now: value("VmRSS:"),
            peak: value("VmHWM:"),
        }
    }

    pub fn threads(&self) -> usize {
        self.thread_seconds().len()
    }

    /// Names of the threads that compute without a pause.
    pub async fn busy_threads(&self) -> Vec<String> {
        let before = self.thread_seconds();
        sleep(WINDOW).await;
        let after = self.thread_seconds();
        let busy = after.into_iter().filter(|(id, seconds)| {
            let had = before.get(id).copied().unwrap_or_default();
            seconds - had > WINDOW.as_secs_f64() * BUSY
        });
        busy.map(|(id, _)| {
            let name = fs::read_to_string(self.folder.join("task").join(&id).join("comm"));
            name.map_or(id, |name| name.trim().to_owned())
        })
        .collect()
    }

    fn thread_seconds(&self) -> BTreeMap<String, f64> {
        let Ok(tasks) = fs::read_dir(self.folder.join("task")) else {
            return BTreeMap::new();
        };
        tasks
            .flatten()
            .map(|task| {
                (
                    task.file_name().to_string_lossy().into_owned(),
                    seconds(&task.path(), 2),
                )
            })
            .collect()
    }
}

/// The sum of the first of: user, system, children's user, children's system.
fn seconds(folder: &Path, fields: usize) -> f64 {
    let Ok(stat) = fs::read_to_string(folder.join("stat")) else {
        return 0.0;
    };
    // The name, in parentheses, may have spaces; user time is the twelfth field after it.
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let ticks = rest.split_whitespace().skip(11).take(fields);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_PER_SECOND
}
