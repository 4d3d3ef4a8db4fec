//! The latest lines of each tenant's plugins, in memory. Not here: the server's own log.

use crate::{clock, shared::Shared};
use parking_lot::Mutex;
use riad_core::{
    Account, Result, TenantPass,
    grants::{Access, Scope},
    ports::{LogLevel, TenantLog},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Lines that are kept for a tenant.
const LINES: usize = 256;
/// Bytes of a line; with `LINES` it bounds what a tenant's log can hold at half a megabyte.
const LINE_BYTES: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Seconds since 1970-01-01 UTC.
    pub time: u64,
    pub level: LogLevel,
    pub message: String,
}

/// Reading them.
pub struct LogService(pub(crate) Arc<Shared>);

impl LogService {
    /// The latest lines of the caller's plugins, oldest first.
    ///
    /// # Errors
    /// `Forbidden` without the scope.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<LogLine>> {
        pass.require(Scope::Plugins, Access::Read)?;
        Ok(self.0.logs.read(pass.account()))
    }
}

#[derive(Default)]
pub(crate) struct Logs(Mutex<HashMap<Account, Arc<Ring>>>);

impl Logs {
    /// Where the plugins of one request write. A request that outlives its tenant writes into a ring that nobody can read.
    pub fn open(&self, pass: &TenantPass) -> Arc<dyn TenantLog> {
        Arc::clone(self.0.lock().entry(pass.account()).or_default()) as Arc<dyn TenantLog>
    }

    pub fn forget(&self, account: Account) {
        self.0.lock().remove(&account);
    }

    fn read(&self, account: Account) -> Vec<LogLine> {
        let ring = self.0.lock().get(&account).map(Arc::clone);
        ring.map(|ring| ring.0.lock().iter().cloned().collect())
            .unwrap_or_default()
    }
}

#[derive(Default)]
struct Ring(Mutex<VecDeque<LogLine>>);

impl TenantLog for Ring {
    fn write(&self, level: LogLevel, message: &str) {
        let mut end = message.len().min(LINE_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let line = LogLine {
            time: clock::now(),
            level,
            message: message.get(..end).unwrap_or_default().to_owned(),
        };
        let mut lines = self.0.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_first_and_long_lines_are_cut_between_characters() {
        let ring = Ring::default();
        for index in 0..=LINES {
            ring.write(LogLevel::Info, &format!("line {index}"));
        }
        let long = "é".repeat(LINE_BYTES);
        ring.write(LogLevel::Warn, &format!("x{long}"));
        let lines = ring.0.lock();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0].message, "line 2");
        assert_eq!(lines[LINES - 1].message.len(), LINE_BYTES - 1);
    }

    #[test]
    fn a_ring_that_was_forgotten_is_not_read_again() {
        let logs = Logs::default();
        let account = Account::new(1);
        let ring = Arc::clone(logs.0.lock().entry(account).or_default());
        ring.write(LogLevel::Info, "before");
        assert_eq!(logs.read(account).len(), 1);
        logs.forget(account);
        ring.write(LogLevel::Info, "late");
        assert!(logs.read(account).is_empty());
    }
}
