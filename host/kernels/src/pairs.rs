//! Rows of numbers as pairs of bf16, which some processors multiply twice as many of at once.
#![expect(unsafe_code, reason = "the loop is called through `dispatch!`")]

use crate::simd::{Bf16Pair, Simd, dispatch};

/// The rows of `columns` numbers, rounded to bf16 (ties to even). A row with an odd number of columns ends with a zero.
pub(crate) fn to_pairs(rows: &[f32], columns: usize) -> Vec<Bf16Pair> {
    let mut pairs = vec![Bf16Pair::default(); rows.len() / columns.max(1) * columns.div_ceil(2)];
    // SAFETY: the processor was asked for its instructions.
    unsafe { round(rows, columns, &mut pairs) };
    pairs
}

dispatch! {
    /// # Safety
    /// None: the vectors are the compiler's.
    unsafe fn round<>(rows: &[f32], columns: usize, pairs: &mut [Bf16Pair]) = round_with
}

#[inline(always)]
#[expect(
    clippy::extra_unused_type_parameters,
    reason = "the compiler makes vectors of the level's own of the loop"
)]
unsafe fn round_with<S: Simd>(rows: &[f32], columns: usize, pairs: &mut [Bf16Pair]) {
    let bits = |value: f32| {
        let bits = value.to_bits();
        // A NaN that were rounded could become another number.
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        if value.is_nan() { 0x7fc0 } else { rounded }
    };
    let rows = rows
        .chunks_exact(columns.max(1))
        .zip(pairs.chunks_exact_mut(columns.div_ceil(2).max(1)));
    for (row, pairs) in rows {
        let (whole, odd) = row.as_chunks::<2>();
        for (pair, [first, second]) in pairs.iter_mut().zip(whole) {
            *pair = Bf16Pair(bits(*first) | bits(*second) << 16);
        }
        if let (Some(pair), [last]) = (pairs.last_mut(), odd) {
            *pair = Bf16Pair(bits(*last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd;
    use half::bf16;

    #[test]
    fn numbers_are_rounded_as_bf16_are() {
        let _level = simd::exclusive();
        let mut numbers: Vec<f32> = (0..4096_u32)
            .map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b9)))
            .collect();
        numbers.extend([
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            0.0,
            -0.0,
            f32::MIN_POSITIVE,
        ]);
        for level in simd::available() {
            simd::choose(Some(level));
            for pair in numbers.windows(2) {
                let [rounded] = to_pairs(pair, 2).try_into().unwrap();
                for (number, rounded) in pair.iter().zip(rounded.widen()) {
                    let want = bf16::from_f32(*number).to_f32();
                    assert!(
                        rounded == want || rounded.is_nan() && want.is_nan(),
                        "{number}: {rounded}"
                    );
                }
            }
        }
        simd::choose(None);
    }

    #[test]
    fn an_odd_row_ends_with_a_zero() {
        let pairs: Vec<_> = to_pairs(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3)
            .into_iter()
            .map(Bf16Pair::widen)
            .collect();
        assert_eq!(pairs, [[1.0, 2.0], [3.0, 0.0], [4.0, 5.0], [6.0, 0.0]]);
    }
}
