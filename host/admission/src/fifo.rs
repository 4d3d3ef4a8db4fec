//! First come, first served.

use crate::queue::{AccountState, Policy, Request};
use std::marker::PhantomData;

/// Admits requests in the order of their arrival, whatever accounts they are of. A full queue rejects the newcomer.
#[derive(Debug)]
pub struct Fifo<D = ()>(PhantomData<D>);

impl<D> Default for Fifo<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D> Policy for Fifo<D> {
    type Detail = D;
    type Rank = ();
    type Order = ();
    type Account = ();
    type Run = ();

    fn rank(&self, _: &D) {}

    fn order(&self, _: &AccountState<Self>, _: &Request<D>) {}

    fn evicts(&self) -> bool {
        false
    }
}
