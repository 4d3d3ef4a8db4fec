//! A usearch index in memory: cosine, f16. The only file that knows usearch.
//! Not here: what belongs into it and where it is kept (`index`).
//!
//! It is loaded, never viewed: a filtered search on a viewed index corrupts memory. Callers hold a lock around it, and room
//! for what is added is reserved first, because usearch neither grows nor makes thread contexts by itself.
//!
//! A removed vector keeps its slot, with its numbers, until another one takes it; usearch gives the slot out again that has been free for longest.

use crate::error::{Failure, StoreResult};
use std::collections::HashSet;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind, ffi::Matches};

/// Changes with anything that makes an older file unreadable or wrong.
pub(crate) const FORMAT: &str = "usearch-2.26.6 cos f16";

/// One caller at a time; usearch wants a context for it and we leave one spare.
const THREADS: usize = 2;

/// The keys of vectors that only overwrite free slots. No chunk has one: SQLite counts up from 1.
const FILLERS: u64 = 1 << 63;

pub(crate) struct Vectors {
    index: Index,
    /// Slots of removed vectors.
    free: usize,
    /// Of the free slots that have been free for longest, how many must be overwritten so that no removed vector is left.
    to_overwrite: usize,
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
        Ok(Self {
            index,
            free: 0,
            to_overwrite: 0,
        })
    }

    /// The bytes must be ours: usearch trusts them. Of those that had so many free slots, all overwritten.
    pub(crate) fn from_bytes(dimensions: usize, bytes: &[u8], free: usize) -> StoreResult<Self> {
        let mut vectors = Self::new(dimensions)?;
        vectors.free = free;
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

    pub(crate) fn free(&self) -> usize {
        self.free
    }

    pub(crate) fn to_overwrite(&self) -> usize {
        self.to_overwrite
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
        // It is in the slot that has been free for longest.
        self.free = self.free.saturating_sub(1);
        self.to_overwrite = self.to_overwrite.saturating_sub(1);
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: i64) -> StoreResult<()> {
        let removed = self.index.remove(key.cast_unsigned()).map_err(failed)?;
        if removed > 0 {
            self.free += removed;
            // The slots that were free before come first.
            self.to_overwrite = self.free;
        }
        Ok(())
    }

    /// Puts these vectors, which others have too, into the slots that have been free for longest, and frees them again. They stay in the graph
    /// like all that is removed, so they should lie where the others do.
    pub(crate) fn overwrite_free<'v>(&mut self, vectors: impl IntoIterator<Item = &'v [f32]>) -> StoreResult<()> {
        let mut keys = Vec::new();
        for (key, vector) in (FILLERS..).zip(vectors).take(self.to_overwrite) {
            self.index.add(key, vector).map_err(failed)?;
            keys.push(key);
        }
        for key in &keys {
            self.index.remove(*key).map_err(failed)?;
        }
        self.to_overwrite = self.to_overwrite.saturating_sub(keys.len());
        Ok(())
    }

    /// Keys of the nearest vectors and their distances, nearest first.
    pub(crate) fn search(&self, query: &[f32], count: usize) -> StoreResult<Vec<(i64, f32)>> {
        if self.len() == 0 || count == 0 {
            return Ok(Vec::new());
        }
        let found = self.index.search(query, count).map_err(failed)?;
        Ok(pairs(found))
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
        let found = self
            .index
            .filtered_search(query, count, |key| candidates.contains(&key.cast_signed()))
            .map_err(failed)?;
        Ok(pairs(found))
    }
}

fn pairs(found: Matches) -> Vec<(i64, f32)> {
    let keys = found.keys.into_iter().map(u64::cast_signed);
    keys.zip(found.distances).collect()
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Index(error.to_string())
}
