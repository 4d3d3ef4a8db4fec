//! Vectors of f32 of the kinds that processors have. The methods are `inline(always)` and become instructions only inside of a
//! function with the right `target_feature`: kernels are called through `dispatch!`.
#![expect(unsafe_code, reason = "vectors are loaded through pointers and made of intrinsics")]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

use std::sync::{
    LazyLock,
    atomic::{AtomicU8, Ordering},
};

/// # Safety
/// Every method needs a processor with the implementation's instructions, and pointers to as many elements as it names.
#[expect(clippy::missing_safety_doc, reason = "the trait's section holds for every method")]
pub unsafe trait Simd: Copy {
    const LANES: usize;
    type Vector: Copy;
    /// `LANES` pairs of bf16.
    type Pairs: Copy;
    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// The bits of `LANES` bf16.
    unsafe fn load_bf16(from: *const u16) -> Self::Vector;
    /// The bits of `LANES` f16.
    unsafe fn load_f16(from: *const u16) -> Self::Vector;
    unsafe fn load_i8(from: *const i8) -> Self::Vector;
    unsafe fn load_pairs(from: *const Bf16Pair) -> Self::Pairs;
    unsafe fn splat_pair(pair: Bf16Pair) -> Self::Pairs;
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a.0 * b.0 + a.1 * b.1 + c`, rounded as the processor does.
    unsafe fn dot_pairs(a: Self::Pairs, b: Self::Pairs, c: Self::Vector) -> Self::Vector;
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The sum of the lanes, in an order of the implementation's own.
    unsafe fn sum(vector: Self::Vector) -> f32;
}

/// Two neighboring bf16, the first in the lower half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16Pair(pub u32);

impl Bf16Pair {
    #[must_use]
    pub fn widen(self) -> [f32; 2] {
        [f32::from_bits(self.0 << 16), f32::from_bits(self.0 & 0xffff_0000)]
    }
}

/// A kind of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    Portable = 1,
    Avx2 = 2,
    Avx512 = 3,
    Neon = 4,
    /// AVX-512 with products of bf16.
    Avx512Bf16 = 5,
}

/// 0: the best that the processor has.
static CHOSEN: AtomicU8 = AtomicU8::new(0);
static BEST: LazyLock<Level> = LazyLock::new(|| available().last().copied().unwrap_or(Level::Portable));

/// What this processor has, the best last.
#[must_use]
pub fn available() -> Vec<Level> {
    let mut levels = vec![Level::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        if avx2 {
            levels.push(Level::Avx2);
        }
        if avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            levels.push(Level::Avx512);
            if is_x86_feature_detected!("avx512bf16") {
                levels.push(Level::Avx512Bf16);
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    levels.push(Level::Neon);
    levels
}

/// What kernels use from now on; `None` is the best again. For tests and benchmarks: levels do not give the same bits. A level that the
/// processor does not have is ignored.
pub fn choose(level: Option<Level>) {
    let known = level.filter(|level| available().contains(level));
    CHOSEN.store(known.map_or(0, |level| level as u8), Ordering::Relaxed);
}

/// What kernels use.
#[must_use]
pub fn level() -> Level {
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        4 => Level::Neon,
        5 => Level::Avx512Bf16,
        _ => *BEST,
    }
}

/// Keeps tests that choose levels apart: the level is the process's.
#[cfg(test)]
pub(crate) fn exclusive() -> std::sync::MutexGuard<'static, ()> {
    static EXCLUSIVE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    EXCLUSIVE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Makes `$name(args…)`, which calls the generic kernel `$kernel::<S, …>(args…)` with the vectors of [`level`].
macro_rules! dispatch {
    ($(#[$meta:meta])* unsafe fn $name:ident<$($generic:ident: $bound:path),*>($($arg:ident: $ty:ty),* $(,)?) = $kernel:ident) => {
        $(#[$meta])*
        unsafe fn $name<$($generic: $bound),*>($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512bf16,avx512f,avx512bw,avx2,fma,f16c")]
            unsafe fn avx512_bf16<$($generic: $bound),*>($($arg: $ty),*) {
                // SAFETY: the caller's promise, and the processor was asked for the instructions.
                unsafe { $kernel::<$crate::simd::Avx512<true>, $($generic),*>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx2,fma,f16c")]
            unsafe fn avx512<$($generic: $bound),*>($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { $kernel::<$crate::simd::Avx512<false>, $($generic),*>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2<$($generic: $bound),*>($($arg: $ty),*) {
                // SAFETY: as above.
                unsafe { $kernel::<$crate::simd::Avx2, $($generic),*>($($arg),*) }
            }
            // SAFETY: as above.
            unsafe {
                match $crate::simd::level() {
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::Level::Avx512Bf16 => avx512_bf16::<$($generic),*>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::Level::Avx512 => avx512::<$($generic),*>($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::simd::Level::Avx2 => avx2::<$($generic),*>($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    $crate::simd::Level::Neon => $kernel::<$crate::simd::Neon, $($generic),*>($($arg),*),
                    _ => $kernel::<$crate::simd::Portable, $($generic),*>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use dispatch;
