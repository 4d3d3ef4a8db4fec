//! The wrapped linear layer: the base plus what each row's adapter adds. Not here: how the base is made (`constructors`), and
//! adapters of layers that are computed by tensors (`concatenated`).

use crate::{
    LoraPair,
    concatenated::Concatenated,
    loading::{LayerRecord, ModelLayers, WeightFormat},
    numbers::with_numbers,
    rows::{self, AdapterRows},
};
use candle_core::{D, DType, Device, Error, Result, Tensor, bail};
use candle_nn::Linear;
use mistralrs_quant::{
    DistributedKind, IsqType, QuantMethod, QuantMethodConfig, QuantizeOntoGuard, QuantizedSerde, UnquantLinear,
};
use riad_kernels::{Matrix, Q8_BLOCK, lora};
use std::{
    ops::Range,
    sync::{Arc, atomic::AtomicUsize},
};

#[derive(Debug)]
pub(crate) struct LoraLinear {
    base: Base,
    /// The name by which adapters change the layer.
    adaptable: Option<(Arc<str>, Arc<LayerRecord>)>,
    concatenated: Concatenated,
}

#[derive(Debug)]
enum Base {
    /// Computed by `riad-kernels`, in the format that the engine wants.
    Kernel {
        weights: Matrix,
        bias: Option<Vec<f32>>,
        /// The model's number format, which the output has.
        dtype: DType,
    },
    Upstream(Arc<dyn QuantMethod>),
}

impl LoraLinear {
    pub fn new(
        base: Arc<dyn QuantMethod>,
        bias: Option<Tensor>,
        adaptable: Option<(Arc<str>, Arc<LayerRecord>)>,
        layers: &ModelLayers,
    ) -> Result<Self> {
        let base = match base.unquant_weight_bias() {
            Some((weight, own_bias)) if weight.device().is_cpu() && weight.rank() == 2 => {
                kernel(&weight, bias.or(own_bias).as_ref(), layers)?
            }
            _ => Base::Upstream(base),
        };
        Ok(Self {
            base,
            adaptable,
            concatenated: Concatenated::default(),
        })
    }

    fn around(&self, base: Base) -> Arc<dyn QuantMethod> {
        Arc::new(Self {
            base,
            adaptable: self.adaptable.clone(),
            concatenated: Concatenated::default(),
        })
    }

    /// The layer as upstream's own type, for what only that can do.
    fn upstream(&self) -> Result<Arc<dyn QuantMethod>> {
        match &self.base {
            Base::Upstream(base) => Ok(base.clone()),
            Base::Kernel { bias, .. } => {
                let bias = bias
                    .as_ref()
                    .map(|bias| Tensor::new(bias.as_slice(), &Device::Cpu))
                    .transpose()?;
                let linear = Linear::new(self.dequantize_w()?, bias);
                Ok(Arc::new(UnquantLinear::new(QuantMethodConfig::Unquantized(linear))?))
            }
        }
    }

    /// The pairs of this layer that apply to an input of `rows` rows.
    fn pairs(&self, rows: usize) -> Result<Vec<(Range<usize>, Arc<LoraPair>)>> {
        let Some((name, record)) = &self.adaptable else {
            return Ok(Vec::new());
        };
        record.mark_called();
        let Some(current) = rows::current() else {
            return Ok(Vec::new());
        };
        let Some(runs) = current.adapters(rows) else {
            bail!("layer {name} got {rows} rows, which are neither all rows of the step nor the sampled ones")
        };
        let pair = |run: &AdapterRows| Some((run.rows.clone(), run.adapter.pair(name)?.clone()));
        Ok(runs.iter().filter_map(pair).collect())
    }
}

fn kernel(weight: &Tensor, bias: Option<&Tensor>, layers: &ModelLayers) -> Result<Base> {
    let (out_dim, in_dim) = weight.dims2()?;
    let values = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    let weights = match layers.weight_format() {
        WeightFormat::Q8_0 if in_dim.is_multiple_of(Q8_BLOCK) => Matrix::q8_0(&values(weight)?, out_dim, in_dim),
        WeightFormat::Bf16 => Matrix::bf16(&values(weight)?, out_dim, in_dim),
        WeightFormat::Q8_0 | WeightFormat::Exact => Matrix::exact(values(weight)?, out_dim, in_dim),
    };
    let weights = weights.map_err(Error::wrap)?;
    layers.add_weights(weights.bytes());
    Ok(Base::Kernel {
        weights,
        bias: bias.map(values).transpose()?,
        dtype: weight.dtype(),
    })
}

