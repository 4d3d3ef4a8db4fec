//! The gate of a feed-forward layer. Source of the formula: Shazeer 2020, "GLU Variants Improve Transformer" (`SwiGLU`).
#![expect(unsafe_code, reason = "the loop is called through `dispatch!`")]

use crate::{
    ShapeError,
    exp::exp,
    simd::{Simd, dispatch},
};
use rayon::prelude::*;

/// Numbers that a task takes.
const OF_TASK: usize = 16 * 1024;

/// `out = gate * sigmoid(gate) * up`, number by number.
///
/// # Errors
/// When the slices have different lengths.
pub fn silu(gate: &[f32], up: &[f32], out: &mut [f32]) -> Result<(), ShapeError> {
    ShapeError::unless(gate.len() == up.len() && gate.len() == out.len(), || {
        format!(
            "{} and {} numbers do not fit an output of {}",
            gate.len(),
            up.len(),
            out.len()
        )
    })?;
    // SAFETY: the processor was asked for its instructions.
    let task = |(out, (gate, up)): (&mut [f32], (&[f32], &[f32]))| unsafe { silu_of(gate, up, out) };
    if out.len() <= OF_TASK {
        task((out, (gate, up)));
    } else {
        let inputs = gate.par_chunks(OF_TASK).zip(up.par_chunks(OF_TASK));
        out.par_chunks_mut(OF_TASK).zip(inputs).for_each(task);
    }
    Ok(())
}

dispatch! {
    /// # Safety
    /// None: the vectors are the compiler's.
    unsafe fn silu_of<>(gate: &[f32], up: &[f32], out: &mut [f32]) = silu_with
}

#[inline(always)]
#[expect(
    clippy::extra_unused_type_parameters,
    reason = "the compiler makes vectors of the level's own of the loop"
)]
unsafe fn silu_with<S: Simd>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        // The exponential of what is at most 0 never overflows.
        let power = exp(-gate.abs());
        let above = if *gate >= 0.0 { 1.0 } else { power };
        *out = gate * (above / (1.0 + power)) * up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd;

    #[test]
    fn every_level_equals_the_formula_in_f64() {
        let _level = simd::exclusive();
        let count = 2 * OF_TASK + 77;
        let gate: Vec<f32> = (0..count).map(|i| (i as f32 - count as f32 / 2.0) * 0.01).collect();
        let up: Vec<f32> = (0..count)
            .map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 300.0)
            .collect();
        for level in simd::available() {
            simd::choose(Some(level));
            for count in [0, 1, 33, count] {
                let mut out = vec![f32::NAN; count];
                silu(&gate[..count], &up[..count], &mut out).unwrap();
                for ((out, gate), up) in out.iter().zip(&gate).zip(&up) {
                    let (gate, up) = (f64::from(*gate), f64::from(*up));
                    let want = gate / (1.0 + (-gate).exp()) * up;
                    assert!(
                        (f64::from(*out) - want).abs() <= want.abs() * 1e-6 + 1e-35,
                        "{level:?} {gate}: {out} {want}"
                    );
                }
            }
        }
        simd::choose(None);
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let mut out = [0.0; 3];
        silu(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &[1.0; 3], &mut out).unwrap();
        assert!(
            out[0].is_nan() && out[1] == f32::INFINITY && (out[2].is_nan() || out[2] == 0.0),
            "{out:?}"
        );
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(silu(&[0.0; 2], &[0.0; 3], &mut [0.0; 2]).is_err());
        assert!(silu(&[0.0; 2], &[0.0; 2], &mut [0.0; 3]).is_err());
    }
}
