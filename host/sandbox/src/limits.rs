//! Limits that are no setting (those are in `riad_core::Limits`), and the memory limiter of one guest.

use std::{num::NonZeroUsize, time::Duration};
use wasmtime::ResourceLimiter;

/// How often busy guests yield to others and have their time checked.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);
/// Fuel after which a guest yields. Only then does the host learn how much it used: a guest that the host stops is billed up
/// to its last slice.
pub(crate) const FUEL_SLICE: u64 = 1_000_000;
/// Components whose compiled code stays mapped (`resources::LOADED_COMPONENTS`). A load from the disk cache takes milliseconds.
pub(crate) const LOADED_COMPONENTS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Core instances in one component. A Python component, linked from shared libraries, has about thirty.
pub(crate) const CORE_INSTANCES: u32 = 64;
/// Linear memories in one component. Compilers make one; what is put around their module may add its own: a component in JavaScript has three.
/// They share one limit of bytes.
pub(crate) const MEMORIES: u32 = 4;
/// Tables in one component: one a core module that calls through pointers.
pub(crate) const TABLES: u32 = 32;
/// Elements of a table. A language runtime has some ten thousand functions that are called through pointers.
pub(crate) const TABLE_ELEMENTS: usize = 40_000;
/// Handles and host resources that one guest may hold.
pub(crate) const HANDLES: usize = 1024;
/// Stack for the host's side of a call, on top of the guest's own.
pub(crate) const HOST_STACK_BYTES: usize = 2 << 20;
/// Memory that a free slot of the pool keeps, after it was reset, so that the next guest starts without page faults: about what an empty
/// plugin in JavaScript writes. With all slots in use once, `limits.guest_instances` times this for each memory that the guests had.
pub(crate) const KEPT_MEMORY_BYTES: usize = 1 << 20;
/// The same for a table, of 8 bytes an element.
pub(crate) const KEPT_TABLE_BYTES: usize = 64 << 10;
/// Bytes that one call into or out of a guest may copy beyond `guest_output_bytes`: the records around the text.
pub(crate) const RECORD_BYTES: usize = 64 << 10;
/// Steps of every clock, in milliseconds. With finer ones a guest could measure what others do on the same core.
pub(crate) const CLOCK_STEP_MS: u64 = 100;
/// Random bytes that a guest may ask for at once.
pub(crate) const RANDOM_BYTES: u64 = 64 << 10;

/// Random bytes that one call of `riad:random` gives.
pub(crate) const RANDOM_CALL_BYTES: u32 = 4096;

/// Counts the linear memory of one guest, over all its memories, and remembers a denial: most guests react to a denied
/// `memory.grow` with an `unreachable` trap, which does not mention memory.
pub(crate) struct MemoryLimiter {
    bytes: usize,
    bytes_left: usize,
    denied: bool,
}

impl MemoryLimiter {
    pub(crate) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            bytes,
            bytes_left: bytes,
            denied: false,
        }
    }

    /// Bytes of memory that the guest has.
    pub(crate) fn used(&self) -> u64 {
        (self.bytes - self.bytes_left) as u64
    }

    /// Whether memory was denied since the last call of this function.
    pub(crate) fn take_denied(&mut self) -> bool {
        std::mem::take(&mut self.denied)
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let left = desired
            .checked_sub(current)
            .and_then(|bytes| self.bytes_left.checked_sub(bytes));
        match left {
            Some(left) => self.bytes_left = left,
            None => self.denied = true,
        }
        Ok(left.is_some())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= TABLE_ELEMENTS;
        self.denied |= !granted;
        Ok(granted)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_of_a_guest_share_one_limit() {
        let mut limiter = MemoryLimiter::new(3 << 16);
        assert!(limiter.memory_growing(0, 2 << 16, None).unwrap());
        assert!(limiter.memory_growing(0, 1 << 16, None).unwrap());
        assert!(!limiter.take_denied());
        assert!(!limiter.memory_growing(1 << 16, 2 << 16, None).unwrap());
        assert!(limiter.take_denied());
        assert!(!limiter.take_denied());
    }
}