/// Computes `x · weightsᵀ + bias` and adds the pairs' deltas, all in f32.
fn forward_kernel(
    x: &Tensor,
    weights: &Matrix,
    bias: Option<&[f32]>,
    pairs: &[(Range<usize>, Arc<LoraPair>)],
) -> Result<Tensor> {
    let output = with_numbers(x, |input| {
        let rows = input.len() / weights.columns().max(1);
        let mut output = vec![0.0; rows * weights.rows()];
        weights.multiply(input, bias, &mut output).map_err(Error::wrap)?;
        if !pairs.is_empty() {
            let segments: Vec<_> = pairs
                .iter()
                .map(|(rows, pair)| lora::Segment {
                    rows: rows.clone(),
                    pair: &pair.pair,
                })
                .collect();
            lora::add(input, &mut output, &segments).map_err(Error::wrap)?;
        }
        Ok(output)
    })?;
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = weights.rows();
    }
    Tensor::from_vec(output, dims, &Device::Cpu)?.to_dtype(x.dtype())
}

impl QuantMethod for LoraLinear {
    fn new(_method: QuantMethodConfig) -> Result<Self> {
        bail!("a LoRA layer is made around a base layer, never from a quantization config")
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.elem_count() / x.dim(D::Minus1)?.max(1);
        let pairs = self.pairs(rows)?;
        match &self.base {
            Base::Kernel { weights, bias, .. } => forward_kernel(x, weights, bias.as_deref(), &pairs),
            Base::Upstream(base) => {
                // One matrix of all rows: with a batch dimension some backends read the weights once per row.
                let flat = x.reshape((rows, x.dim(D::Minus1)?))?;
                let mut y = base.forward(&flat)?;
                if !pairs.is_empty() {
                    y = (&y + self.concatenated.delta(&flat, &pairs)?.to_dtype(y.dtype())?)?;
                }
                let mut dims = x.dims().to_vec();
                if let Some(last) = dims.last_mut() {
                    *last = y.dim(D::Minus1)?;
                }
                y.reshape(dims)
            }
        }
    }

    // Callers that ask for the bare weight would compute without the adapter, so they get none and take `forward`.
    fn unquant_weight_bias(&self) -> Option<(Tensor, Option<Tensor>)> {
        None
    }

    fn dequantize_w(&self) -> Result<Tensor> {
        match &self.base {
            Base::Upstream(base) => base.dequantize_w(),
            Base::Kernel { weights, dtype, .. } => {
                Tensor::from_vec(weights.to_f32(), (weights.rows(), weights.columns()), &Device::Cpu)?.to_dtype(*dtype)
            }
        }
    }

    fn quantized_act_type(&self) -> Option<DType> {
        match &self.base {
            Base::Upstream(base) => base.quantized_act_type(),
            Base::Kernel { .. } => None,
        }
    }

    fn dtype_and_device(&self) -> (DType, Device) {
        match &self.base {
            Base::Upstream(base) => base.dtype_and_device(),
            Base::Kernel { dtype, .. } => (*dtype, Device::Cpu),
        }
    }

    fn add_delta_w(&self, delta: &Tensor) -> Result<Arc<dyn QuantMethod>> {
        Ok(self.around(Base::Upstream(self.upstream()?.add_delta_w(delta)?)))
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
            .upstream()?
            .apply_isq(dtype, device, n_quantized, imatrix_weight, guard)?;
        Ok(self.around(Base::Upstream(base)))
    }

    fn is_distributed(&self) -> Option<DistributedKind> {
        match &self.base {
            Base::Upstream(base) => base.is_distributed(),
            Base::Kernel { .. } => None,
        }
    }
}

impl QuantizedSerde for LoraLinear {
    fn name(&self) -> &'static str {
        "riad-lora"
    }

    fn isq_serde_supported(&self) -> bool {
        false
    }
}
