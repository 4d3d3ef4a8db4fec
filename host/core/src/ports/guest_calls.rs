//! What the calls of guests used, one by one: for the author of a plugin, and for the server's metrics.

use crate::{Digest, ErrorKind, plugin::Stage};
use std::time::Duration;

/// A call of a stage that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestCall {
    pub stage: Stage,
    pub component: Digest,
    pub end: GuestCallEnd,
    pub fuel: u64,
    /// Without host calls.
    pub time: Duration,
    /// Bytes of linear memory that the guest had then; it gives none back.
    pub memory: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestCallEnd {
    Returned,
    /// `PluginFailed`, `PluginLimit`, and for an error that the stage returned to the client, `InvalidRequest`.
    Failed(ErrorKind),
    /// The request ended first.
    Dropped,
}

pub trait CallObserver: Send + Sync {
    /// Called once for every call, on the guest's thread. Does not block.
    fn called(&self, call: &GuestCall);
}
