//! Writing to the cache.

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
