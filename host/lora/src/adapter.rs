//! An adapter in memory. Not here: where adapters come from, and which rows have which (`rows`).

use crate::loading::WeightFormat;
use candle_core::{DType, Device, Error, Result, Tensor, bail};
use riad_kernels::lora::Pair;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// The two matrices of one adapted layer, with the scale folded in.
#[derive(Debug)]
pub struct LoraPair {
    pub(crate) pair: Pair,
    /// `a` and `b` as tensors of the model's device, made at the first use by a layer without a kernel of ours.
    tensors: OnceLock<(Tensor, Tensor)>,
}

impl LoraPair {
    /// `a` is `[rank, in]` and `b` is `[out, rank]` as PEFT stores them; `scale` is `alpha / rank` (or `alpha / sqrt(rank)` for
    /// rank-stabilized adapters). Source of the formula: Hu et al. 2021, "LoRA". On a model that multiplies in bf16 both are rounded
    /// to bf16.
    ///
    /// # Errors
    /// When candle cannot transpose, scale or convert a tensor, or a scaled value is not finite.
    pub fn new(a: &Tensor, b: &Tensor, scale: f64, format: WeightFormat) -> Result<Self> {
        let (rank, inputs) = a.dims2()?;
        let outputs = b.dim(0)?;
        let values = |tensor: Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let a = values(a.to_dtype(DType::F32)?)?;
        let b = values((b.to_dtype(DType::F32)?.t()?.contiguous()? * scale)?)?;
        if !b.iter().all(|value| value.is_finite()) {
            bail!("its scale of {scale} makes values that are not finite");
        }
        let made = match format {
            WeightFormat::Bf16 => Pair::bf16,
            WeightFormat::Exact | WeightFormat::Q8_0 => Pair::new,
        };
        Ok(Self {
            pair: made(a, b, rank, inputs, outputs).map_err(Error::wrap)?,
            tensors: OnceLock::new(),
        })
    }

    pub(crate) fn rank(&self) -> usize {
        self.pair.rank()
    }

    /// `a` as `[rank, in]` and `b` as `[rank, out]` on the device, in `dtype`.
    pub(crate) fn tensors(&self, device: &Device, dtype: DType) -> Result<(Tensor, Tensor)> {
        let fits = |(a, _): &&(Tensor, Tensor)| a.device().same_device(device) && a.dtype() == dtype;
        if let Some(found) = self.tensors.get().filter(fits) {
            return Ok(found.clone());
        }
        let tensor =
            |values: Vec<f32>, width: usize| Tensor::from_vec(values, (self.rank(), width), device)?.to_dtype(dtype);
        let made = (
            tensor(self.pair.a(), self.pair.inputs())?,
            tensor(self.pair.b(), self.pair.outputs())?,
        );
        // A second device or format, which only a model on several devices has, is made anew each time.
        Ok(self.tensors.get_or_init(|| made.clone()).clone()).map(|kept| if fits(&&kept) { kept } else { made })
    }

    fn bytes(&self) -> usize {
        self.pair.bytes()
    }
}

/// An immutable set of LoRA pairs by layer name (`model.layers.0.self_attn.q_proj`).
#[derive(Debug, Default)]
pub struct Adapter {
    pairs: HashMap<String, Arc<LoraPair>>,
}

impl Adapter {
    #[must_use]
    pub fn new(pairs: HashMap<String, LoraPair>) -> Self {
        let pairs = pairs.into_iter().map(|(name, pair)| (name, Arc::new(pair))).collect();
        Self { pairs }
    }

    #[must_use]
    pub fn pair(&self, layer: &str) -> Option<&Arc<LoraPair>> {
        self.pairs.get(layer)
    }

    /// Layers that this adapter changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Memory held by the matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pairs.values().map(|pair| pair.bytes()).sum()
    }
}
