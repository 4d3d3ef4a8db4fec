//! `riad:embeddings`: vectors of texts.

use crate::{
    bindings::{WitError, embeddings::embeddings::Host},
    errors,
    state::GuestState,
};

impl Host for GuestState {
    async fn embed(&mut self, texts: Vec<String>) -> wasmtime::Result<Result<Vec<Vec<f32>>, WitError>> {
        let _pause = self.begin_host_call()?;
        let vectors = self.capabilities.embeddings.embed(texts).await;
        Ok(vectors.map_err(|error| errors::to_wit(&error)))
    }
}
