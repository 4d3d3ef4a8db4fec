//! `riad:model`: counts the tokens of a text.

use crate::{bindings::model::model::Host, errors::StopReason, state::GuestState};

impl Host for GuestState {
    async fn count_tokens(&mut self, text: String) -> wasmtime::Result<u32> {
        // The clock is not paused: counting has no deadline of its own, and a guest may call it thousands of times.
        drop(self.begin_host_call()?);
        let counted = self.capabilities.tokens.count(text).await;
        Ok(counted.map_err(StopReason::HostCallFailed)?)
    }
}
