//! Writing to the cache and reading it whole.

use super::Shape;
use crate::{Element, ShapeError};

/// Writes the keys of rows (`[rows, kv_heads, head_dim]`) to their slots, which are `block * block_size + position`; a negative slot is
/// skipped.
///
/// # Errors
/// When sizes do not fit, or a slot is beyond the cache.
pub fn write_keys<T: Element>(key: &[T], cache: &mut [T], slots: &[i64], shape: &Shape) -> Result<(), ShapeError> {
    write(key, cache, slots, shape, |head, cache, at| {
        for (from, to) in head.iter().zip(cache.chunks_exact_mut(shape.block_size)) {
            if let Some(to) = to.get_mut(at) {
                *to = *from;
            }
        }
    })
}

/// Writes the values of rows, as [`write_keys`].
///
/// # Errors
/// As [`write_keys`].
pub fn write_values<T: Element>(value: &[T], cache: &mut [T], slots: &[i64], shape: &Shape) -> Result<(), ShapeError> {
    write(value, cache, slots, shape, |head, cache, at| {
        if let Some(to) = cache.chunks_exact_mut(shape.head_dim).nth(at) {
            to.copy_from_slice(head);
        }
    })
}

fn write<T: Element>(
    rows: &[T],
    cache: &mut [T],
    slots: &[i64],
    shape: &Shape,
    put: impl Fn(&[T], &mut [T], usize),
) -> Result<(), ShapeError> {
    shape.check()?;
    let width = shape.kv_heads * shape.head_dim;
    ShapeError::unless(rows.len() == slots.len().saturating_mul(width), || {
        format!("{} numbers are not {} rows of {width}", rows.len(), slots.len())
    })?;
    for (row, slot) in rows.chunks_exact(width).zip(slots) {
        let Ok(slot) = usize::try_from(*slot) else { continue };
        let block = cache.chunks_exact_mut(shape.block()).nth(slot / shape.block_size);
        ShapeError::unless(block.is_some(), || format!("slot {slot} is beyond the cache"))?;
        let heads = block.unwrap_or_default().chunks_exact_mut(shape.head_block());
        for (head, cache) in row.chunks_exact(shape.head_dim).zip(heads) {
            put(head, cache, slot % shape.block_size);
        }
    }
    Ok(())
}

/// The first `tokens` tokens of the sequence with this table, as `[tokens, kv_heads, head_dim]` in `k` and `v`.
///
/// # Errors
/// When sizes do not fit, or the table names a block that the cache does not have.
pub fn gather<T: Element>(
    keys: &[T],
    values: &[T],
    table: &[u32],
    tokens: usize,
    shape: &Shape,
    k: &mut [T],
    v: &mut [T],
) -> Result<(), ShapeError> {
    shape.check()?;
    let width = shape.kv_heads * shape.head_dim;
    let fits = k.len() == tokens.saturating_mul(width) && v.len() == k.len();
    let fits = fits && tokens.div_ceil(shape.block_size) <= table.len();
    ShapeError::unless(fits, || {
        format!(
            "{} and {} numbers and {} blocks do not fit {tokens} tokens",
            k.len(),
            v.len(),
            table.len()
        )
    })?;
    let rows = k.chunks_exact_mut(width).zip(v.chunks_exact_mut(width));
    for (token, (k, v)) in rows.enumerate() {
        let block = table
            .get(token / shape.block_size)
            .map_or(usize::MAX, |block| *block as usize);
        let at = token % shape.block_size;
        let of = |cache: &'_ [T]| -> Option<Range> {
            let from = block.checked_mul(shape.block())?;
            (from + shape.block() <= cache.len()).then_some(Range { from })
        };
        ShapeError::unless(of(keys).is_some() && of(values).is_some(), || {
            format!("there is no block {block}")
        })?;
        let Some(Range { from }) = of(keys) else { continue };
        for (head, (k, v)) in k
            .chunks_exact_mut(shape.head_dim)
            .zip(v.chunks_exact_mut(shape.head_dim))
            .enumerate()
        {
            let from = from + head * shape.head_block();
            for (dim, k) in k.iter_mut().enumerate() {
                if let Some(key) = keys.get(from + dim * shape.block_size + at) {
                    *k = *key;
                }
            }
            let from = from + at * shape.head_dim;
            if let Some(value) = values.get(from..from + shape.head_dim) {
                v.copy_from_slice(value);
            }
        }
    }
    Ok(())
}

/// Where a block begins.
struct Range {
    from: usize,
}
