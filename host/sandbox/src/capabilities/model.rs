//! `riad:model`: counts the tokens of a text.

use crate::{bindings::model::model::Host, errors::StopReason, limits::INLINE_COUNT_BYTES, state::GuestState};
use riad_core::Error;
use std::sync::Arc;
use tokio::task::spawn_blocking;

impl Host for GuestState {
    async fn count_tokens(&mut self, text: String) -> wasmtime::Result<u32> {
        // The clock is not paused: counting has no deadline of its own, and a guest may call it thousands of times.
        drop(self.begin_host_call()?);
        if text.len() <= INLINE_COUNT_BYTES {
            return Ok(self.capabilities.tokens.count(&text));
        }
        let tokens = Arc::clone(&self.capabilities.tokens);
        let counted = spawn_blocking(move || tokens.count(&text)).await;
        Ok(counted.map_err(|error| StopReason::HostCallFailed(Error::internal(error)))?)
    }
}
