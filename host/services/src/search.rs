//! Hybrid search in one room: the same for HTTP and for guests. Not here: ranking (`store`).

use crate::{
    embeddings,
    metering::{Share, Tab},
    shared::Shared,
};
use riad_core::{
    Error, Result, TenantPass,
    document::{Metadata, Passage, SearchQuery},
    grants::{Access, Scope},
    ledger::{Kind, Outcome},
    ports::Room,
};
use std::sync::Arc;

pub struct SearchRequest {
    pub query: String,
    pub limit: u32,
    /// Only documents whose metadata has each of these members with an equal value.
    pub filter: Metadata,
}

pub struct SearchResults {
    /// Best first.
    pub passages: Vec<Passage>,
    /// Number of the last change that was searched.
    pub index_watermark: u64,
}

pub struct SearchService(pub(crate) Arc<Shared>);

impl SearchService {
    /// # Errors
    /// `InvalidRequest` for an empty query, or a limit of 0 or over the server's; `Forbidden`, `Busy` and `QuotaExceeded` as for a
    /// chat.
    pub async fn search(&self, pass: &TenantPass, request: SearchRequest) -> Result<SearchResults> {
        pass.require(Scope::Documents, Access::Read)?;
        check(&self.0, &request)?;
        let tab = Tab::open(&self.0.metering, pass, embeddings::purpose(&self.0, Kind::Search)).await?;
        let results = self.run(pass, request, &tab).await;
        let results = results.inspect_err(|error| tab.fail(error, Outcome::EngineFailed))?;
        tab.settle().await?;
        Ok(results)
    }

    async fn run(&self, pass: &TenantPass, request: SearchRequest, tab: &Tab) -> Result<SearchResults> {
        let room = self.0.rooms.open(pass).await?;
        // Read first: what is searched is at least as new as what is said.
        let index_watermark = room.documents.watermark().await?;
        tab.serve(|served| served.index_watermark = index_watermark);
        let passages = search_room(&self.0, tab.share(), &room, request, 1).await?;
        Ok(SearchResults {
            passages,
            index_watermark,
        })
    }
}

/// Searches an open room on somebody's tab; `requests` as for [`embeddings::embed`].
pub(crate) async fn search_room(
    shared: &Shared,
    share: Share,
    room: &Room,
    request: SearchRequest,
    requests: u64,
) -> Result<Vec<Passage>> {
    check(shared, &request)?;
    let (mut vectors, _) = embeddings::embed(shared, share, vec![request.query.clone()], requests).await?;
    let query = SearchQuery {
        text: request.query,
        embedding: vectors.pop().unwrap_or_default(),
        vector_weight: shared.embedder.fusion_weight(),
        limit: request.limit,
        filter: request.filter,
    };
    room.documents.search(&query).await
}

fn check(shared: &Shared, request: &SearchRequest) -> Result<()> {
    if request.query.trim().is_empty() {
        return Err(Error::invalid("a query must have text in it").with_param("query"));
    }
    let most = shared.limits.search_results;
    if !(1..=most).contains(&request.limit) {
        return Err(Error::invalid(format!("limit must be 1 to {most}")).with_param("limit"));
    }
    Ok(())
}
