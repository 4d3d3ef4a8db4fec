//! Max-min fairness over what is held.

use crate::queue::{AccountState, Policy, Request};

/// Admits the account that holds the fewest units, whatever it used before. For resources that are held rather than used up.
#[derive(Debug, Clone, Copy, Default)]
pub struct FewestHeld;

impl Policy for FewestHeld {
    type Detail = ();
    type Rank = ();
    /// Units held.
    type Order = u32;
    type Account = ();
    type Run = ();

    fn rank(&self, (): &()) {}

    fn order(&self, account: &AccountState<Self>, _: &Request<()>) -> u32 {
        account.held
    }
}
