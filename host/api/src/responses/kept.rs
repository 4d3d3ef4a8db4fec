//! What the room keeps of responses, written and read. Not here: how much and for how long (`services`).

use super::input::{GivenItem, files, messages};
use crate::{body::INLINE_JSON_BYTES, state::AppState};
use riad_api_types::responses::{ResponseItem, ResponseObject};
use riad_core::{
    Error, ErrorKind, ResponseId, Result, TenantPass,
    ports::{Exchange, KeptResponse, NewResponse},
};
use riad_services::{
    Services,
    chat::{AttachedFile, ChatMessage},
};
use std::{collections::HashMap, mem};

const PREVIOUS: &str = "previous_response_id";

/// Keeps a response when it has been made.
pub(super) struct Keeper {
    services: Services,
    pass: TenantPass,
    input: Vec<ResponseItem>,
    previous: Option<ResponseId>,
}

impl Keeper {
    pub fn new(services: &Services, pass: &TenantPass, input: Vec<ResponseItem>, previous: Option<ResponseId>) -> Self {
        Self {
            services: services.clone(),
            pass: pass.clone(),
            input,
            previous,
        }
    }

    /// The response as it is to be sent: one that could not be kept says so in `store`, because its answer was paid for.
    pub async fn keep(self, mut response: ResponseObject) -> ResponseObject {
        let output = mem::take(&mut response.output);
        let kept = self.put(&response, &output).await;
        response.output = output;
        if let Err(error) = kept {
            match error.kind() == ErrorKind::TooLarge {
                true => tracing::debug!(%error, "a response was not kept"),
                false => tracing::error!(?error, "a response was not kept"),
            }
            response.store = false;
        }
        response
    }

    async fn put(&self, head: &ResponseObject, output: &[ResponseItem]) -> Result<()> {
        let count = messages(&self.input).len() + messages(output).len();
        let response = NewResponse {
            id: head.id.parse()?,
            previous: self.previous.clone(),
            messages: u32::try_from(count).unwrap_or(u32::MAX).max(1),
            response: KeptResponse {
                head: json(head)?.into(),
                exchange: Exchange {
                    input: json(&self.input)?.into(),
                    output: json(output)?.into(),
                },
            },
        };
        self.services.responses().keep(&self.pass, response).await
    }
}

/// Puts the items of kept responses in the place of references to them. Clients that know a conversation by the ids of its items send
/// these instead.
///
/// # Errors
/// `NotFound` names the reference to what is not kept; `InvalidRequest` if there is more to read than a request may have.
pub(super) async fn resolve(state: &AppState, pass: &TenantPass, given: Vec<GivenItem>) -> Result<Vec<ResponseItem>> {
    let service = state.services.responses();
    let limits = state.services.limits();
    let mut sizes = HashMap::new();
    let mut total = 0;
    for reference in given.iter().filter_map(GivenItem::reference) {
        if sizes.contains_key(&reference.response) {
            continue;
        }
        let bytes = service.bytes(pass, &reference.response).await;
        let bytes = bytes.map_err(|error| match error.kind() == ErrorKind::NotFound {
            true => reference.missing(),
            false => error,
        })?;
        sizes.insert(reference.response.clone(), bytes);
        total += bytes;
        // A response has one message at least.
        if total > limits.request_bytes || sizes.len() > limits.messages as usize {
            let text = format!(
                "refers, with those before it, to responses with more than {} messages or {} bytes; begin a new conversation",
                limits.messages, limits.request_bytes
            );
            return Err(reference.wrong(&text));
        }
    }
    // As those of a body, which they would be a part of without us.
    let _counted = match total {
        0 => None,
        bytes => Some(state.memory.bodies.acquire(pass.account(), bytes).await?),
    };
    let mut kept = HashMap::new();
    for (response, bytes) in sizes {
        let KeptResponse { exchange, .. } = service.get(pass, &response).await?;
        let read = move || {
            let mut items: Vec<ResponseItem> = serde_json::from_slice(&exchange.input).map_err(Error::internal)?;
            let output: Vec<ResponseItem> = serde_json::from_slice(&exchange.output).map_err(Error::internal)?;
            items.extend(output);
            Ok(items)
        };
        let items = parse(&state.services, pass, bytes, read).await?;
        kept.extend(items.into_iter().map(|item| (item.id().to_owned(), item)));
    }
    let item = |given| match given {
        GivenItem::Item(item) => Ok(item),
        // Once, as in OpenAI's conversations: a short list of references must not become a long text.
        GivenItem::Reference(reference) => kept.remove(&reference.id).ok_or_else(|| reference.missing()),
    };
    given.into_iter().map(item).collect()
}

/// The messages of the conversation that ends with a response, and their files.
///
/// # Errors
/// `InvalidRequest` if it is not kept as a whole, or too long.
pub(super) async fn conversation(
    state: &AppState,
    pass: &TenantPass,
    id: &ResponseId,
) -> Result<(Vec<ChatMessage>, Vec<AttachedFile>)> {
    let service = state.services.responses();
    let bytes = service.conversation_bytes(pass, id).await?;
    // As those of a body, which it would be a part of without us.
    let _counted = state.memory.bodies.acquire(pass.account(), bytes).await?;
    let exchanges = service.conversation(pass, id).await?;
    let read = move || {
        let (mut conversation, mut attached) = (Vec::new(), Vec::new());
        for exchange in exchanges {
            for part in [&exchange.input, &exchange.output] {
                let items: Vec<ResponseItem> = serde_json::from_slice(part).map_err(Error::internal)?;
                conversation.extend(messages(&items).into_iter().map(|(_, message)| message));
                attached.extend(files(&items)?.into_iter().map(|file| AttachedFile {
                    param: PREVIOUS.to_owned(),
                    ..file
                }));
            }
        }
        Ok((conversation, attached))
    };
    parse(&state.services, pass, bytes, read).await
}

/// # Errors
/// `NotFound` if the room keeps none with the id.
pub(super) async fn response(services: &Services, pass: &TenantPass, id: &ResponseId) -> Result<ResponseObject> {
    let KeptResponse { head, exchange } = services.responses().get(pass, id).await?;
    let bytes = (head.len() + exchange.output.len()) as u64;
    let read = move || {
        let mut response: ResponseObject = serde_json::from_slice(&head).map_err(Error::internal)?;
        response.output = serde_json::from_slice(&exchange.output).map_err(Error::internal)?;
        Ok(response)
    };
    parse(services, pass, bytes, read).await
}

/// # Errors
/// `NotFound` if the room keeps none with the id.
pub(super) async fn input(services: &Services, pass: &TenantPass, id: &ResponseId) -> Result<Vec<ResponseItem>> {
    let KeptResponse { exchange, .. } = services.responses().get(pass, id).await?;
    let bytes = exchange.input.len() as u64;
    let read = move || serde_json::from_slice(&exchange.input).map_err(Error::internal);
    parse(services, pass, bytes, read).await
}

/// On this thread, or by a worker if it takes longer.
async fn parse<T: Send + 'static>(
    services: &Services,
    pass: &TenantPass,
    bytes: u64,
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match bytes > INLINE_JSON_BYTES as u64 {
        true => services.work(pass).run(read).await,
        false => read(),
    }
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::internal)
}
