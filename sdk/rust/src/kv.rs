//! Small values of the tenant's plugins, each with a time to live. They outlive requests and restarts. All plugins of the tenant share
//! them: begin a key with the plugin's name.

use crate::{Error, bindings::capabilities::riad::kv::kv};

/// The value, or none: it was never set, or its time is over.
///
/// # Errors
/// `InvalidArgument` for a key without bytes or of more than 256; `LimitExceeded` when the request has had its time for kv.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    kv::get(key)
}

/// A value that was set as text.
///
/// # Errors
/// As `get`, and `InvalidArgument` when the value is not UTF-8.
pub fn get_text(key: &str) -> Result<Option<String>, Error> {
    get(key)?.map(|value| text(key, value)).transpose()
}

/// Sets a value of up to 64 KiB, as text or bytes, for so many seconds: 1 to 31,536,000, a year.
///
/// # Errors
/// `InvalidArgument` for a key, a value or a time over its bound; `LimitExceeded` when the tenant stores too much.
pub fn set(key: &str, value: impl AsRef<[u8]>, seconds: u32) -> Result<(), Error> {
    kv::set(key, value.as_ref(), seconds)
}

/// Removes a value; whether there was one.
///
/// # Errors
/// As `get`.
pub fn delete(key: &str) -> Result<bool, Error> {
    kv::delete(key)
}

/// Adds to a number and returns the sum; one that is not there is 0. The time is set only when the number is made, so that this counts
/// over a window: `kv::increment("my-plugin/calls", 1, 60)?`. Requests that add at the same time are all counted.
///
/// # Errors
/// As `set`, and `InvalidArgument` when the value is no number of 8 bytes, or the sum has more than 64 bits.
pub fn increment(key: &str, by: i64, seconds: u32) -> Result<i64, Error> {
    kv::increment(key, by, seconds)
}

fn text(key: &str, value: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(value).map_err(|_| Error::InvalidArgument(format!("the value of `{key}` is not text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_text_is_named() {
        assert_eq!(text("a", b"drill".to_vec()), Ok("drill".to_string()));
        assert!(text("a", vec![0xff]).unwrap_err().message().contains("`a`"));
    }
}
