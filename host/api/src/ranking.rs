//! `ranking_options` of all requests that search.

use riad_api_types::ranking::RankingOptions;
use riad_core::{
    Error, Result,
    ranking::{self, Ranker},
};

/// OpenAI's names of rankers. The second and the third are the server's own, whichever it has.
const NONE: &str = "none";
const RANKERS: [&str; 3] = [NONE, "auto", "default-2024-11-15"];

#[derive(Default)]
pub(crate) struct Ranked {
    pub options: ranking::RankingOptions,
    /// That a passage may have, from 0 to 1.
    pub least_score: f64,
}

/// # Errors
/// `InvalidRequest` for a ranker that is not there. Numbers are checked by whoever searches.
pub(crate) fn read(options: &RankingOptions) -> Result<Ranked> {
    if let Some(ranker) = &options.ranker
        && !RANKERS.contains(&ranker.as_str())
    {
        let text = format!("ranker must be one of {}", RANKERS.join(", "));
        return Err(Error::invalid(text).with_param("ranking_options.ranker"));
    }
    let ranker = match options.ranker.as_deref() {
        Some(NONE) => Ranker::None,
        Some(_) | None => Ranker::Server,
    };
    Ok(Ranked {
        options: ranking::RankingOptions {
            ranker,
            ..options.weights()
        },
        least_score: options.score_threshold.unwrap_or(0.0),
    })
}
