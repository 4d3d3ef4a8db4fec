//! Weighted reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) of a word list and a vector list.
//! Not here: how the lists are made (`search`).

use riad_core::{
    document::Place,
    ranking::{FUSION_K, Ranking},
};
use std::collections::HashMap;

/// A chunk and its score in one list, best first.
pub(crate) type Listed = (i64, f64);

#[derive(Debug, Clone)]
pub(crate) struct Fused {
    pub key: i64,
    pub score: f64,
    pub by_words: Option<Place>,
    pub by_vectors: Option<Place>,
}

/// Best first. Ranks count from 1. Equal scores are ordered by key, so that a search repeats.
pub(crate) fn fuse(words: &[Listed], vectors: &[Listed], ranking: &Ranking) -> Vec<Fused> {
    let mut found: HashMap<i64, Fused> = HashMap::with_capacity(words.len() + vectors.len());
    let mut add = |list: &[Listed], weight: f32, set: fn(&mut Fused, Place)| {
        for (rank, (key, score)) in (1_u32..).zip(list) {
            let fused = found.entry(*key).or_insert(Fused {
                key: *key,
                score: 0.0,
                by_words: None,
                by_vectors: None,
            });
            fused.score += f64::from(weight) / (FUSION_K + f64::from(rank));
            set(fused, Place { rank, score: *score });
        }
    };
    add(words, ranking.text_weight, |fused, place| fused.by_words = Some(place));
    add(vectors, ranking.embedding_weight, |fused, place| {
        fused.by_vectors = Some(place);
    });
    let mut fused: Vec<Fused> = found.into_values().collect();
    fused.sort_by(|left, right| right.score.total_cmp(&left.score).then(left.key.cmp(&right.key)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: &[i64]) -> Vec<Listed> {
        keys.iter().map(|key| (*key, 0.5)).collect()
    }

    #[test]
    fn scores_are_those_computed_by_hand() {
        let fused = fuse(&list(&[10, 20, 30]), &list(&[30, 40]), &Ranking::new(1.0, 0.5));
        let expected = [
            (30, 1.0 / 63.0 + 0.5 / 61.0, Some(3), Some(1)),
            (10, 1.0 / 61.0, Some(1), None),
            (20, 1.0 / 62.0, Some(2), None),
            (40, 0.5 / 62.0, None, Some(2)),
        ];
        assert_eq!(fused.len(), expected.len());
        for (found, (key, score, by_words, by_vectors)) in fused.iter().zip(expected) {
            assert_eq!(found.key, key);
            assert!((found.score - score).abs() < 1e-15, "{key}: {} {score}", found.score);
            assert_eq!(found.by_words.map(|place| place.rank), by_words);
            assert_eq!(found.by_vectors.map(|place| place.rank), by_vectors);
        }
        let best = fuse(&list(&[1]), &list(&[1]), &Ranking::new(1.0, 0.5));
        assert!((best[0].score - Ranking::new(1.0, 0.5).best_score()).abs() < 1e-15);
    }

    #[test]
    fn equal_scores_are_ordered_by_key() {
        let fused = fuse(&list(&[2, 1]), &list(&[1, 2]), &Ranking::new(1.0, 1.0));
        let keys: Vec<i64> = fused.iter().map(|found| found.key).collect();
        assert_eq!(keys, [1, 2]);
    }
}
