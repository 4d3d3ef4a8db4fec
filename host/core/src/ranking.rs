//! How a search orders what it finds. Not here: the two lists (`store`).

use crate::{Error, Result};

/// Damps the head of the lists that are fused: the constant of Cormack, Clarke and Büttcher (2009).
pub const FUSION_K: f64 = 60.0;

/// A list may weigh so many times as much as another.
const WEIGHT_MAX: f32 = 1_000.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Weight of the word list in the weighted reciprocal rank fusion; 0 searches by vectors only.
    pub text_weight: f32,
    /// Weight of the vector list; 0 searches by words only.
    pub embedding_weight: f32,
    /// 0 to 1: how much a passage loses that is like one above it (maximal marginal relevance, Carbonell and Goldstein 1998, with
    /// λ = 1 − diversity).
    pub diversity: f32,
}

/// Which model orders the best passages once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ranker {
    /// The server's reranker, if it has one.
    #[default]
    Server,
    None,
}

/// What a request says of it; what it does not say is as the server has it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RankingOptions {
    pub text_weight: Option<f32>,
    pub embedding_weight: Option<f32>,
    pub diversity: Option<f32>,
    pub ranker: Ranker,
}

impl RankingOptions {
    /// `embedding_weight` is the embedder's.
    #[must_use]
    pub fn resolve(&self, embedding_weight: f32) -> Ranking {
        Ranking {
            text_weight: self.text_weight.unwrap_or(1.0),
            embedding_weight: self.embedding_weight.unwrap_or(embedding_weight),
            diversity: self.diversity.unwrap_or(0.0),
        }
    }

    /// # Errors
    /// As [`Ranking::check`].
    pub fn check(&self) -> Result<()> {
        self.resolve(1.0).check()
    }
}

impl Ranking {
    #[must_use]
    pub fn new(text_weight: f32, embedding_weight: f32) -> Self {
        Self {
            text_weight,
            embedding_weight,
            diversity: 0.0,
        }
    }

    /// # Errors
    /// `InvalidRequest` with the name of what is out of bounds.
    pub fn check(&self) -> Result<()> {
        for (name, weight) in [
            ("text_weight", self.text_weight),
            ("embedding_weight", self.embedding_weight),
        ] {
            if !(0.0..=WEIGHT_MAX).contains(&weight) {
                return Err(Error::invalid(format!("{name} must be 0 to {WEIGHT_MAX}")).with_param(name));
            }
        }
        if self.text_weight + self.embedding_weight == 0.0 {
            let text = "one of text_weight and embedding_weight must be more than 0";
            return Err(Error::invalid(text).with_param("text_weight"));
        }
        if !(0.0..=1.0).contains(&self.diversity) {
            return Err(Error::invalid("diversity must be 0 to 1").with_param("diversity"));
        }
        Ok(())
    }

    /// The score of a passage that is the first one by words and by vectors.
    #[must_use]
    pub fn best_score(&self) -> f64 {
        f64::from(self.text_weight + self.embedding_weight) / (FUSION_K + 1.0)
    }
}
