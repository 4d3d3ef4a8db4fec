//! How a search orders what it finds: the same member of all requests that search.

use riad_core::ranking;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingOptions {
    /// `auto`, if it is not given, and `default-2024-11-15`: the server's reranking model, if it has one, reads the best 50 passages and
    /// orders them, or, with `diversity`, those that are given back. `none`: without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranker: Option<String>,
    /// 0 to 1: passages that score less are left out; 1 has what is the first by words and by meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hybrid_search: Option<HybridSearch>,
    /// 0 to 1, 0 if it is not given: how much a passage loses that is like one above it (maximal marginal relevance).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f32>,
}

/// How much the two lists of a search weigh in its weighted reciprocal rank fusion.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HybridSearch {
    /// Of meaning: 0 to 1000; 0 searches by words only. The embedder's own weight if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_weight: Option<f32>,
    /// Of words: 0 to 1000; 0 searches by meaning only. 1 if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_weight: Option<f32>,
}

impl RankingOptions {
    #[must_use]
    pub fn weights(&self) -> ranking::RankingOptions {
        let hybrid = self.hybrid_search.as_ref();
        ranking::RankingOptions {
            text_weight: hybrid.and_then(|hybrid| hybrid.text_weight),
            embedding_weight: hybrid.and_then(|hybrid| hybrid.embedding_weight),
            diversity: self.diversity,
            ..ranking::RankingOptions::default()
        }
    }
}
