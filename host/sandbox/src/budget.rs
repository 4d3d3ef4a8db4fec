//! What the guests of one run have together besides fuel: host calls and bytes of log.
//! Not here: memory (`limits.rs`) and time (`clock.rs`).

use crate::errors::Breach;
use parking_lot::Mutex;
use riad_core::{
    Limits,
    ports::{LogLevel, TenantLog},
};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Budget {
    host_calls: AtomicU32,
    log: Mutex<LogBudget>,
}

struct LogBudget {
    left: u64,
    /// A line was dropped: no other is taken, also if it is shorter.
    full: bool,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            host_calls: AtomicU32::new(limits.guest_host_calls),
            log: Mutex::new(LogBudget {
                left: limits.guest_log_bytes,
                full: false,
            }),
        }
    }

    /// Counts a host call, or says that there were too many.
    pub(crate) fn take_host_call(&self) -> Result<(), Breach> {
        self.host_calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .map(drop)
            .map_err(|_| Breach::HostCalls)
    }

    /// Writes a line if there is room for it. The first line that is dropped is replaced by a note; logging never fails.
    pub(crate) fn write(&self, log: &dyn TenantLog, level: LogLevel, message: &str) {
        let mut budget = self.log.lock();
        if budget.full {
            return;
        }
        match budget.left.checked_sub(message.len() as u64) {
            Some(left) => {
                budget.left = left;
                log.write(level, message);
            }
            None => {
                budget.full = true;
                log.write(
                    LogLevel::Warn,
                    "this request has logged all that it may (limits.guest_log_bytes): lines from here on are dropped",
                );
            }
        }
    }
}
