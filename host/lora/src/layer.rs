//! The wrapped linear layer: the shared base plus the lane's active adapter. Not here: how the base is made.

use crate::{LaneSlot, loading::LayerRecord};
use candle_core::{DType, Device, Result, Tensor};
use mistralrs_quant::{DistributedKind, IsqType, QuantMethod, QuantMethodConfig, QuantizeOntoGuard, QuantizedSerde};
use std::{
    borrow::Cow,
    sync::{Arc, atomic::AtomicUsize},
};

#[derive(Debug)]
pub(crate) struct LoraLinear {
    pub base: Arc<dyn QuantMethod>,
    pub name: Arc<str>,
    pub record: Arc<LayerRecord>,
    pub slot: LaneSlot,
}

impl LoraLinear {
    fn around(&self, base: Arc<dyn QuantMethod>) -> Arc<dyn QuantMethod> {
        Arc::new(Self {
            base,
            name: self.name.clone(),
            record: self.record.clone(),
            slot: self.slot.clone(),
        })
    }
}

impl QuantMethod for LoraLinear {
    fn new(_method: QuantMethodConfig) -> Result<Self> {
        candle_core::bail!("a LoRA layer is made around a base layer, never from a quantization config")
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.record.mark_called();
        let y = self.base.forward(x)?;
        match self.slot.active().as_ref().and_then(|adapter| adapter.pair(&self.name)) {
            None => Ok(y),
            Some(pair) => &y + pair.delta(x)?.to_dtype(y.dtype())?,
        }
    }

    // Callers that ask for the bare weight would compute without the adapter, so they get none and take `forward`.
    fn unquant_weight_bias(&self) -> Option<(Tensor, Option<Tensor>)> {
        None
    }

    fn dequantize_w(&self) -> Result<Tensor> {
        self.base.dequantize_w()
    }

    fn quantized_act_type(&self) -> Option<DType> {
        self.base.quantized_act_type()
    }

    fn dtype_and_device(&self) -> (DType, Device) {
        self.base.dtype_and_device()
    }

    fn add_delta_w(&self, delta: &Tensor) -> Result<Arc<dyn QuantMethod>> {
        Ok(self.around(self.base.add_delta_w(delta)?))
    }

    fn apply_isq(
        self: Arc<Self>,
        dtype: Option<IsqType>,
        device: Device,
        n_quantized: &AtomicUsize,
        imatrix_weight: Option<Vec<f32>>,
        guard: QuantizeOntoGuard,
    ) -> Result<Arc<dyn QuantMethod>> {
        let base = self
            .base
            .clone()
            .apply_isq(dtype, device, n_quantized, imatrix_weight, guard)?;
        Ok(self.around(base))
    }

    fn is_distributed(&self) -> Option<DistributedKind> {
        self.base.is_distributed()
    }
}

impl QuantizedSerde for LoraLinear {
    fn name(&self) -> &'static str {
        self.base.name()
    }

    fn isq_serde_supported(&self) -> bool {
        self.base.isq_serde_supported()
    }

    fn serialize(&self) -> Result<Cow<'_, [u8]>> {
        self.base.serialize()
    }

    fn serialize_with_bias(&self, bias: Option<Tensor>) -> Result<Cow<'_, [u8]>> {
        self.base.serialize_with_bias(bias)
    }
}
