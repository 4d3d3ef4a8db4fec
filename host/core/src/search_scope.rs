//! What a search searches, and filters over attributes. Not here: what it finds (`document`).

use crate::{Error, Result, VectorStoreId};

/// Bounds of a filter over attributes: comparisons in it, and values in the lists of it. Each is a lookup.
pub const COMPARISONS_MAX: usize = 32;
pub const VALUES_MAX: usize = 128;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    Text(String),
    Number(f64),
    Bool(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Which documents a search may find, by their attributes. A value of another type than an attribute's is neither equal to it nor less nor
/// greater, and a document without the attribute has no value that is equal.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeFilter {
    Compare {
        key: String,
        comparison: Comparison,
        value: AttributeValue,
    },
    /// Whether the attribute is one of these values, or none of them.
    OneOf {
        key: String,
        values: Vec<AttributeValue>,
        is_negated: bool,
    },
    All(Vec<AttributeFilter>),
    Any(Vec<AttributeFilter>),
}

/// Vector stores that one search searches, at most.
const STORES_MAX: usize = 8;

/// # Errors
/// `InvalidRequest` for no store, more than 8, or one twice.
pub fn check_stores(stores: &[VectorStoreId]) -> Result<()> {
    if stores.is_empty() || stores.len() > STORES_MAX {
        let text = format!("a search must name 1 to {STORES_MAX} vector stores");
        return Err(Error::invalid(text).with_param("vector_store_ids"));
    }
    Ok(())
}

/// What a search searches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SearchScope {
    /// The tenant's documents that are in no vector store.
    #[default]
    Documents,
    /// At least one.
    VectorStores(Vec<VectorStoreId>),
}
