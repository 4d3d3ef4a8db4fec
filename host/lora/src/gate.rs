//! The gate of a feed-forward layer, in place of upstream's, whose exponential is one number at a time.

use crate::numbers::with_numbers;
use candle_core::{DType, Error, Result, Tensor};
use mistralrs_quant::GluActivationType;
use riad_kernels::gate;

/// `activation(a) * b` for tensors of one shape.
///
/// # Errors
/// When shapes or number formats do not fit.
pub fn fused_glu(a: &Tensor, b: &Tensor, activation: GluActivationType) -> Result<Tensor> {
    let ours = a.device().is_cpu() && (a.dtype(), b.dtype()) == (DType::F32, DType::F32) && a.dims() == b.dims();
    if !ours || !matches!(activation, GluActivationType::Silu) {
        return mistralrs_quant::fused_glu(a, b, activation);
    }
    let out = with_numbers(a, |a| {
        with_numbers(b, |b| {
            let mut out = vec![0.0; a.len()];
            gate::silu(a, b, &mut out).map_err(Error::wrap)?;
            Ok(out)
        })
    })?;
    Tensor::from_vec(out, a.dims(), a.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn ours_equals_upstreams() {
        let tensor = |seed: f32| {
            let numbers: Vec<f32> = (0..60).map(|number| (number as f32 * seed).sin() * 6.0).collect();
            Tensor::from_vec(numbers, (4, 15), &Device::Cpu).unwrap()
        };
        // One is not contiguous.
        let (a, b) = (tensor(1.3), tensor(0.7).t().unwrap().contiguous().unwrap().t().unwrap());
        let ours = fused_glu(&a, &b, GluActivationType::Silu)
            .unwrap()
            .flatten_all()
            .unwrap();
        let theirs = mistralrs_quant::fused_glu(&a, &b, GluActivationType::Silu)
            .unwrap()
            .flatten_all()
            .unwrap();
        for (ours, theirs) in ours
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .zip(theirs.to_vec1::<f32>().unwrap())
        {
            assert!((ours - theirs).abs() <= theirs.abs() * 1e-5 + 1e-7, "{ours} {theirs}");
        }
    }
}
