//! What a stage `tools` needs: a tool's description, and reading the arguments that the model wrote.
//! Not here: the stage itself (`Tools`, at the crate's root).

use crate::{StageError, Tool};
use serde::de::DeserializeOwned;

impl Tool {
    /// `parameters` is the JSON Schema of the arguments, an object: `Tool::new("find_order", "Finds an order by its number",
    /// &serde_json::json!({"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}))`.
    #[must_use]
    pub fn new(name: &str, description: &str, parameters: &serde_json::Value) -> Self {
        Self {
            name: name.to_string(),
            description: description.to_string(),
            parameters: parameters.to_string(),
        }
    }
}

/// The arguments of a call as a Rust type.
///
/// # Errors
/// `InvalidRequest` when they have another shape. The model reads it, and may try again.
pub fn arguments<T: DeserializeOwned>(json: &str) -> Result<T, StageError> {
    serde_json::from_str(json)
        .map_err(|error| StageError::InvalidRequest(format!("the arguments cannot be used: {error}")))
}

/// The answer to a name that no tool has.
///
/// # Errors
/// Always: `InvalidRequest`, which the model reads.
pub fn unknown(name: &str) -> Result<String, StageError> {
    Err(StageError::InvalidRequest(format!("there is no tool `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_another_shape_are_told_to_the_model() {
        assert_eq!(arguments::<Vec<u32>>("[1]"), Ok(vec![1]));
        assert!(matches!(
            arguments::<Vec<u32>>("{}"),
            Err(StageError::InvalidRequest(_))
        ));
        assert!(matches!(unknown("x"), Err(StageError::InvalidRequest(text)) if text.contains("`x`")));
    }
}
