//! `riad:clock`: the time, in coarse steps.

use crate::{bindings::clock::clock::Host, state::GuestState};
use riad_core::Timestamp;

/// Milliseconds. With finer steps a guest could measure what others do on the same core.
const STEP_MS: u64 = 100;

impl Host for GuestState {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let _pause = self.begin_host_call()?;
        let now = Timestamp::now().as_millis();
        Ok(now - now % STEP_MS)
    }
}
