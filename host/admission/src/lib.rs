//! Admission: who may use a scarce resource next, by account.
//!
//! [`Queue`] is a state machine that takes the time as an argument: capacity, a share per account, a reserve for accounts that hold nothing,
//! a bounded queue, deadlines and weights. A [`Policy`] orders the accounts: [`Fifo`], [`FewestHeld`], or [`VirtualTime`] and
//! [`ProcessorTime`], which charge accounts for what they used. [`Limiter`] waits in front of it and hands out a [`Permit`]; [`Workers`] are
//! threads behind one.
//!
//! Not here: what is limited, and what a rejected request is answered.

mod clock;
mod fewest_held;
mod fifo;
mod limiter;
mod processor_time;
mod queue;
mod virtual_time;
mod workers;

pub use clock::{MonotonicClock, TokioClock};
pub use fewest_held::FewestHeld;
pub use fifo::Fifo;
pub use limiter::{Limiter, Permit};
pub use processor_time::{ProcessorTime, Slice};
pub use queue::{
    AccountState, Admitted, Bounds, Decision, Policy, Queue, Rejection, Request, RequestId, State, Verdict,
};
pub use virtual_time::{AccountUsage, TokenRequest, VirtualTime};
pub use workers::{Kept, Work, Workers};
