//! The tenant's documents: search and whole documents.

use crate::bindings::capabilities::riad::documents::documents;
use crate::{Error, Passage};

pub use documents::{Document, Summary};

/// Hybrid search in the vector stores that the request or the pipeline names, or else over all documents, best first. `limit` is 1 to 100.
///
/// # Errors
/// What the host answers.
pub fn search(query: &str, limit: u32) -> Result<Vec<Passage>, Error> {
    documents::search(query, limit, "{}")
}

/// Like `search`, over the documents whose metadata has each member of `filter`, a JSON object, with an equal value.
///
/// # Errors
/// `InvalidArgument` when the filter is not a JSON object; what the host answers.
pub fn search_filtered(query: &str, limit: u32, filter: &str) -> Result<Vec<Passage>, Error> {
    documents::search(query, limit, filter)
}

/// Like `search_filtered`, in these vector stores, 1 to 8 ids. `filter` is of the files' attributes; `"{}"` for all.
///
/// # Errors
/// `NotFound` when the tenant does not have one of the stores, `InvalidArgument` when the filter is not a JSON object; what the host answers.
pub fn search_stores(stores: &[String], query: &str, limit: u32, filter: &str) -> Result<Vec<Passage>, Error> {
    documents::search_stores(stores, query, limit, filter)
}

/// A whole document.
///
/// # Errors
/// `NotFound` when the tenant has no document of this id.
pub fn get(id: &str) -> Result<Document, Error> {
    documents::get(id)
}

/// Documents without their texts, in the order of their ids: those after `after`, up to `limit`, which is 1 to 100. Fewer are the last ones.
///
/// # Errors
/// `InvalidArgument` when `after` is no id, or for another limit.
pub fn list(after: Option<&str>, limit: u32) -> Result<Vec<Summary>, Error> {
    documents::list_documents(after, limit)
}
