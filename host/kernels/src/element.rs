//! How numbers of weights and caches are stored.
#![expect(unsafe_code, reason = "vectors are loaded through pointers")]

use crate::simd::Simd;
use half::{bf16, f16};

pub trait Element: Copy + Send + Sync + 'static {
    /// Whether a vector can be loaded without a conversion.
    const IS_F32: bool = false;

    fn widen(self) -> f32;

    fn narrow(value: f32) -> Self;

    /// The numbers at `from` as a vector.
    ///
    /// # Safety
    /// `S::LANES` elements are readable at `from`, and the processor has `S`'s instructions.
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector;
}

impl Element for f32 {
    const IS_F32: bool = true;

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector {
        // SAFETY: the caller's promise.
        unsafe { S::load(from) }
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        Self::from_f32(value)
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector {
        // SAFETY: the caller's promise; a bf16 is its bits.
        unsafe { S::load_bf16(from.cast()) }
    }
}

impl Element for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn narrow(value: f32) -> Self {
        Self::from_f32(value)
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::Vector {
        // SAFETY: the caller's promise; an f16 is its bits.
        unsafe { S::load_f16(from.cast()) }
    }
}
