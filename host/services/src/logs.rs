//! Reading the log of a tenant's plugins. Not here: the server's own log.

pub use crate::log_buffer::LogLine;

use crate::shared::Shared;
use riad_core::{
    Result, TenantPass,
    grants::{Access, Scope},
};
use std::sync::Arc;

pub struct LogService(pub(crate) Arc<Shared>);

impl LogService {
    /// The latest lines of the caller's plugins, oldest first.
    ///
    /// # Errors
    /// `Forbidden` without the scope.
    pub async fn list(&self, pass: &TenantPass) -> Result<Vec<LogLine>> {
        pass.require(Scope::Plugins, Access::Read)?;
        Ok(self.0.logs.read(pass.account()))
    }
}
