//! `riad:logging`: lines for the plugin's author. Not here: where they are kept.

use crate::{
    bindings::logging::logging::{Host, Level},
    state::GuestState,
};
use riad_core::ports::LogLevel;

impl Host for GuestState {
    async fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let _away = self.host_call()?;
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.budget.write(self.capabilities.log.as_ref(), level, &message);
        Ok(())
    }
}
