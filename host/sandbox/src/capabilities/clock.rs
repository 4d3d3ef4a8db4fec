//! `riad:clock`: the time, in coarse steps.

use crate::{bindings::clock::clock::Host, limits::CLOCK_STEP_MS, state::GuestState};
use riad_core::Timestamp;

impl Host for GuestState {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let _pause = self.begin_host_call()?;
        let now = Timestamp::now().as_millis();
        Ok(now - now % CLOCK_STEP_MS)
    }
}
