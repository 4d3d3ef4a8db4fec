//! The host functions of one request's guests: one room, through the same use cases as HTTP. Not here: WIT (`sandbox`).

use crate::{
    embeddings,
    metering::GuestMeter,
    search::{self, SearchRequest},
    shared::Shared,
};
use async_trait::async_trait;
use riad_core::{
    DocumentId, Error, Result, TenantPass,
    document::{DocumentWithText, Metadata, Passage},
    ports::{Capabilities, ChatEngine, DocumentReader, Room, TextEmbedder, TokenCounter},
};
use std::sync::Arc;

/// What they embed is metered to the request that they serve.
pub(crate) fn capabilities(shared: &Arc<Shared>, pass: &TenantPass, room: &Room, meter: GuestMeter) -> Capabilities {
    let room_capabilities = Arc::new(RoomCapabilities {
        shared: Arc::clone(shared),
        room: room.clone(),
        meter,
    });
    Capabilities {
        documents: Arc::clone(&room_capabilities) as Arc<dyn DocumentReader>,
        sql: Arc::clone(&room.sql),
        embeddings: room_capabilities,
        settings: Arc::clone(&room.settings),
        tokens: Arc::new(EngineTokenCounter(Arc::clone(&shared.engine))),
        log: shared.logs.open(pass),
    }
}

struct RoomCapabilities {
    shared: Arc<Shared>,
    room: Room,
    meter: GuestMeter,
}

#[async_trait]
impl DocumentReader for RoomCapabilities {
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>> {
        let request = SearchRequest {
            query: query.to_owned(),
            // WIT allows a guest up to 100; a server with a lower limit returns fewer.
            limit: limit.min(self.shared.limits.search_results),
            filter,
        };
        search::search_room(&self.shared, self.meter.handle()?, &self.room, request, 0).await
    }

    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText> {
        self.room.documents.get(id).await
    }
}

#[async_trait]
impl TextEmbedder for RoomCapabilities {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let most = self.shared.limits.embedding_inputs;
        if texts.len() > most as usize {
            return Err(Error::invalid(format!("at most {most} texts can be embedded at once")));
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (vectors, _) = embeddings::embed(&self.shared, self.meter.handle()?, texts, 0).await?;
        Ok(vectors)
    }
}

struct EngineTokenCounter(Arc<dyn ChatEngine>);

impl TokenCounter for EngineTokenCounter {
    fn count(&self, text: &str) -> u32 {
        self.0.count_text(text)
    }
}
