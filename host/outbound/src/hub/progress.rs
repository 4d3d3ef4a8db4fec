//! How far a download is, for the log.

use super::model::HubModel;
use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const INTERVAL: Duration = Duration::from_secs(5);

/// Bytes of a download of several files, one after another.
#[derive(Default)]
pub(super) struct Progress {
    total: u64,
    /// Of the files before the current one.
    finished: AtomicU64,
    current: AtomicU64,
}

impl Progress {
    pub(super) fn of(total: u64) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }

    /// Bytes that the current file has.
    pub(super) fn set(&self, bytes: u64) {
        self.current.store(bytes, Relaxed);
    }

    pub(super) fn finish_file(&self, bytes: u64) {
        self.current.store(0, Relaxed);
        self.finished.fetch_add(bytes, Relaxed);
    }

    fn done(&self) -> u64 {
        self.finished.load(Relaxed).saturating_add(self.current.load(Relaxed))
    }

    /// Runs the work, and logs every few seconds how far it is.
    pub(super) async fn log_during<T>(&self, model: &HubModel, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = self.done();
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => {
                    let done = self.done();
                    let rate = done.saturating_sub(before) / INTERVAL.as_secs();
                    before = done;
                    tracing::info!(
                        %model,
                        percent = self.percent(done),
                        done = size(done),
                        total = size(self.total),
                        rate = format!("{}/s", size(rate)),
                        "downloading the model"
                    );
                }
            }
        }
    }

    fn percent(&self, done: u64) -> u64 {
        done.saturating_mul(100)
            .checked_div(self.total)
            .map_or(100, |percent| percent.min(100))
    }
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_all_files_are_counted() {
        let progress = Progress::of(400);
        progress.set(50);
        progress.finish_file(100);
        progress.set(20);
        progress.set(30);
        assert_eq!((progress.done(), progress.percent(progress.done())), (130, 32));
        assert_eq!(Progress::of(0).percent(0), 100);
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(12_337_072), "12 MB");
        assert_eq!(size(8_040_000_000), "8.0 GB");
        assert_eq!(size(999), "0 kB");
    }
}
