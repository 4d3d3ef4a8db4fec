//! `riad:settings`: one member of the room's settings. Not here: where they are kept.

use crate::{bindings::settings::settings::Host, errors::Breach, state::GuestState};

impl Host for GuestState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let _away = self.host_call()?;
        if self.settings.is_none() {
            // The WIT function has no error: settings that cannot be read end the request.
            self.settings = Some(self.capabilities.settings.get().await.map_err(Breach::Host)?);
        }
        let member = self.settings.as_ref().and_then(|settings| settings.get(&key));
        Ok(member.map(ToString::to_string))
    }
}
