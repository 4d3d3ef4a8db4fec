//! The tenant's settings, as set with `PUT /v1/settings`.

use crate::{StageError, bindings::capabilities::riad::settings::settings};
use serde::de::DeserializeOwned;

/// The member's value as JSON, or none.
#[must_use]
pub fn get_json(key: &str) -> Option<String> {
    settings::get(key)
}

/// The member's value as a Rust type, or none when it is not set.
///
/// # Errors
/// `Failed`, naming the key, when the value has another shape.
pub fn get<T: DeserializeOwned>(key: &str) -> Result<Option<T>, StageError> {
    get_json(key).map(|json| parse(key, &json)).transpose()
}

/// Reads a value that `get_json` gave.
///
/// # Errors
/// `Failed`, naming the key, when the value has another shape.
pub fn parse<T: DeserializeOwned>(key: &str, json: &str) -> Result<T, StageError> {
    serde_json::from_str(json)
        .map_err(|error| StageError::Failed(format!("the setting `{key}` cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_another_shape_is_named() {
        assert_eq!(parse::<Vec<u32>>("numbers", "[1,2]"), Ok(vec![1, 2]));
        let Err(StageError::Failed(text)) = parse::<u32>("limit", "\"many\"") else {
            panic!("a text is no number");
        };
        assert!(text.contains("`limit`"), "{text}");
    }
}
