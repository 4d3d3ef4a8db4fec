//! An adapter in memory, and the slot for a lane's active adapter. Not here: where adapters come from.

use arc_swap::ArcSwapOption;
use candle_core::{DType, Device, Result, Tensor};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// The two matrices of one adapted layer, ready for `y += x · a_t · b_t`.
#[derive(Debug, Clone)]
pub struct LoraPair {
    a_t: Tensor,
    b_t: Tensor,
    /// The matrices on the model's device, moved at the first use when that is not the one they were read to.
    moved: OnceLock<(Tensor, Tensor)>,
}

impl LoraPair {
    /// `a` is `[rank, in]` and `b` is `[out, rank]` as PEFT stores them; `scale` is `alpha / rank` (or `alpha / sqrt(rank)`
    /// for rank-stabilised adapters) and is folded into `b`. Source of the formula: Hu et al. 2021, "LoRA".
    ///
    /// # Errors
    /// When candle cannot transpose, scale or convert a tensor.
    pub fn new(a: &Tensor, b: &Tensor, scale: f64, dtype: DType) -> Result<Self> {
        let a_t = a.to_dtype(DType::F32)?.t()?.contiguous()?;
        let b_t = (b.to_dtype(DType::F32)?.t()?.contiguous()? * scale)?;
        Ok(Self {
            a_t: a_t.to_dtype(dtype)?,
            b_t: b_t.to_dtype(dtype)?,
            moved: OnceLock::new(),
        })
    }

    /// What the adapter adds to the layer's output for the input `x` (`[…, in]` → `[…, out]`), in `x`'s dtype.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn delta(&self, x: &Tensor) -> Result<Tensor> {
        let (a_t, b_t) = self.on(x.device())?;
        let delta = x
            .to_dtype(a_t.dtype())?
            .broadcast_matmul(&a_t)?
            .broadcast_matmul(&b_t)?;
        delta.to_dtype(x.dtype())
    }

    fn on(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        if self.a_t.device().same_device(device) {
            return Ok((self.a_t.clone(), self.b_t.clone()));
        }
        if let Some(moved) = self.moved.get().filter(|(a_t, _)| a_t.device().same_device(device)) {
            return Ok(moved.clone());
        }
        let moved = (self.a_t.to_device(device)?, self.b_t.to_device(device)?);
        Ok(self.moved.get_or_init(|| moved).clone())
    }

    fn bytes(&self) -> usize {
        [&self.a_t, &self.b_t]
            .iter()
            .map(|t| t.elem_count() * t.dtype().size_in_bytes())
            .sum()
    }
}

/// An immutable set of LoRA pairs by layer name (`model.layers.0.self_attn.q_proj`).
#[derive(Debug, Default)]
pub struct Adapter {
    pairs: HashMap<String, LoraPair>,
}

impl Adapter {
    #[must_use]
    pub fn new(pairs: HashMap<String, LoraPair>) -> Self {
        Self { pairs }
    }

    #[must_use]
    pub fn pair(&self, layer: &str) -> Option<&LoraPair> {
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
        self.pairs.values().map(LoraPair::bytes).sum()
    }
}

/// A lane's active adapter. Cloned into every layer of the lane; switching is one pointer swap. The adapter may be swapped only
/// while the lane is idle: a forward pass reads the slot once per layer.
#[derive(Debug, Clone, Default)]
pub struct LaneSlot(Arc<ArcSwapOption<Adapter>>);

impl LaneSlot {
    pub fn set(&self, adapter: Option<Arc<Adapter>>) {
        self.0.store(adapter);
    }

    pub(crate) fn active(&self) -> arc_swap::Guard<Option<Arc<Adapter>>> {
        self.0.load()
    }
}
