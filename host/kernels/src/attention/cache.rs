//! Writing to the cache.

use super::Shape;
use crate::{Element, ShapeError};

/// Writes the keys of rows (`[rows, kv_heads, head_dim]`) to their slots, which are `block * block_size + position`; a negative slot is
/// skipped. They are rounded to the cache's format.
///
/// # Errors
/// When sizes do not fit, or a slot is beyond the cache.
pub fn write_keys<T: Element, C: Element>(
    key: &[T],
    cache: &mut [C],
    slots: &[i64],
    shape: &Shape,
) -> Result<(), ShapeError> {
    write(key, cache, slots, shape, |head, cache, at| {
        for (from, to) in head.iter().zip(cache.chunks_exact_mut(shape.block_size)) {
            if let Some(to) = to.get_mut(at) {
                *to = C::narrow(from.widen());
            }
        }
    })
}

/// Writes the values of rows, as [`write_keys`].
///
/// # Errors
/// As [`write_keys`].
pub fn write_values<T: Element, C: Element>(
    value: &[T],
    cache: &mut [C],
    slots: &[i64],
    shape: &Shape,
) -> Result<(), ShapeError> {
    write(value, cache, slots, shape, |head, cache, at| {
        if let Some(to) = cache.chunks_exact_mut(shape.head_dim).nth(at) {
            for (from, to) in head.iter().zip(to) {
                *to = C::narrow(from.widen());
            }
        }
    })
}

fn write<T: Element, C: Element>(
    rows: &[T],
    cache: &mut [C],
    slots: &[i64],
    shape: &Shape,
    put: impl Fn(&[T], &mut [C], usize),
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
