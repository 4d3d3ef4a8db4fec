//! The best passages of a search, read by a model that sees query and passage together, and put into the order that it finds. Not here: the
//! search before it (`search`), the model (`embeddings`).

use crate::{
    embeddings::{Reading, next_slice},
    metering::UsageHandle,
    shared::Shared,
};
use riad_admission::Work;
use riad_core::{
    Error, Result,
    document::{self, Passage, Place, SearchQuery},
    ports::Reranker,
    price::Usage,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Passages that are read at most.
pub(crate) const CANDIDATES: u32 = 50;

/// Holds the tokens, reads, and reports to `usage`. When the time is over, the passages that were not read keep their order behind the
/// others; when the caller disconnects, the slice that runs is finished and billed, and no other begins.
pub(crate) async fn rerank(
    shared: &Shared,
    reranker: &Arc<dyn Reranker>,
    work: &mut Work,
    usage: UsageHandle,
    query: &SearchQuery,
    passages: Vec<Passage>,
) -> Result<Vec<Passage>> {
    let candidates = passages.iter().take(CANDIDATES as usize);
    let texts: Vec<_> = candidates.map(text).collect();
    let tokens = texts.iter().fold(0_u64, |sum, text| {
        sum.saturating_add(reranker.most_tokens(query.text.len(), text.len()))
    });
    let most = Usage {
        embedded_tokens: tokens,
        ..Usage::default()
    };
    usage.hold(most).await?;
    let reading = Reading::new(usage, most);
    let deadline = Instant::now() + Duration::from_millis(shared.limits.rerank_ms);
    let count = move |tokens| reading.add_tokens(tokens);
    let scores = scores(reranker, work, &query.text, texts, deadline, count).await?;
    Ok(order(passages, &scores, query.ranking.best_score()))
}

/// Of the first texts: as many as are read before the deadline. `count` is called with the tokens of each slice.
async fn scores(
    reranker: &Arc<dyn Reranker>,
    work: &mut Work,
    query: &str,
    texts: Vec<String>,
    deadline: Instant,
    count: impl Fn(u32) + Send + Sync + 'static,
) -> Result<Vec<f32>> {
    let (query, count): (Arc<str>, _) = (query.into(), Arc::new(count));
    let mut scores = Vec::with_capacity(texts.len());
    let mut texts = texts.into_iter().peekable();
    while texts.peek().is_some() {
        // The query is read with each of them.
        let slice = next_slice(&mut texts, reranker.call_bytes(), query.len());
        let (reranker, query, count) = (Arc::clone(reranker), Arc::clone(&query), Arc::clone(&count));
        let read = work.run(move || {
            let (scores, tokens) = reranker.score(&query, &slice)?;
            count(tokens);
            match scores.len() == slice.len() {
                true => Ok(scores),
                false => Err(Error::internal(
                    "the reranker gave another number of scores than of passages",
                )),
            }
        });
        match timeout_at(deadline, read).await {
            Ok(read) => scores.extend(read?),
            Err(_) => break,
        }
    }
    Ok(scores)
}

fn text(passage: &Passage) -> String {
    document::embedded_text(&passage.title, &passage.position.heading, &passage.text)
}

/// The passages that were read, the best first, then the others. A score of 1 becomes `best`, so that scores mean what they mean without a
/// reranker.
fn order(mut passages: Vec<Passage>, scores: &[f32], best: f64) -> Vec<Passage> {
    let Some(lowest) = scores.iter().copied().reduce(f32::min) else {
        return passages;
    };
    let others = passages.split_off(scores.len().min(passages.len()));
    let mut read: Vec<_> = passages.into_iter().zip(scores).collect();
    // Stable: of two that answer equally well, the one that the search had first stays first.
    read.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    let read = (1_u32..).zip(read).map(|(rank, (mut passage, score))| {
        let score = f64::from(*score);
        passage.score = score * best;
        if let Some(hit) = &mut passage.hit {
            hit.by_reranker = Some(Place { rank, score });
        }
        passage
    });
    let highest = others
        .iter()
        .map(|passage| passage.score)
        .fold(f64::MIN_POSITIVE, f64::max);
    let others = others.into_iter().map(|mut passage| {
        passage.score = f64::from(lowest) * best * (passage.score / highest);
        passage
    });
    read.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers;
    use riad_core::{
        Account, Limits,
        document::{Hit, Metadata, Position},
    };
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    /// Two texts in a call; a score is the text's length in hundredths.
    struct Slow(Duration);

    impl Reranker for Slow {
        fn call_bytes(&self) -> usize {
            10
        }

        fn most_tokens(&self, query: usize, passage: usize) -> u64 {
            (query + passage) as u64
        }

        fn score(&self, query: &str, passages: &[String]) -> Result<(Vec<f32>, u32)> {
            thread::sleep(self.0);
            let tokens = passages
                .iter()
                .map(|passage| query.len() + passage.len())
                .sum::<usize>();
            let scores = passages.iter().map(|passage| passage.len() as f32 / 100.0);
            Ok((scores.collect(), tokens as u32))
        }

        fn counted(&self) -> u64 {
            0
        }
    }

    /// The scores of ten texts, and the tokens that were counted when all slices have ended.
    async fn scores_of(slow: Duration, patience: Duration) -> (Vec<f32>, u32) {
        let workers = workers::start(&Limits::default()).unwrap();
        let mut work = workers.work_of(Account::new(1), 1);
        let reranker: Arc<dyn Reranker> = Arc::new(Slow(slow));
        let counted = Arc::new(AtomicU32::default());
        let count = {
            let counted = Arc::clone(&counted);
            move |tokens| {
                counted.fetch_add(tokens, Ordering::Relaxed);
            }
        };
        let texts = vec!["abc".to_owned(); 10];
        let found = scores(&reranker, &mut work, "qu", texts, Instant::now() + patience, count)
            .await
            .unwrap();
        // Nobody else has it when the last slice has ended.
        while Arc::strong_count(&counted) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (found, counted.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_is_not_read_in_time_has_no_score() {
        let (found, tokens) = scores_of(Duration::ZERO, Duration::from_secs(60)).await;
        assert_eq!((found, tokens), (vec![0.03; 10], 50));
        let (found, tokens) = scores_of(Duration::from_secs(1), Duration::from_millis(1_500)).await;
        assert!(found.len() < 10, "{} texts were read", found.len());
        assert!(tokens as usize >= found.len() * 5, "what was read is counted: {tokens}");
    }

    fn passages(scores: &[f64]) -> Vec<Passage> {
        let passage = |(chunk, score): (u32, &f64)| Passage {
            document: "doc_1".parse().unwrap(),
            chunk,
            title: String::new(),
            text: String::new(),
            score: *score,
            metadata: Metadata::new(),
            position: Position::default(),
            file: None,
            hit: Some(Box::default()),
        };
        (0..).zip(scores).map(passage).collect()
    }

    fn chunks(passages: &[Passage]) -> Vec<u32> {
        passages.iter().map(|passage| passage.chunk).collect()
    }

    #[test]
    fn what_was_read_comes_first_and_the_rest_keeps_its_order() {
        let ordered = order(passages(&[0.5, 0.4, 0.3, 0.2, 0.1]), &[0.25, 0.75, 0.25], 2.0);
        assert_eq!(chunks(&ordered), [1, 0, 2, 3, 4]);
        let scores: Vec<_> = ordered.iter().map(|passage| passage.score).collect();
        assert_eq!(scores, [1.5, 0.5, 0.5, 0.5, 0.25]);
        let places: Vec<_> = ordered
            .iter()
            .map(|passage| passage.hit.as_deref().and_then(|hit: &Hit| hit.by_reranker))
            .map(|place| place.map(|place| (place.rank, place.score)))
            .collect();
        assert_eq!(places, [Some((1, 0.75)), Some((2, 0.25)), Some((3, 0.25)), None, None]);
    }

    #[test]
    fn without_a_score_nothing_changes() {
        let before = passages(&[0.5, 0.4]);
        assert_eq!(order(before.clone(), &[], 2.0), before);
        assert_eq!(order(Vec::new(), &[], 2.0), Vec::new());
    }
}
