//! A usearch index in memory: cosine, f16. The only file that knows usearch.
//! Not here: what belongs into it and where it is kept (`index`).
//!
//! It is loaded, never viewed: a filtered search on a viewed index corrupts memory. Callers hold a lock around it, and room
//! for what is added is reserved first, because usearch neither grows nor makes thread contexts by itself.
//!
//! A removed vector keeps its slot, with its numbers, until another one takes it.

use crate::error::{Failure, StoreResult};
use std::{collections::HashSet, ops::RangeInclusive};
use usearch::{Index, IndexOptions, MetricKind, ScalarKind, ffi::Matches};

/// Changes with anything that makes an older file unreadable or wrong.
pub(crate) const FORMAT: &str = "usearch-2.26.6 cos f16 without removed";

/// Slots below which all vectors are compared: as fast as the graph, and nothing is missed. After removals the graph may lead nowhere.
const EXACT_MAX: usize = 2_000;

/// Vectors that a search of the graph keeps in view (`ef` of HNSW). Of the ten nearest of 10,000 texts' vectors it finds 99 % with 256, of 50,000
/// 98 % with 768, of 100,000 93 % with 256 and 98 % with 1,024, which takes three times as long.
const EXPANSION: RangeInclusive<usize> = 256..=1_024;
/// So that it grows with the index.
const VECTORS_PER_EXPANSION: usize = 64;

/// Of a vector in usearch's tables: two pointers, and a key with its slot.
const SLOT_BYTES: usize = 32;

/// One caller at a time; usearch wants a context for it and we leave one spare.
const THREADS: usize = 2;

pub(crate) struct Vectors {
    index: Index,
    /// Slots of removed vectors.
    free: usize,
}

impl Vectors {
    pub(crate) fn new(dimensions: usize) -> StoreResult<Self> {
        let index = Index::new(&IndexOptions {
            dimensions,
            metric: MetricKind::Cos,
            quantization: ScalarKind::F16,
            ..IndexOptions::default()
        })
        .map_err(failed)?;
        index.reserve_capacity_and_threads(64, THREADS).map_err(failed)?;
        Ok(Self { index, free: 0 })
    }

    /// The bytes must be ours: usearch trusts them. Ours have no removed vectors.
    pub(crate) fn from_bytes(dimensions: usize, bytes: &[u8]) -> StoreResult<Self> {
        let vectors = Self::new(dimensions)?;
        vectors.index.load_from_buffer(bytes).map_err(failed)?;
        if vectors.index.dimensions() != dimensions {
            return Err(Failure::Index("the file has other dimensions".into()));
        }
        let size = vectors.len();
        vectors
            .index
            .reserve_capacity_and_threads(size + size / 2 + 64, THREADS)
            .map_err(failed)?;
        Ok(vectors)
    }

    pub(crate) fn to_bytes(&self) -> StoreResult<Vec<u8>> {
        let mut bytes = vec![0; self.index.serialized_length()];
        self.index.save_to_buffer(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.index.size()
    }

    /// Bytes, without those of the address space that nothing was written to.
    pub(crate) fn memory(&self) -> u64 {
        // `memory_usage` visits all nodes, and counts what is only reserved.
        let stats = self.index.memory_stats();
        let graph = stats.graph_allocated.saturating_sub(stats.graph_reserved);
        let vectors = stats.vectors_allocated.saturating_sub(stats.vectors_reserved);
        (graph + vectors + self.index.capacity() * SLOT_BYTES) as u64
    }

    /// Whether it has numbers of removed vectors.
    pub(crate) fn has_removed(&self) -> bool {
        self.free > 0
    }

    pub(crate) fn reserve(&self, more: usize) -> StoreResult<()> {
        let needed = self.len() + more;
        if needed <= self.index.capacity() {
            return Ok(());
        }
        self.index
            .reserve_capacity_and_threads(needed + needed / 2, THREADS)
            .map_err(failed)
    }

    /// Adds a vector, or nothing if the key is there: a key never gets another vector.
    pub(crate) fn add(&mut self, key: i64, vector: &[f32]) -> StoreResult<()> {
        let key = key.cast_unsigned();
        if self.index.contains(key) {
            return Ok(());
        }
        self.index.add(key, vector).map_err(failed)?;
        // It has taken a free slot, if there is one.
        self.free = self.free.saturating_sub(1);
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: i64) -> StoreResult<()> {
        let removed = self.index.remove(key.cast_unsigned()).map_err(failed)?;
        self.free += removed;
        Ok(())
    }

    /// Whether the key has this vector, of length 1, in the precision of the index.
    pub(crate) fn has(&self, key: i64, vector: &[f32]) -> StoreResult<bool> {
        let mut stored = vec![0.0_f32; vector.len()];
        let found = self.index.get(key.cast_unsigned(), &mut stored).map_err(failed)?;
        let near = |(left, right): (&f32, &f32)| (left - right).abs() < 1e-3;
        Ok(found == 1 && stored.iter().zip(vector).all(near))
    }

    /// Keys of the nearest vectors and their distances, nearest first. A large index may miss some.
    pub(crate) fn search(&self, query: &[f32], count: usize) -> StoreResult<Vec<(i64, f32)>> {
        if self.len() == 0 || count == 0 {
            return Ok(Vec::new());
        }
        let count = count.min(self.len());
        self.expand();
        let found = match self.len() + self.free <= EXACT_MAX {
            true => self.index.exact_search(query, count),
            false => self.index.search(query, count),
        };
        Ok(pairs(found.map_err(failed)?))
    }

    /// As `search`, among the candidates; may find fewer than there are.
    pub(crate) fn search_among(
        &self,
        query: &[f32],
        count: usize,
        candidates: &HashSet<i64>,
    ) -> StoreResult<Vec<(i64, f32)>> {
        if self.len() == 0 || count == 0 {
            return Ok(Vec::new());
        }
        self.expand();
        let found = self
            .index
            .filtered_search(query, count, |key| candidates.contains(&key.cast_signed()))
            .map_err(failed)?;
        Ok(pairs(found))
    }

    fn expand(&self) {
        let expansion = self.len() / VECTORS_PER_EXPANSION;
        self.index
            .change_expansion_search(expansion.clamp(*EXPANSION.start(), *EXPANSION.end()));
    }
}

fn pairs(found: Matches) -> Vec<(i64, f32)> {
    let keys = found.keys.into_iter().map(u64::cast_signed);
    let mut pairs: Vec<_> = keys.zip(found.distances).collect();
    // usearch leaves open which of equals is first.
    pairs.sort_by(|left, right| left.1.total_cmp(&right.1).then(left.0.cmp(&right.0)));
    pairs
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Index(error.to_string())
}
