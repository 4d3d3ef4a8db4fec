//! The embedding model that the documents were indexed with.

use crate::{Error, bindings::capabilities::riad::embeddings::embeddings};

/// One unit vector per text, in order; zeros for a text without a known token. Tokens are billed to the tenant.
///
/// # Errors
/// What the host answers.
pub fn embed(texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
    embeddings::embed(texts)
}
