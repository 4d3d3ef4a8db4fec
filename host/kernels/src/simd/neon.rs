//! NEON, which every 64-bit ARM processor has.

use super::{Bf16Pair, Simd};
use core::arch::aarch64::{
    float32x4_t, uint32x4_t, vaddq_f32, vaddvq_f32, vandq_u32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_u32, vfmaq_f32,
    vld1_u16, vld1q_f32, vld1q_u32, vmaxq_f32, vmovl_s16, vmovl_u16, vmulq_f32, vreinterpretq_f32_u32, vshlq_n_u32,
    vst1q_f32,
};
use half::f16;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

macro_rules! methods {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? $body:block)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($($arg: $ty),*) $(-> $out)? {
                // SAFETY: the caller's promise about pointers; the instructions are always there.
                unsafe { $body }
            }
        )*
    };
}

// SAFETY: reads and writes exactly `LANES` elements.
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    type Vector = float32x4_t;
    type Pairs = uint32x4_t;

    methods! {
        fn splat(value: f32) -> float32x4_t { vdupq_n_f32(value) }
        fn load(from: *const f32) -> float32x4_t { vld1q_f32(from) }
        fn load_bf16(from: *const u16) -> float32x4_t {
            vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(from))))
        }
        fn load_f16(from: *const u16) -> float32x4_t {
            let wide = from.cast::<[u16; 4]>().read_unaligned().map(|bits| f16::from_bits(bits).to_f32());
            vld1q_f32(wide.as_ptr())
        }
        fn load_i8(from: *const i8) -> float32x4_t {
            let wide = from.cast::<[i8; 4]>().read_unaligned().map(i16::from);
            vcvtq_f32_s32(vmovl_s16(core::arch::aarch64::vld1_s16(wide.as_ptr())))
        }
        fn store(to: *mut f32, vector: float32x4_t) { vst1q_f32(to, vector) }
        fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t { vfmaq_f32(c, a, b) }
        fn load_pairs(from: *const Bf16Pair) -> uint32x4_t { vld1q_u32(from.cast()) }
        fn splat_pair(pair: Bf16Pair) -> uint32x4_t { vdupq_n_u32(pair.0) }
        fn dot_pairs(a: uint32x4_t, b: uint32x4_t, c: float32x4_t) -> float32x4_t {
            let first = |pairs| vreinterpretq_f32_u32(vshlq_n_u32::<16>(pairs));
            let second = |pairs| vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff_0000)));
            vfmaq_f32(vfmaq_f32(c, first(a), first(b)), second(a), second(b))
        }
        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmulq_f32(a, b) }
        fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmaxq_f32(a, b) }
        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t { vaddq_f32(a, b) }
        fn sum(vector: float32x4_t) -> f32 { vaddvq_f32(vector) }
    }
}
