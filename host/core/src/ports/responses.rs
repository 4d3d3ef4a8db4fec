//! Responses that a room keeps, so that clients can read them again and conversations go on from them.

use crate::{ResponseId, Result, Timestamp};
use async_trait::async_trait;
use bytes::Bytes;

/// A response in the JSON of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptResponse {
    /// All but its input and output.
    pub head: Bytes,
    pub exchange: Exchange,
}

/// What a request said and what it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub input: Bytes,
    pub output: Bytes,
}

/// A response that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResponse {
    pub id: ResponseId,
    /// The one that it goes on from.
    pub previous: Option<ResponseId>,
    /// Messages in its exchange: at least one.
    pub messages: u32,
    pub response: KeptResponse,
}

/// A response's exchange and all exchanges before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationSize {
    pub messages: u32,
    pub bytes: u64,
}

/// What a room keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What was neither made nor continued since then has expired.
    pub not_before: Timestamp,
    pub responses: u32,
    /// Of all responses together.
    pub bytes: u64,
    /// Of one conversation.
    pub exchanges: u32,
}

/// The implementation is bound to one room. What has expired is not there, whether it was deleted already or not.
#[async_trait]
pub trait ResponseStore: Send + Sync {
    /// `NotFound` if this room keeps none with the id.
    async fn get(&self, id: &ResponseId, not_before: Timestamp) -> Result<KeptResponse>;

    /// The size of the conversation that ends with a response. Reads none of its exchanges. `NotFound` as above.
    async fn conversation_size(&self, id: &ResponseId, not_before: Timestamp) -> Result<ConversationSize>;

    /// The exchanges of the conversation that ends with a response, the first one first. `NotFound` if the response or one before it is not
    /// kept, or if there are more exchanges than `most`.
    async fn conversation(&self, id: &ResponseId, not_before: Timestamp, most: u32) -> Result<Vec<Exchange>>;

    /// Keeps a response, and what it goes on from for as long. Deletes some of what has expired or is beyond the bounds, the least recently
    /// used first. A caller that goes away does not cancel it half-way.
    async fn put(&self, response: NewResponse, retention: Retention) -> Result<()>;

    /// `NotFound` as above.
    async fn delete(&self, id: &ResponseId, not_before: Timestamp) -> Result<()>;
}
