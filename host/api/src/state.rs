//! What every handler can reach. Not here: anything that belongs to one request.

use crate::{tasks::Tasks, uploads::Uploads};
use riad_core::{Secret, pass::KeyHash};
use riad_services::Services;

#[derive(Clone)]
pub(crate) struct AppState {
    pub services: Services,
    pub metrics: MetricsAccess,
    /// Of adapters and plugins.
    pub uploads: Uploads,
    /// Of documents, which are smaller.
    pub documents: Uploads,
    pub tasks: Tasks,
}

/// Who may read `/metrics`, besides the operator.
#[derive(Clone, Default)]
pub enum MetricsAccess {
    #[default]
    Operator,
    /// Whoever has this key, which opens nothing else: made with [`MetricsAccess::key`].
    Key(KeyHash),
    /// Everybody who reaches the address.
    Open,
}

impl MetricsAccess {
    #[must_use]
    pub fn key(key: &Secret<String>) -> Self {
        Self::Key(riad_core::pass::hash_key(key))
    }
}
