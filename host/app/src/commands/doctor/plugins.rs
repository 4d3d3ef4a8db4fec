//! Whether plugins can be uploaded: the kernel must confine the process that compiles them.

use super::check::Check;
use crate::{config::Config, serve};
use riad_core::Result;

const NAME: &str = "plugin compiler";

pub(super) async fn compiler(config: &Config) -> Check {
    let asked = async { serve::compiler(config)?.not_confined(&config.limits).await };
    report(asked.await, config.plugins.allow_unconfined_compiler)
}

/// `not_confined`: why the kernel does not confine the compiler, if so.
pub(super) fn report(not_confined: Result<Option<String>>, allowed: bool) -> Check {
    match not_confined {
        Ok(None) => Check::ok(NAME, "the kernel confines its system calls"),
        Ok(Some(reason)) if allowed => Check::warn(
            NAME,
            format!(
                "the kernel does not confine it ({reason}), and plugins.allow_unconfined_compiler is true: uploads are compiled \
                 with the rights of the server; use a kernel with seccomp"
            ),
        ),
        Ok(Some(reason)) if cfg!(target_os = "linux") => Check::warn(
            NAME,
            format!(
                "the kernel does not confine it ({reason}), so uploads of plugins are refused, and deployed ones that must be \
                 compiled again; use a kernel with seccomp, or accept the risk with plugins.allow_unconfined_compiler = true"
            ),
        ),
        Ok(Some(reason)) => Check::warn(
            NAME,
            format!(
                "{reason}: uploads are compiled with the rights of the server; use Linux for tenants that you do not trust"
            ),
        ),
        Err(error) => Check::fail(
            NAME,
            format!("it cannot be started: {error:?}; check limits.compile_bytes and the program's file"),
        ),
    }
}
