//! `riad:settings`: one member of the room's settings.

use crate::{bindings::settings::settings::Host, errors::StopReason, state::GuestState};

impl Host for GuestState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let _pause = self.begin_host_call()?;
        if self.settings.is_none() {
            // The WIT function cannot return an error, so a failure ends the request.
            self.settings = Some(
                self.capabilities
                    .settings
                    .get()
                    .await
                    .map_err(StopReason::HostCallFailed)?,
            );
        }
        let member = self.settings.as_ref().and_then(|settings| settings.get(&key));
        Ok(member.map(ToString::to_string))
    }
}
