//! What a search searches, and filters over attributes. Not here: what it finds (`document`).

use crate::{Error, Result, VectorStoreId};
use serde_json::Number;

/// Bounds of a filter over attributes: comparisons in it, and values in the lists of it. Each is a lookup.
pub const COMPARISONS_MAX: usize = 32;
pub const VALUES_MAX: usize = 128;

/// The greatest number up to which each whole number has a value of its own among those that are compared.
const NUMBER_MAX: u64 = 1 << 53;
/// The numbers that can be compared, in words.
pub const NUMBERS: &str = "from -9007199254740992 to 9007199254740992";

/// The number as it is compared; `None` for one that would be taken for another.
#[must_use]
pub fn exact(number: &Number) -> Option<f64> {
    let is_exact = match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => whole.unsigned_abs() <= NUMBER_MAX,
        (None, Some(_)) => false,
        // As JSON is read, a whole number that is longer still is one of these.
        (None, None) => number
            .as_f64()
            .is_some_and(|number| number.abs() <= 9_007_199_254_740_992.0),
    };
    number.as_f64().filter(|_| is_exact)
}

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
/// `InvalidRequest` for no store, or more than 8.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_exact_or_none() {
        let read = |text: &str| exact(&serde_json::from_str(text).unwrap());
        for (text, number) in [
            ("0", 0.0),
            ("-1.5", -1.5),
            ("9007199254740992", 9_007_199_254_740_992.0),
            ("-9007199254740992", -9_007_199_254_740_992.0),
        ] {
            assert_eq!(read(text), Some(number), "{text}");
        }
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(NUMBERS.contains(&NUMBER_MAX.to_string()));
    }
}
