//! `riad:model`: tokens of a text. Not here: the tokenizer.

use crate::{bindings::model::model::Host, errors::Breach, limits::COUNTED_AT_ONCE_BYTES, state::GuestState};
use riad_core::Error;
use std::sync::Arc;
use tokio::task::spawn_blocking;

impl Host for GuestState {
    async fn count_tokens(&mut self, text: String) -> wasmtime::Result<u32> {
        // Guest time goes on: counting has no deadline of its own, and a guest may ask for it thousands of times.
        drop(self.host_call()?);
        if text.len() <= COUNTED_AT_ONCE_BYTES {
            return Ok(self.capabilities.tokens.count(&text));
        }
        let tokens = Arc::clone(&self.capabilities.tokens);
        let counted = spawn_blocking(move || tokens.count(&text)).await;
        Ok(counted.map_err(|error| Breach::Host(Error::internal(error)))?)
    }
}
