//! The exponential of numbers up to 0. Without branches, so that the compiler makes vectors of it.

/// `e^x` for `x <= 0`, within two units of the last place; 0 below -87. Source: the range reduction and the coefficients of the Cephes
/// library's `expf`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    /// A number of this size has no fraction: adding it rounds, and leaves the whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let low = x < -87.0;
    let x = if low { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let rest = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut sum = 0.0;
    for coefficient in COEFFICIENTS {
        sum = sum * rest + coefficient;
    }
    let fraction = sum * rest * rest + rest + 1.0;
    let power = f32::from_bits(rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    if low { 0.0 } else { fraction * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_within_a_few_units_of_the_last_place() {
        for step in 0..60_000_u16 {
            let x = -f32::from(step) * 0.0015;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= want * 3e-7 || want < 1e-37, "{x}: {got} {want}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }
}
