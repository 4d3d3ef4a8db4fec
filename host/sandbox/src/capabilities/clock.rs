//! `riad:clock`: the time, in coarse steps.

use crate::{bindings::clock::clock::Host, state::GuestState};

impl Host for GuestState {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let _pause = self.begin_host_call()?;
        Ok(self.time.now_ms())
    }
}
