//! Hybrid search in one room: the same for HTTP and for guests. Not here: ranking (`store`).

use crate::{
    embeddings,
    metering::{RequestMeter, UsageHandle},
    reembedding, reranking,
    shared::Shared,
};
use riad_admission::Work;
use riad_core::{
    Error, Result, TenantPass,
    document::{Metadata, Passage, SearchQuery},
    grants::{Access, Scope},
    ledger::Kind,
    ports::{Room, TextRole},
    ranking::{Ranker, RankingOptions},
    search_scope::{AttributeFilter, SearchScope},
};
use std::sync::Arc;

/// A passage has at most so many chunks before and after the one that was found.
pub const NEIGHBORS_MAX: u32 = 4;

pub struct SearchRequest {
    pub query: String,
    pub limit: u32,
    /// Only documents whose metadata has each of these members with an equal value.
    pub filter: Metadata,
    pub scope: SearchScope,
    /// And only those whose attributes it matches.
    pub attributes: Option<AttributeFilter>,
    pub ranking: RankingOptions,
    /// Passages with a lower score are left out: from 0 to 1, which has what is the first by words and by vectors.
    pub least_score: f64,
    /// Chunks before and after each one that is found, which its passage has too; at most [`NEIGHBORS_MAX`].
    pub neighbors: u32,
    pub highlights: bool,
}

impl SearchRequest {
    /// In all of the scope, with nothing besides the passages.
    #[must_use]
    pub fn new(query: String, limit: u32, scope: SearchScope) -> Self {
        Self {
            query,
            limit,
            filter: Metadata::new(),
            scope,
            attributes: None,
            ranking: RankingOptions::default(),
            least_score: 0.0,
            neighbors: 0,
            highlights: false,
        }
    }
}

pub struct SearchResults {
    /// Best first.
    pub passages: Vec<Passage>,
    /// Number of the last change that was searched.
    pub index_watermark: u64,
    /// At most so many chunks were found by words only, until they are embedded by the server's new model.
    pub unembedded_chunks: u64,
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
        reembedding::start(&self.0, pass, &room);
        let unembedded_chunks = room.documents.unembedded();
        let passages = search_room(&self.0, &mut self.0.work(pass), meter.handle(), &room, request, 1).await?;
        Ok(SearchResults {
            passages,
            index_watermark,
            unembedded_chunks,
        })
    }
}

/// Searches an open room and reports the tokens of the embedder and the reranker to `usage`; `requests` as for [`embeddings::embed`].
pub(crate) async fn search_room(
    shared: &Shared,
    work: &mut Work,
    usage: UsageHandle,
    room: &Room,
    request: SearchRequest,
    requests: u64,
) -> Result<Vec<Passage>> {
    check(shared, &request)?;
    let texts = vec![request.query.clone()];
    let (mut vectors, _) = embeddings::embed(shared, work, usage.clone(), texts, TextRole::Query, requests).await?;
    let reranker = match request.ranking.ranker {
        Ranker::Server => shared.reranker.as_ref(),
        Ranker::None => None,
    };
    let ranking = request.ranking.resolve(shared.embedder.fusion_weight());
    let limit = match reranker {
        // Which passages are diverse follows from how many there are: a reranker orders them, and chooses no others.
        Some(_) if ranking.diversity == 0.0 => request.limit.max(reranking::CANDIDATES),
        Some(_) | None => request.limit,
    };
    let query = SearchQuery {
        text: request.query,
        embedding: vectors.pop().unwrap_or_default(),
        ranking,
        limit,
        neighbors: request.neighbors,
        highlights: request.highlights,
        filter: request.filter,
        scope: request.scope,
        attributes: request.attributes,
    };
    let mut passages = room.documents.search(&query).await?;
    if let Some(reranker) = reranker
        && !passages.is_empty()
    {
        passages = reranking::rerank(shared, reranker, work, usage, &query, passages).await?;
        passages.truncate(request.limit as usize);
    }
    // A sum of two weights' shares is not to the last digit what the weights' sum gives.
    let least = request.least_score * query.ranking.best_score() * (1.0 - f64::from(f32::EPSILON));
    passages.retain(|passage| passage.score >= least);
    Ok(passages)
}

fn check(shared: &Shared, request: &SearchRequest) -> Result<()> {
    if request.query.trim().is_empty() {
        return Err(Error::invalid("a query must have text in it").with_param("query"));
    }
    let most = shared.limits.search_results;
    if !(1..=most).contains(&request.limit) {
        return Err(Error::invalid(format!("limit must be 1 to {most}")).with_param("limit"));
    }
    if request.neighbors > NEIGHBORS_MAX {
        let text = format!("neighbors must be 0 to {NEIGHBORS_MAX}");
        return Err(Error::invalid(text).with_param("neighbors"));
    }
    check_ranking(&request.ranking, request.least_score)
}

/// # Errors
/// `InvalidRequest` with the name of the member of a request's `ranking_options` that is out of bounds.
pub(crate) fn check_ranking(ranking: &RankingOptions, least_score: f64) -> Result<()> {
    let least = match (0.0..=1.0).contains(&least_score) {
        true => Ok(()),
        false => Err(Error::invalid("score_threshold must be 0 to 1").with_param("score_threshold")),
    };
    least.and_then(|()| ranking.check()).map_err(|error| {
        let param = format!("ranking_options.{}", error.param().unwrap_or_default());
        Error::invalid(error.message()).with_param(param)
    })
}
