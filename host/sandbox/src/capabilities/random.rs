//! `riad:random`: random bytes of the operating system.

use crate::{
    bindings::{WitError, random::random::Host},
    errors,
    limits::RANDOM_CALL_BYTES,
    state::GuestState,
};
use riad_core::Error;

impl Host for GuestState {
    async fn bytes(&mut self, count: u32) -> wasmtime::Result<Result<Vec<u8>, WitError>> {
        let _pause = self.begin_host_call()?;
        if !(1..=RANDOM_CALL_BYTES).contains(&count) {
            return Ok(Err(WitError::InvalidArgument(format!(
                "`count` must be 1 to {RANDOM_CALL_BYTES}"
            ))));
        }
        let mut bytes = vec![0; count as usize];
        let filled = getrandom::fill(&mut bytes);
        Ok(filled
            .map(|()| bytes)
            .map_err(|error| errors::to_wit(&Error::internal(error.to_string()))))
    }
}
