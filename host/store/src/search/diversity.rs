//! Maximal marginal relevance (Carbonell and Goldstein 1998): a passage that is like one above it goes down.

use crate::{changes, embedding_space::CurrentKeys, error::StoreResult, fusion::Fused};
use riad_core::ranking::Ranking;
use rusqlite::{Connection, OptionalExtension};

/// The first `count` of those that are given best first, in their new order, and then the rest. A chunk without an embedding is like no other.
pub(super) fn diversify(
    connection: &Connection,
    mut rest: Vec<Fused>,
    count: usize,
    ranking: &Ranking,
) -> StoreResult<Vec<Fused>> {
    let embeddings = embeddings(connection, &rest)?;
    let (diversity, best) = (f64::from(ranking.diversity), ranking.best_score());
    let mut candidates: Vec<Candidate> = rest
        .drain(..)
        .zip(embeddings)
        .map(|(fused, embedding)| Candidate {
            fused,
            embedding,
            likeness: 0.0,
        })
        .collect();
    let mut ordered = Vec::with_capacity(candidates.len());
    while ordered.len() < count && !candidates.is_empty() {
        let worth = |candidate: &Candidate| {
            (1.0 - diversity) * candidate.fused.score / best - diversity * f64::from(candidate.likeness)
        };
        let mut at = 0;
        let mut most = f64::NEG_INFINITY;
        // Of equals the first one, which was better before.
        for (index, candidate) in candidates.iter().enumerate() {
            if worth(candidate) > most {
                (at, most) = (index, worth(candidate));
            }
        }
        let chosen = candidates.remove(at);
        for candidate in &mut candidates {
            candidate.likeness = candidate.likeness.max(cosine(&chosen.embedding, &candidate.embedding));
        }
        ordered.push(chosen.fused);
    }
    ordered.extend(candidates.into_iter().map(|candidate| candidate.fused));
    Ok(ordered)
}

struct Candidate {
    fused: Fused,
    /// Empty if it has none.
    embedding: Vec<f32>,
    /// To the one above that it is most like, 0 to 1.
    likeness: f32,
}

fn embeddings(connection: &Connection, of: &[Fused]) -> StoreResult<Vec<Vec<f32>>> {
    let mut statement = connection.prepare_cached("SELECT embedding FROM chunks WHERE id = ?1")?;
    let current = CurrentKeys::read(connection)?;
    let read = |fused: &Fused| {
        let blob: Option<Option<Vec<u8>>> = statement.query_row([fused.key], |row| row.get(0)).optional()?;
        let mut embedding = Vec::new();
        if current.has(fused.key)
            && let Some(blob) = blob.flatten()
        {
            changes::from_blob(&blob, &mut embedding);
        }
        Ok(embedding)
    };
    of.iter().map(read).collect()
}

/// Of vectors of length 1.
fn cosine(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
