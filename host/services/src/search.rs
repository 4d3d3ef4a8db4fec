//! Hybrid search in one room: the same for HTTP and for guests. Not here: ranking (`store`).

use crate::{
    embeddings,
    metering::{RequestMeter, UsageHandle},
    shared::Shared,
};
use riad_admission::Work;
use riad_core::{
    Error, Result, TenantPass,
    document::{Metadata, Passage, SearchQuery},
    grants::{Access, Scope},
    ledger::Kind,
    ports::Room,
    search_scope::{AttributeFilter, SearchScope},
};
use std::sync::Arc;

pub struct SearchRequest {
    pub query: String,
    pub limit: u32,
    /// Only documents whose metadata has each of these members with an equal value.
    pub filter: Metadata,
    pub scope: SearchScope,
    /// And only those whose attributes it matches.
    pub attributes: Option<AttributeFilter>,
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
        let purpose = embeddings::purpose(&self.0, Kind::Search);
        let meter = self.0.metering.admit(pass, purpose).await?;
        let results = self.run(pass, request, &meter).await;
        let results = meter.record_engine_result(results)?;
        meter.settle().await?;
        Ok(results)
    }

    async fn run(&self, pass: &TenantPass, request: SearchRequest, meter: &RequestMeter) -> Result<SearchResults> {
        let room = self.0.rooms.open(pass).await?;
        // Read before the search, so that the searched index is at least as new as the reported watermark.
        let index_watermark = room.documents.watermark().await?;
        meter.update_served_by(|served| served.index_watermark = index_watermark);
        let passages = search_room(&self.0, &mut self.0.work(pass), meter.handle(), &room, request, 1).await?;
        Ok(SearchResults {
            passages,
            index_watermark,
        })
    }
}

/// Searches an open room and reports the embedded tokens to `usage`; `requests` as for [`embeddings::embed`].
pub(crate) async fn search_room(
    shared: &Shared,
    work: &mut Work,
    usage: UsageHandle,
    room: &Room,
    request: SearchRequest,
    requests: u64,
) -> Result<Vec<Passage>> {
    check(shared, &request)?;
    let (mut vectors, _) = embeddings::embed(shared, work, usage, vec![request.query.clone()], requests).await?;
    let query = SearchQuery {
        text: request.query,
        embedding: vectors.pop().unwrap_or_default(),
        vector_weight: shared.embedder.fusion_weight(),
        limit: request.limit,
        filter: request.filter,
        scope: request.scope,
        attributes: request.attributes,
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
