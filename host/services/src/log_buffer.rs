//! The latest lines of each tenant's plugins, in memory.

use parking_lot::Mutex;
use riad_core::{
    Account, TenantPass, Timestamp,
    ports::{LogLevel, TenantLog},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Lines kept per tenant.
const LINES: usize = 256;
/// Bytes of a line; with [`LINES`] this bounds a tenant's log at half a megabyte.
const LINE_BYTES: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Counts the lines of the tenant's plugins since the server began, from 1: what a reader has seen.
    pub number: u64,
    /// Seconds since 1970-01-01 UTC.
    pub time: u64,
    pub level: LogLevel,
    pub message: String,
}

#[derive(Default)]
pub(crate) struct LogBuffers(Mutex<HashMap<Account, Arc<LogBuffer>>>);

impl LogBuffers {
    /// The buffer that the plugins of one request write to. Lines of a request that outlives its tenant cannot be read.
    pub fn open(&self, pass: &TenantPass) -> Arc<dyn TenantLog> {
        Arc::clone(self.0.lock().entry(pass.account()).or_default()) as Arc<dyn TenantLog>
    }

    pub fn forget(&self, account: Account) {
        self.0.lock().remove(&account);
    }

    pub fn read(&self, account: Account) -> Vec<LogLine> {
        let buffer = self.0.lock().get(&account).map(Arc::clone);
        buffer
            .map(|buffer| buffer.0.lock().kept.iter().cloned().collect())
            .unwrap_or_default()
    }
}

#[derive(Default)]
struct LogBuffer(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    /// Number of the last one.
    last: u64,
}

impl TenantLog for LogBuffer {
    fn write(&self, level: LogLevel, message: &str) {
        let mut end = message.len().min(LINE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let mut lines = self.0.lock();
        lines.last += 1;
        let line = LogLine {
            number: lines.last,
            time: Timestamp::now().as_seconds(),
            level,
            message: message.get(..end).unwrap_or_default().to_owned(),
        };
        if lines.kept.len() == LINES {
            lines.kept.pop_front();
        }
        lines.kept.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_go_first_and_long_lines_end_between_chars() {
        let buffer = LogBuffer::default();
        for index in 0..=LINES {
            buffer.write(LogLevel::Info, &format!("line {index}"));
        }
        let long = "é".repeat(LINE_BYTES);
        buffer.write(LogLevel::Warn, &format!("x{long}"));
        let lines = &buffer.0.lock().kept;
        assert_eq!(lines.len(), LINES);
        assert_eq!((lines[0].number, lines[LINES - 1].number), (3, LINES as u64 + 2));
        assert_eq!(lines[0].message, "line 2");
        assert_eq!(lines[LINES - 1].message.len(), LINE_BYTES - 1);
    }

    #[test]
    fn a_forgotten_buffer_is_not_read_again() {
        let logs = LogBuffers::default();
        let account = Account::new(1);
        let buffer = Arc::clone(logs.0.lock().entry(account).or_default());
        buffer.write(LogLevel::Info, "before");
        assert_eq!(logs.read(account).len(), 1);
        logs.forget(account);
        buffer.write(LogLevel::Info, "late");
        assert!(logs.read(account).is_empty());
    }
}
