//! Upstream's constructors of linear layers under the same names and signatures. Dense ones take adapters; the merged, matformer
//! and deserialized ones take none.
//! Not here: what an adapted layer computes (`layer`).

use crate::{layer::LoraLinear, loading};
use candle_core::{Device, Result, Tensor};
use candle_nn::Linear;
use mistralrs_quant::{
    self as upstream, Comm, QuantMethod, QuantizeOntoGuard, QuantizedConfig, QuantizedSerde, Shard, ShardedVarBuilder,
};
use std::{borrow::Cow, sync::Arc};

type Layer = Arc<dyn QuantMethod>;

/// Wraps the layer that `make` builds, so that an adapter may change it under the name of `vb`.
fn adaptable(
    vb: &ShardedVarBuilder,
    (in_dim, out_dim): (usize, usize),
    bias: bool,
    make: impl FnOnce() -> Result<Layer>,
) -> Result<Layer> {
    let Some(layers) = loading::current() else {
        return make();
    };
    // Upstream's parallel layers do not hand out the bias that they were built with.
    let bias = (bias && vb.contains_tensor("bias"))
        .then(|| vb.get(out_dim, "bias"))
        .transpose()?;
    let name = vb.prefix();
    let record = layers.record(&name, in_dim, out_dim);
    let adaptable = Some((name.into(), record));
    Ok(Arc::new(LoraLinear::new(make()?, bias, adaptable, &layers)?))
}

/// Wraps a layer for its kernel only: it has no name of its own that an adapter could change it by.
fn plain(layer: Layer, bias: bool) -> Result<Layer> {
    match loading::current() {
        Some(layers) if !bias => Ok(Arc::new(LoraLinear::new(layer, None, None, &layers)?)),
        Some(_) | None => Ok(layer),
    }
}

pub struct ColumnParallelLayer;

#[expect(clippy::new_ret_no_self, reason = "the signatures are upstream's")]
impl ColumnParallelLayer {
    pub fn new(
        in_dim: usize,
        out_dim: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        comm: &Arc<Comm>,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        adaptable(&vb.clone(), (in_dim, out_dim), bias, || {
            upstream::ColumnParallelLayer::new(in_dim, out_dim, config, bias, comm, vb)
        })
    }

    pub fn new_with_shard(
        in_dim: usize,
        out_dim: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        comm: &Arc<Comm>,
        shard: Shard,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        let make = |vb| upstream::ColumnParallelLayer::new_with_shard(in_dim, out_dim, config, bias, comm, shard, vb);
        if matches!(shard, Shard::Simple { world_size: 1, .. }) {
            return adaptable(&vb.clone(), (in_dim, out_dim), bias, || make(vb));
        }
        // A part of a fused weight: several layers have this one's name, so an adapter could not say which it means.
        plain(make(vb)?, bias)
    }

    pub fn new_matformer(
        in_dim: usize,
        out_dim: usize,
        orig_intermediate_size: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        comm: &Arc<Comm>,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        upstream::ColumnParallelLayer::new_matformer(in_dim, out_dim, orig_intermediate_size, config, bias, comm, vb)
    }

    pub fn new_merged(
        in_dim: usize,
        out_dim: usize,
        chunks: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        comm: &Arc<Comm>,
        vb: ShardedVarBuilder,
    ) -> Result<Vec<Layer>> {
        let layers = upstream::ColumnParallelLayer::new_merged(in_dim, out_dim, chunks, config, bias, comm, vb)?;
        layers.into_iter().map(|layer| plain(layer, bias)).collect()
    }

    pub fn deserialize(data: Cow<[u8]>, device: &Device, comm: &Arc<Comm>, guard: QuantizeOntoGuard) -> Result<Layer> {
        <upstream::ColumnParallelLayer as QuantizedSerde>::deserialize(data, device, comm, guard)
    }
}

pub struct RowParallelLayer;

#[expect(clippy::new_ret_no_self, reason = "the signatures are upstream's")]
impl RowParallelLayer {
    pub fn new(
        in_dim: usize,
        out_dim: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        comm: &Arc<Comm>,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        adaptable(&vb.clone(), (in_dim, out_dim), bias, || {
            upstream::RowParallelLayer::new(in_dim, out_dim, config, bias, comm, vb)
        })
    }

    pub fn new_matformer(
        in_dim: usize,
        out_dim: usize,
        orig_intermediate_size: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        comm: &Arc<Comm>,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        upstream::RowParallelLayer::new_matformer(in_dim, out_dim, orig_intermediate_size, config, bias, comm, vb)
    }

    pub fn deserialize(data: Cow<[u8]>, device: &Device, comm: &Arc<Comm>, guard: QuantizeOntoGuard) -> Result<Layer> {
        <upstream::RowParallelLayer as QuantizedSerde>::deserialize(data, device, comm, guard)
    }
}

pub struct ReplicatedLayer;

#[expect(clippy::new_ret_no_self, reason = "the signatures are upstream's")]
impl ReplicatedLayer {
    pub fn new(
        in_dim: usize,
        out_dim: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        adaptable(&vb.clone(), (in_dim, out_dim), bias, || {
            upstream::ReplicatedLayer::new(in_dim, out_dim, config, bias, vb)
        })
    }

    /// A layer over a tensor that is already there (tied embeddings).
    pub fn from_linear(linear: Linear) -> Result<Layer> {
        plain(upstream::ReplicatedLayer::from_linear(linear)?, false)
    }

    pub fn new_layers_matformer_indices(
        in_dim: usize,
        out_dim: usize,
        kept_layers_indices: Option<&Tensor>,
        orig_num_hidden_layers: usize,
        config: &Option<QuantizedConfig>,
        bias: bool,
        vb: ShardedVarBuilder,
    ) -> Result<Layer> {
        upstream::ReplicatedLayer::new_layers_matformer_indices(
            in_dim,
            out_dim,
            kept_layers_indices,
            orig_num_hidden_layers,
            config,
            bias,
            vb,
        )
    }

    pub fn deserialize(data: Cow<[u8]>, device: &Device, comm: &Arc<Comm>, guard: QuantizeOntoGuard) -> Result<Layer> {
        <upstream::ReplicatedLayer as QuantizedSerde>::deserialize(data, device, comm, guard)
    }
}

pub fn linear_no_bias(
    in_dim: usize,
    out_dim: usize,
    config: &Option<QuantizedConfig>,
    vb: ShardedVarBuilder,
) -> Result<Layer> {
    adaptable(&vb.clone(), (in_dim, out_dim), false, || {
        upstream::linear_no_bias(in_dim, out_dim, config, vb)
    })
}

pub fn linear(in_dim: usize, out_dim: usize, config: &Option<QuantizedConfig>, vb: ShardedVarBuilder) -> Result<Layer> {
    adaptable(&vb.clone(), (in_dim, out_dim), true, || {
        upstream::linear(in_dim, out_dim, config, vb)
    })
}

pub fn linear_b(
    in_dim: usize,
    out_dim: usize,
    bias: bool,
    config: &Option<QuantizedConfig>,
    vb: ShardedVarBuilder,
) -> Result<Layer> {
    if bias {
        linear(in_dim, out_dim, config, vb)
    } else {
        linear_no_bias(in_dim, out_dim, config, vb)
    }
}
