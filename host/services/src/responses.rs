//! Responses that are kept in the room, and conversations that go on from them. Not here: answering (`chat`), and the JSON of what is kept
//! (`api`).

use crate::{audit, shared::Shared};
use riad_core::{
    Error, ErrorKind, ResponseId, Result, TenantPass, Timestamp,
    grants::{Access, Scope},
    ports::{Exchange, KeptResponse, NewResponse, Retention},
};
use std::{sync::Arc, time::Duration};

/// Of what a room may store, its responses have up to one part in so many.
const SHARE_OF_ROOM: u64 = 4;
const PREVIOUS: &str = "previous_response_id";
/// OpenAI's code. Clients send the whole conversation instead.
pub const PREVIOUS_NOT_FOUND: &str = "previous_response_not_found";

pub struct ResponseService(pub(crate) Arc<Shared>);

impl ResponseService {
    /// Whether there is room for one more. To be called before the work for it.
    ///
    /// # Errors
    /// `Forbidden` if the pass may not chat; `StorageFull` if the room has more than it may have.
    pub async fn check_storage(&self, pass: &TenantPass) -> Result<()> {
        pass.require(Scope::Chat, Access::Write)?;
        let room = self.0.rooms.open(pass).await?;
        room.storage.check(0).map_err(|error| {
            let text = format!(
                "this response would be kept: {}; or send \"store\": false",
                error.message()
            );
            Error::new(error.kind(), text).with_param("store")
        })
    }

    /// Bytes of the conversation that ends with a response: known before any of it is read.
    ///
    /// # Errors
    /// `Forbidden` if the pass may not chat; `InvalidRequest` if the response is not kept, or its conversation is too long to go on.
    pub async fn conversation_bytes(&self, pass: &TenantPass, id: &ResponseId) -> Result<u64> {
        pass.require(Scope::Chat, Access::Write)?;
        let room = self.0.rooms.open(pass).await?;
        let found = room.responses.conversation_size(id, self.not_before()).await;
        let size = found.map_err(cannot_go_on)?;
        let limits = &self.0.limits;
        // A new exchange has one message at least.
        if size.messages >= limits.messages || size.bytes > limits.request_bytes {
            let text = format!(
                "the conversation that ends with \"{id}\" has {} messages and {} bytes, and may have {} and {}; begin a new one",
                size.messages, size.bytes, limits.messages, limits.request_bytes
            );
            return Err(Error::invalid(text).with_param(PREVIOUS));
        }
        Ok(size.bytes)
    }

    /// The exchanges of that conversation, the first one first.
    ///
    /// # Errors
    /// `Forbidden` if the pass may not chat; `InvalidRequest` if the response, or one before it, is not kept.
    pub async fn conversation(&self, pass: &TenantPass, id: &ResponseId) -> Result<Vec<Exchange>> {
        pass.require(Scope::Chat, Access::Write)?;
        let room = self.0.rooms.open(pass).await?;
        let exchanges = room
            .responses
            .conversation(id, self.not_before(), self.0.limits.messages);
        exchanges.await.map_err(cannot_go_on)
    }

    /// Bytes that are read for a response, at most.
    ///
    /// # Errors
    /// `Forbidden` if the pass may not chat; `NotFound` if the room keeps none with the id.
    pub async fn bytes(&self, pass: &TenantPass, id: &ResponseId) -> Result<u64> {
        pass.require(Scope::Chat, Access::Read)?;
        let room = self.0.rooms.open(pass).await?;
        let size = room.responses.conversation_size(id, self.not_before()).await?;
        Ok(size.bytes)
    }

    /// # Errors
    /// `TooLarge` for a response that would have more than all of a room's responses may have; when the room cannot be written.
    pub async fn keep(&self, pass: &TenantPass, response: NewResponse) -> Result<()> {
        pass.require(Scope::Chat, Access::Write)?;
        let room = self.0.rooms.open(pass).await?;
        let limits = &self.0.limits;
        let retention = Retention {
            not_before: self.not_before(),
            responses: limits.responses,
            bytes: limits.response_bytes.min(room.storage.most / SHARE_OF_ROOM),
            exchanges: limits.messages,
        };
        let KeptResponse { head, exchange } = &response.response;
        if (head.len() + exchange.input.len() + exchange.output.len()) as u64 > retention.bytes {
            let text = format!("a response may have up to {} bytes here to be kept", retention.bytes);
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        room.responses.put(response, retention).await
    }

    /// # Errors
    /// `NotFound` if the room keeps none with the id.
    pub async fn get(&self, pass: &TenantPass, id: &ResponseId) -> Result<KeptResponse> {
        pass.require(Scope::Chat, Access::Read)?;
        let room = self.0.rooms.open(pass).await?;
        room.responses.get(id, self.not_before()).await
    }

    /// # Errors
    /// `NotFound` if the room keeps none with the id; `Busy` after too many changes.
    pub async fn delete(&self, pass: &TenantPass, id: &ResponseId) -> Result<()> {
        pass.require(Scope::Chat, Access::Write)?;
        self.0.control.count_change(pass.account())?;
        let room = self.0.rooms.open(pass).await?;
        let not_before = self.not_before();
        let (shared, pass, id) = (Arc::clone(&self.0), pass.clone(), id.clone());
        audit::run_to_completion(async move {
            room.responses.delete(&id, not_before).await?;
            audit::record(&shared, &pass, "response.delete", id.as_str()).await
        })
        .await
    }

    fn not_before(&self) -> Timestamp {
        let days = u64::from(self.0.limits.response_days);
        Timestamp::now().minus(Duration::from_secs(days * 86_400))
    }
}

/// OpenAI's status for a conversation that is not there, which is a member of the body and not of the path.
fn cannot_go_on(error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    Error::invalid(format!("the conversation cannot go on: {}", error.message()))
        .with_param(PREVIOUS)
        .with_code(PREVIOUS_NOT_FOUND)
}
