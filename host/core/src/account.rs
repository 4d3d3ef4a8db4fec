//! The account: the billing and storage identity of one life of a tenant id.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Assigned once, when a tenant is created, and never reused: a tenant that is deleted and created again under the same id has
/// another account, so that keys, passes and data of the first never reach the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(u64);

impl Account {
    /// Only the control database calls this; it assigns the numbers.
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
