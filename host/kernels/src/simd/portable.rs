//! Arrays, for processors without instructions that we know.

use super::{Bf16Pair, Simd};
use half::f16;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

// SAFETY: reads and writes exactly `LANES` elements.
unsafe impl Simd for Portable {
    const LANES: usize = 8;
    type Vector = [f32; 8];
    type Pairs = [u32; 8];

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> [f32; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[u16; 8]>().read_unaligned() }.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> [f32; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[u16; 8]>().read_unaligned() }.map(|bits| f16::from_bits(bits).to_f32())
    }

    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> [f32; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[i8; 8]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, vector: [f32; 8]) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(vector) }
    }

    #[inline(always)]
    unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        // Not `mul_add`, which is a call of the C library where the processor has no such instruction.
        let mut sum = c;
        for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
        sum
    }

    #[inline(always)]
    unsafe fn load_pairs(from: *const Bf16Pair) -> [u32; 8] {
        // SAFETY: the caller's promise; a pair is its bits.
        unsafe { from.cast::<[u32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn splat_pair(pair: Bf16Pair) -> [u32; 8] {
        [pair.0; 8]
    }

    #[inline(always)]
    unsafe fn dot_pairs(a: [u32; 8], b: [u32; 8], c: [f32; 8]) -> [f32; 8] {
        let first = |pairs: [u32; 8]| pairs.map(|pair| f32::from_bits(pair << 16));
        let second = |pairs: [u32; 8]| pairs.map(|pair| f32::from_bits(pair & 0xffff_0000));
        // SAFETY: of values only.
        unsafe { Self::fma(second(a), second(b), Self::fma(first(a), first(b), c)) }
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        let mut product = a;
        for (product, b) in product.iter_mut().zip(b) {
            *product *= b;
        }
        product
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        let mut sum = a;
        for (sum, b) in sum.iter_mut().zip(b) {
            *sum += b;
        }
        sum
    }

    #[inline(always)]
    unsafe fn max(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        let mut most = a;
        for (most, b) in most.iter_mut().zip(b) {
            *most = most.max(b);
        }
        most
    }

    #[inline(always)]
    unsafe fn sum(vector: [f32; 8]) -> f32 {
        vector.iter().sum()
    }
}
