//! `riad:kv`: small values of the room's plugins. Not here: bounds and times (`riad-store`).

use crate::{
    bindings::{WitError, kv::kv::Host},
    errors,
    state::GuestState,
};

impl Host for GuestState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, WitError>> {
        let _pause = self.begin_host_call()?;
        let value = self.capabilities.kv.get(&key).await;
        Ok(value.map_err(|error| errors::to_wit(&error)))
    }

    async fn set(&mut self, key: String, value: Vec<u8>, seconds: u32) -> wasmtime::Result<Result<(), WitError>> {
        let _pause = self.begin_host_call()?;
        let set = self.capabilities.kv.set(&key, value, seconds).await;
        Ok(set.map_err(|error| errors::to_wit(&error)))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<bool, WitError>> {
        let _pause = self.begin_host_call()?;
        let deleted = self.capabilities.kv.delete(&key).await;
        Ok(deleted.map_err(|error| errors::to_wit(&error)))
    }

    async fn increment(&mut self, key: String, by: i64, seconds: u32) -> wasmtime::Result<Result<i64, WitError>> {
        let _pause = self.begin_host_call()?;
        let sum = self.capabilities.kv.increment(&key, by, seconds).await;
        Ok(sum.map_err(|error| errors::to_wit(&error)))
    }
}
