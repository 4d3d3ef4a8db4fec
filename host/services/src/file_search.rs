//! Searches of vector stores, for HTTP and for the guests of a request. Not here: the stores (`vector_stores`), ranking (`store`).

use crate::{
    metering::UsageHandle,
    search::{self, SearchRequest},
    shared::Shared,
};
use riad_admission::Work;
use riad_core::{
    Error, Result, VectorStoreId,
    document::{Metadata, Passage},
    ports::Room,
    ranking::{Ranking, RankingOptions},
    search_scope::{self, AttributeFilter, SearchScope},
};

/// OpenAI's bound.
const RESULTS_MAX: u32 = 50;

/// Vector stores that a conversation is answered from, in place of the room's own documents.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSearch {
    pub stores: Vec<VectorStoreId>,
    /// Passages of one search.
    pub limit: u32,
    pub attributes: Option<AttributeFilter>,
    /// Only files whose attributes have each of these members with an equal value.
    pub filter: Metadata,
    pub ranking: RankingOptions,
    /// Passages with a lower score, from 0 to 1, are left out.
    pub least_score: f64,
}

impl FileSearch {
    /// Of all that these stores have.
    pub(crate) fn new(stores: Vec<VectorStoreId>) -> Self {
        Self {
            stores,
            limit: RESULTS_MAX,
            attributes: None,
            filter: Metadata::new(),
            ranking: RankingOptions::default(),
            least_score: 0.0,
        }
    }

    /// # Errors
    /// `InvalidRequest` for what is out of bounds.
    pub(crate) fn check(&self) -> Result<()> {
        search_scope::check_stores(&self.stores)?;
        if !(1..=RESULTS_MAX).contains(&self.limit) {
            let text = format!("max_num_results must be 1 to {RESULTS_MAX}");
            return Err(Error::invalid(text).with_param("max_num_results"));
        }
        search::check_ranking(&self.ranking, self.least_score)
    }

    /// Notes that the stores are used, which keeps them from expiring.
    ///
    /// # Errors
    /// `NotFound` if the room does not have one of them, `InvalidRequest` for one that has expired.
    pub(crate) async fn touch(&self, room: &Room) -> Result<()> {
        let used = room.vector_stores.touch(&self.stores).await;
        used.map_err(|error| Error::new(error.kind(), error.message()).with_param("vector_store_ids"))
    }

    pub(crate) fn ranking(&self, shared: &Shared) -> Ranking {
        self.ranking.resolve(shared.embedder.fusion_weight())
    }

    /// At most `limit` passages, and no more than the search and the server allow; `requests` as for [`embeddings::embed`].
    #[expect(clippy::too_many_arguments, reason = "all but two are those of `search_room`")]
    pub(crate) async fn run(
        &self,
        shared: &Shared,
        work: &mut Work,
        usage: UsageHandle,
        room: &Room,
        query: String,
        limit: u32,
        requests: u64,
    ) -> Result<Vec<Passage>> {
        let limit = limit.min(self.limit).min(shared.limits.search_results);
        let request = SearchRequest {
            filter: self.filter.clone(),
            attributes: self.attributes.clone(),
            ranking: self.ranking,
            least_score: self.least_score,
            ..SearchRequest::new(query, limit, SearchScope::VectorStores(self.stores.clone()))
        };
        search::search_room(shared, work, usage, room, request, requests).await
    }
}
