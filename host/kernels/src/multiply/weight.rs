//! How a panel's weights are read and become sums. Not here: tiles and panels (`multiply`).
#![expect(
    unsafe_code,
    reason = "vectors are loaded through pointers that `Matrix::multiply` has checked"
)]

use super::Panel;
use crate::{
    Element,
    matrix::{PANEL, Q8_BLOCK},
    simd::{Bf16Pair, Simd},
};
use half::f16;

/// How a panel's weights become sums.
pub(super) trait Weight: Copy + Send + Sync + 'static {
    /// What a column of `x` is.
    type Input: Sync;

    /// Adds the products of the columns `from..to`.
    ///
    /// # Safety
    /// As `tile`.
    unsafe fn accumulate<S: Simd, const V: usize, const R: usize>(
        sums: &mut [[S::Vector; V]; R],
        x: *const Self::Input,
        columns: usize,
        read: Panel<Self>,
        output: usize,
        from: usize,
        to: usize,
    );
}

impl<T: Element> Weight for T {
    type Input = f32;

    #[inline(always)]
    unsafe fn accumulate<S: Simd, const V: usize, const R: usize>(
        sums: &mut [[S::Vector; V]; R],
        x: *const f32,
        columns: usize,
        read: Panel<T>,
        output: usize,
        from: usize,
        to: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut weights = read.weights.add(from * PANEL + output);
            for column in from..to {
                let mut w = [S::splat(0.0); V];
                for (vector, w) in w.iter_mut().enumerate() {
                    *w = T::load::<S>(weights.add(vector * S::LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(*x.add(row * columns + column));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = S::fma(w, x, *sum);
                    }
                }
                weights = weights.add(PANEL);
            }
        }
    }
}

impl Weight for i8 {
    type Input = f32;

    #[inline(always)]
    unsafe fn accumulate<S: Simd, const V: usize, const R: usize>(
        sums: &mut [[S::Vector; V]; R],
        x: *const f32,
        columns: usize,
        read: Panel<i8>,
        output: usize,
        from: usize,
        to: usize,
    ) {
        // SAFETY: the caller's promise; `from` and `to` are whole blocks.
        unsafe {
            for block in from / Q8_BLOCK..to / Q8_BLOCK {
                let mut scales = [S::splat(0.0); V];
                for (vector, scale) in scales.iter_mut().enumerate() {
                    *scale = f16::load::<S>(read.scales.add(block * PANEL + output + vector * S::LANES));
                }
                let mut weights = read.weights.add(block * Q8_BLOCK * PANEL + output);
                for column in block * Q8_BLOCK..(block + 1) * Q8_BLOCK {
                    let mut w = [S::splat(0.0); V];
                    for ((vector, w), scale) in w.iter_mut().enumerate().zip(scales) {
                        *w = S::mul(S::load_i8(weights.add(vector * S::LANES)), scale);
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let x = S::splat(*x.add(row * columns + column));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = S::fma(w, x, *sum);
                        }
                    }
                    weights = weights.add(PANEL);
                }
            }
        }
    }
}

impl Weight for Bf16Pair {
    type Input = Self;

    #[inline(always)]
    unsafe fn accumulate<S: Simd, const V: usize, const R: usize>(
        sums: &mut [[S::Vector; V]; R],
        x: *const Self,
        columns: usize,
        read: Panel<Self>,
        output: usize,
        from: usize,
        to: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut weights = read.weights.add(from * PANEL + output);
            for column in from..to {
                let mut w = [S::splat_pair(Self(0)); V];
                for (vector, w) in w.iter_mut().enumerate() {
                    *w = S::load_pairs(weights.add(vector * S::LANES));
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat_pair(*x.add(row * columns + column));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = S::dot_pairs(w, x, *sum);
                    }
                }
                weights = weights.add(PANEL);
            }
        }
    }
}
