//! AVX2 with FMA and F16C, and AVX-512.

use super::{Bf16Pair, Simd};
use core::{
    arch::x86_64::{
        __m256, __m256i, __m512, __m512bh, __m512i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64,
        _mm_loadu_si128, _mm_movehl_ps, _mm_shuffle_ps, _mm256_add_ps, _mm256_and_si256, _mm256_castps256_ps128,
        _mm256_castsi256_ps, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_cvtph_ps,
        _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_max_ps, _mm256_mul_ps,
        _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm512_add_ps, _mm512_and_si512,
        _mm512_castsi512_ps, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_ps, _mm512_mul_ps,
        _mm512_reduce_add_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps,
    },
    mem::transmute,
};

macro_rules! methods {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? $body:block)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($($arg: $ty),*) $(-> $out)? {
                // SAFETY: the caller's promise about pointers and instructions.
                unsafe { $body }
            }
        )*
    };
}

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

// SAFETY: reads and writes exactly `LANES` elements.
unsafe impl Simd for Avx2 {
    const LANES: usize = 8;
    type Vector = __m256;
    type Pairs = __m256i;

    methods! {
        fn splat(value: f32) -> __m256 { _mm256_set1_ps(value) }
        fn load(from: *const f32) -> __m256 { _mm256_loadu_ps(from) }
        fn load_bf16(from: *const u16) -> __m256 {
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast())), 16))
        }
        fn load_f16(from: *const u16) -> __m256 { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
        fn load_i8(from: *const i8) -> __m256 { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
        fn store(to: *mut f32, vector: __m256) { _mm256_storeu_ps(to, vector) }
        fn fma(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        fn load_pairs(from: *const Bf16Pair) -> __m256i { _mm256_loadu_si256(from.cast()) }
        fn splat_pair(pair: Bf16Pair) -> __m256i { _mm256_set1_epi32(pair.0.cast_signed()) }
        fn dot_pairs(a: __m256i, b: __m256i, c: __m256) -> __m256 {
            let upper = _mm256_set1_epi32(-0x1_0000);
            let first = (_mm256_slli_epi32(a, 16), _mm256_slli_epi32(b, 16));
            let second = (_mm256_and_si256(a, upper), _mm256_and_si256(b, upper));
            let sum = _mm256_fmadd_ps(_mm256_castsi256_ps(first.0), _mm256_castsi256_ps(first.1), c);
            _mm256_fmadd_ps(_mm256_castsi256_ps(second.0), _mm256_castsi256_ps(second.1), sum)
        }
        fn mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        fn max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        fn add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        fn sum(vector: __m256) -> f32 {
            let half = _mm_add_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps(vector, 1));
            let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)))
        }
    }
}

/// With or without instructions for products of bf16.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const BF16: bool>;

// SAFETY: reads and writes exactly `LANES` elements.
unsafe impl<const BF16: bool> Simd for Avx512<BF16> {
    const LANES: usize = 16;
    type Vector = __m512;
    type Pairs = __m512i;

    methods! {
        fn splat(value: f32) -> __m512 { _mm512_set1_ps(value) }
        fn load(from: *const f32) -> __m512 { _mm512_loadu_ps(from) }
        fn load_bf16(from: *const u16) -> __m512 {
            _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())), 16))
        }
        fn load_f16(from: *const u16) -> __m512 { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
        fn load_i8(from: *const i8) -> __m512 { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
        fn store(to: *mut f32, vector: __m512) { _mm512_storeu_ps(to, vector) }
        fn fma(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
        fn load_pairs(from: *const Bf16Pair) -> __m512i { _mm512_loadu_si512(from.cast()) }
        fn splat_pair(pair: Bf16Pair) -> __m512i { _mm512_set1_epi32(pair.0.cast_signed()) }
        fn dot_pairs(a: __m512i, b: __m512i, c: __m512) -> __m512 {
            if BF16 {
                return _mm512_dpbf16_ps(c, transmute::<__m512i, __m512bh>(a), transmute::<__m512i, __m512bh>(b));
            }
            let upper = _mm512_set1_epi32(-0x1_0000);
            let first = (_mm512_slli_epi32(a, 16), _mm512_slli_epi32(b, 16));
            let second = (_mm512_and_si512(a, upper), _mm512_and_si512(b, upper));
            let sum = _mm512_fmadd_ps(_mm512_castsi512_ps(first.0), _mm512_castsi512_ps(first.1), c);
            _mm512_fmadd_ps(_mm512_castsi512_ps(second.0), _mm512_castsi512_ps(second.1), sum)
        }
        fn mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        fn max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        fn sum(vector: __m512) -> f32 { _mm512_reduce_add_ps(vector) }
    }
}
