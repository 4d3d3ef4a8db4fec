//! Who may share cached blocks.

use riad_core::Account;

/// Sequences share cached blocks only within one namespace: the same account and the same generation of an adapter. Compared in
/// full, never by a hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    // First, because an account's namespaces must be neighbors in the order.
    account: Account,
    generation: Option<[u8; 32]>,
}

impl Namespace {
    /// `generation` is that of the adapter; `None` is the base model.
    #[must_use]
    pub fn new(account: Account, generation: Option<[u8; 32]>) -> Self {
        Self { account, generation }
    }

    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// The first and last namespace that an account can have.
    pub(crate) fn bounds(account: Account) -> (Self, Self) {
        (Self::new(account, None), Self::new(account, Some([u8::MAX; 32])))
    }
}
