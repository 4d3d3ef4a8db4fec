//! The number under which a tenant is billed and its room is opened. Not here: the tenant's id, which people read.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Given once, when a tenant is made, and never again: a tenant that is deleted and made anew under the same id has another
/// account, so that nothing that was made for the first one reaches the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(u64);

impl Account {
    /// For the control database, which counts them.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
