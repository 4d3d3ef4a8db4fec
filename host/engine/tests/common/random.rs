//! Numbers that look random and are the same in every run. Not here: anything that must be unpredictable.

use super::tensors::Tensor;

/// Marsaglia's xorshift64* ("Xorshift RNGs", 2003; the multiplier is Vigna's, 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // The first numbers of neighboring seeds are alike.
        (0..16).for_each(|_| _ = random.bits());
        random
    }

    /// Uniform in `-limit..limit`.
    pub fn number(&mut self, limit: f32) -> f32 {
        let unit = (self.bits() >> 40) as f32 / (1u64 << 24) as f32;
        (unit * 2.0 - 1.0) * limit
    }

    pub fn tensor(&mut self, shape: &[usize], limit: f32) -> Tensor {
        let count = shape.iter().product();
        Tensor::new(shape, (0..count).map(|_| self.number(limit)).collect())
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
