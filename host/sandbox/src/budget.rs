//! Host calls, generations, HTTP requests and bytes of log that the guests of one run share. Not here: fuel (`context.rs`), memory (`limits.rs`), time
//! (`clock.rs`).

use crate::errors::StopReason;
use parking_lot::Mutex;
use riad_core::{
    Error, ErrorKind, Limits, Result,
    ports::{LogLevel, TenantLog},
};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Budget {
    host_calls: AtomicU32,
    generations: Allowance,
    http_requests: Allowance,
    log: Mutex<LogBudget>,
}

struct LogBudget {
    bytes_left: u64,
    /// Set by the first dropped line: shorter lines are dropped after it too.
    exhausted: bool,
}

/// A number of which one is taken at a time.
struct Allowance {
    most: u32,
    left: AtomicU32,
}

impl Allowance {
    fn new(most: u32) -> Self {
        Self {
            most,
            left: AtomicU32::new(most),
        }
    }

    fn take(&self, what: &str, key: &str) -> Result<()> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .map(drop)
            .map_err(|_| {
                Error::new(
                    ErrorKind::PluginLimit,
                    format!("a request's plugins may make {} {what} ({key})", self.most),
                )
            })
    }
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            host_calls: AtomicU32::new(limits.guest_host_calls),
            generations: Allowance::new(limits.guest_generations),
            http_requests: Allowance::new(limits.guest_http_requests),
            log: Mutex::new(LogBudget {
                bytes_left: limits.guest_log_bytes,
                exhausted: false,
            }),
        }
    }

    /// Counts a host call. Fails if there were too many.
    pub(crate) fn take_host_call(&self) -> std::result::Result<(), StopReason> {
        self.host_calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .map(drop)
            .map_err(|_| StopReason::TooManyHostCalls)
    }

    /// Counts a generation of a guest's own. Unlike with host calls, the guest learns that there were too many, and may go on without.
    pub(crate) fn take_generation(&self) -> Result<()> {
        self.generations
            .take("generations of its own", "limits.guest_generations")
    }

    /// Counts a request to another host. As with generations.
    pub(crate) fn take_http_request(&self) -> Result<()> {
        self.http_requests
            .take("requests to other hosts", "limits.guest_http_requests")
    }

    /// Writes a line if bytes are left, and a note in place of the first dropped line. Never fails.
    pub(crate) fn write_log(&self, log: &dyn TenantLog, level: LogLevel, message: &str) {
        let mut budget = self.log.lock();
        if budget.exhausted {
            return;
        }
        match budget.bytes_left.checked_sub(message.len() as u64) {
            Some(left) => {
                budget.bytes_left = left;
                log.write(level, message);
            }
            None => {
                budget.exhausted = true;
                log.write(
                    LogLevel::Warn,
                    "this request has used up its log (limits.guest_log_bytes): further lines are dropped",
                );
            }
        }
    }
}
