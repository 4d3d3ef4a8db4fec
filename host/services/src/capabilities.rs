//! What the guests of one request can reach: one room, through the same use cases as HTTP.
//! Not here: how a guest calls it (`sandbox`).

use crate::{
    embeddings,
    metering::Visitor,
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

/// What they embed goes on the tab of the request that they serve.
pub(crate) fn capabilities(shared: &Arc<Shared>, pass: &TenantPass, room: &Room, tab: Visitor) -> Capabilities {
    let bound = Arc::new(Bound {
        shared: Arc::clone(shared),
        room: room.clone(),
        tab,
    });
    Capabilities {
        documents: Arc::clone(&bound) as Arc<dyn DocumentReader>,
        sql: Arc::clone(&room.sql),
        embeddings: bound,
        settings: Arc::clone(&room.settings),
        tokens: Arc::new(Tokens(Arc::clone(&shared.engine))),
        log: shared.logs.open(pass),
    }
}

struct Bound {
    shared: Arc<Shared>,
    room: Room,
    tab: Visitor,
}

#[async_trait]
impl DocumentReader for Bound {
    async fn search(&self, query: &str, limit: u32, filter: Metadata) -> Result<Vec<Passage>> {
        let request = SearchRequest {
            query: query.to_owned(),
            // The contract lets a guest ask for up to 100; a server that allows fewer gives fewer.
            limit: limit.min(self.shared.limits.search_results),
            filter,
        };
        search::search_room(&self.shared, self.tab.share()?, &self.room, request, 0).await
    }

    async fn get(&self, id: &DocumentId) -> Result<DocumentWithText> {
        self.room.documents.get(id).await
    }
}

#[async_trait]
impl TextEmbedder for Bound {
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let most = self.shared.limits.embedding_inputs;
        if texts.len() > most as usize {
            return Err(Error::invalid(format!("at most {most} texts can be embedded at once")));
        }
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (vectors, _) = embeddings::embed(&self.shared, self.tab.share()?, texts, 0).await?;
        Ok(vectors)
    }
}

struct Tokens(Arc<dyn ChatEngine>);

impl TokenCounter for Tokens {
    fn count(&self, text: &str) -> u32 {
        self.0.count_text(text)
    }
}
