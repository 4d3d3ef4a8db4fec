//! Randomness of the operating system, fit for secrets.

use crate::{Error, bindings::capabilities::riad::random::random};

/// So many random bytes, 1 to 4,096.
///
/// # Errors
/// `InvalidArgument` for another count.
pub fn bytes(count: u32) -> Result<Vec<u8>, Error> {
    random::bytes(count)
}

/// A random number of 64 bits.
///
/// # Errors
/// `Unavailable` when the server has no randomness.
pub fn number() -> Result<u64, Error> {
    let bytes = bytes(8)?.try_into().map_err(|_| Error::Unavailable)?;
    Ok(u64::from_le_bytes(bytes))
}
