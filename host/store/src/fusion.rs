//! Weighted reciprocal rank fusion (Cormack, Clarke and Büttcher 2009) of a word list and a vector list.
//! Not here: how the lists are made (`search`).

use riad_core::document::FUSION_K;
use std::collections::HashMap;

/// Best first. Ranks count from 1; the word list has weight 1. Equal scores are ordered by key, so that a search repeats.
pub(crate) fn fuse(words: &[i64], vectors: &[i64], vector_weight: f64) -> Vec<(i64, f64)> {
    let mut scores: HashMap<i64, f64> = HashMap::with_capacity(words.len() + vectors.len());
    for (list, weight) in [(words, 1.0), (vectors, vector_weight)] {
        let mut rank = 0.0;
        for key in list {
            rank += 1.0;
            *scores.entry(*key).or_default() += weight / (FUSION_K + rank);
        }
    }
    let mut fused: Vec<(i64, f64)> = scores.into_iter().collect();
    fused.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_computed_by_hand() {
        let fused = fuse(&[10, 20, 30], &[30, 40], 0.3);
        let expected = [
            (30, 1.0 / 63.0 + 0.3 / 61.0),
            (10, 1.0 / 61.0),
            (20, 1.0 / 62.0),
            (40, 0.3 / 62.0),
        ];
        assert_eq!(fused.len(), expected.len());
        for ((key, score), (expected_key, expected_score)) in fused.iter().zip(expected) {
            assert_eq!(*key, expected_key);
            assert!(
                (score - expected_score).abs() < 1e-15,
                "{key}: {score} {expected_score}"
            );
        }
    }

    #[test]
    fn equal_scores_are_ordered_by_key() {
        let keys: Vec<i64> = fuse(&[2, 1], &[1, 2], 1.0).iter().map(|hit| hit.0).collect();
        assert_eq!(keys, [1, 2]);
    }
}
