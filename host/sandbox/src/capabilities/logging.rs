//! `riad:logging`: log lines for the plugin's author.

use crate::{
    bindings::logging::logging::{Host, Level},
    state::GuestState,
};
use riad_core::ports::LogLevel;

impl Host for GuestState {
    async fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let _pause = self.begin_host_call()?;
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.budget.write_log(self.capabilities.log.as_ref(), level, &message);
        Ok(())
    }
}
