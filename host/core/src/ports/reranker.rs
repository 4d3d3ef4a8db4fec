//! The model that reads a query and a passage together.

use crate::Result;

pub trait Reranker: Send + Sync {
    /// Bytes of text that one call may have, the query counted with each passage. A longer pair is a call of its own.
    fn call_bytes(&self) -> usize;

    /// The most tokens that are read of a query and a passage of so many bytes.
    fn most_tokens(&self, query: usize, passage: usize) -> u64;

    /// How well each passage answers the query, from 0 to 1, in the order of the passages, and the number of tokens read. What is longer
    /// than the model reads is cut.
    /// Keeps a processor busy until it returns, and uses no other one.
    fn score(&self, query: &str, passages: &[String]) -> Result<(Vec<f32>, u32)>;

    /// Tokens read since the process began.
    fn counted(&self) -> u64;
}
