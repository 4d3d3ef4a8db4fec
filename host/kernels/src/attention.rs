//! Causal attention of rows over a paged cache. A row is one token: it sees the first tokens of the sequence whose blocks its table
//! lists, itself the last. Prompts, parts of prompts and single tokens are the same here.
//!
//! The caches have the layouts that the kernel wants: keys `[blocks, kv_heads, head_dim, block_size]`, in which a block is a
//! transposed matrix, so that scores need no sums across a vector; values `[blocks, kv_heads, block_size, head_dim]`.

mod cache;
mod kernel;
#[cfg(test)]
mod tests;

pub use cache::{write_keys, write_values};

use crate::{Element, ShapeError, shared::SharedMut};
use rayon::prelude::*;
use std::ops::Range;

/// Tokens of a block at the most.
pub const MAX_BLOCK_SIZE: usize = 32;
/// Heads, and numbers of a head, at the most: sizes then fit their type.
const MAX_WIDTH: usize = 1 << 16;
/// Rows of one sequence that a task takes together, so that they share what is read of the cache.
const ROWS_OF_TASK: usize = 16;

#[derive(Debug, Clone)]
pub struct Shape {
    pub heads: usize,
    /// Each is shared by `heads / kv_heads` heads.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Tokens of a block.
    pub block_size: usize,
    /// By which scores are multiplied.
    pub scale: f32,
    /// Scores become `softcap * tanh(score / softcap)`.
    pub softcap: Option<f32>,
    /// A row sees only its last tokens, at least one.
    pub window: Option<usize>,
}

impl Shape {
    fn check(&self) -> Result<(), ShapeError> {
        let whole = self.kv_heads > 0 && self.heads > 0 && self.heads.is_multiple_of(self.kv_heads);
        let whole = whole && self.heads <= MAX_WIDTH;
        let dim = self.head_dim > 0 && self.head_dim <= MAX_WIDTH && self.head_dim.is_multiple_of(16);
        let block = self.block_size > 0 && self.block_size <= MAX_BLOCK_SIZE && self.block_size.is_multiple_of(8);
        ShapeError::unless(whole && dim && block, || {
            format!(
                "{} heads over {}, of {} numbers, in blocks of {} are not implemented: heads must divide, numbers must be whole 16s, blocks 8 to {MAX_BLOCK_SIZE}",
                self.heads, self.kv_heads, self.head_dim, self.block_size
            )
        })?;
        // Nothing seen has no mean: the output would be NaN.
        ShapeError::unless(self.window != Some(0), || "a window of no tokens".to_owned())
    }

    /// Numbers of one head in a block.
    fn head_block(&self) -> usize {
        self.head_dim * self.block_size
    }

    /// Numbers of all heads in a block.
    fn block(&self) -> usize {
        self.kv_heads * self.head_block()
    }
}

/// `q` and `out` are `[rows, heads, head_dim]`; `tables` is `[rows, stride]`, the blocks of each row's sequence; `contexts` is how many
/// tokens each row sees, before a window cuts. The caches may have a narrower format than the rows.
///
/// # Errors
/// When sizes do not fit, a row sees nothing, or a table names a block that the cache does not have.
pub fn attend<T: Element, C: Element>(
    q: &[T],
    keys: &[C],
    values: &[C],
    tables: &[u32],
    stride: usize,
    contexts: &[u32],
    shape: &Shape,
    out: &mut [T],
) -> Result<(), ShapeError> {
    shape.check()?;
    let rows = contexts.len();
    // No slice is as long as a product that saturates.
    let width = rows.saturating_mul(shape.heads * shape.head_dim);
    let cells = rows.saturating_mul(stride);
    let fits = q.len() == width && out.len() == width && tables.len() == cells && keys.len() == values.len();
    ShapeError::unless(fits, || {
        format!(
            "queries of {}, an output of {}, tables of {} and caches of {} and {} do not fit {rows} rows",
            q.len(),
            out.len(),
            tables.len(),
            keys.len(),
            values.len()
        )
    })?;
    let blocks = keys.len() / shape.block();
    for (row, (context, table)) in contexts.iter().zip(tables.chunks(stride.max(1))).enumerate() {
        let used = table.get(..(*context as usize).div_ceil(shape.block_size));
        let known = used.is_some_and(|used| !used.is_empty() && used.iter().all(|block| (*block as usize) < blocks));
        ShapeError::unless(known, || {
            format!("the table of row {row} does not fit a context of {context} in {blocks} blocks")
        })?;
    }
    let runs = runs(tables, stride, contexts, shape.block_size);
    let shared = SharedMut::new(out);
    let task = |task: usize| {
        let (Some(run), head) = (runs.get(task / shape.kv_heads), task % shape.kv_heads) else {
            return;
        };
        let last = run.end - 1;
        let (Some(table), Some(contexts)) = (tables.get(last * stride..run.end * stride), contexts.get(run.clone()))
        else {
            return;
        };
        kernel::run(q, keys, values, table, contexts, run.start, head, shape, shared);
    };
    let tasks = runs.len() * shape.kv_heads;
    if tasks == 1 {
        task(0);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
    Ok(())
}

/// Neighboring rows that see one token more each of the same blocks.
fn runs(tables: &[u32], stride: usize, contexts: &[u32], block_size: usize) -> Vec<Range<usize>> {
    let table = |row: usize, used: usize| tables.get(row * stride..row * stride + used);
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut before = 0;
    for (row, context) in contexts.iter().enumerate() {
        let used = (before as usize).div_ceil(block_size);
        match runs.last_mut() {
            Some(run)
                if run.len() < ROWS_OF_TASK && *context == before + 1 && table(row - 1, used) == table(row, used) =>
            {
                run.end = row + 1;
            }
            _ => runs.push(row..row + 1),
        }
        before = *context;
    }
    runs
}
