//! `riad:model`: tokens of a text. Not here: the tokenizer.

use crate::{bindings::model::model::Host, state::GuestState};

impl Host for GuestState {
    async fn count_tokens(&mut self, text: String) -> wasmtime::Result<u32> {
        let _away = self.host_call()?;
        Ok(self.capabilities.tokens.count(&text))
    }
}
