//! Upstream's constructors of linear layers under the same names and signatures. Dense ones are shared and adaptable; the
//! merged, matformer and deserialized ones are shared or passed through and take no adapter.
//! Not here: what an adapted layer computes (`layer`).

use crate::{
    layer::LoraLinear,
    loading::{Loading, dtype_key},
};
use candle_core::{Device, Result, Tensor};
use candle_nn::Linear;
use mistralrs_quant::{
    self as upstream, Comm, QuantMethod, QuantizeOntoGuard, QuantizedConfig, QuantizedSerde, Shard, ShardedVarBuilder,
};
use std::{borrow::Cow, cell::Cell, sync::Arc};

type Layer = Arc<dyn QuantMethod>;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside of a shared layer's constructor, whose tensors must not be kept a second time.
pub(crate) fn inside_layer() -> bool {
    INSIDE.get()
}

fn building<T>(make: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let made = make();
    INSIDE.set(before);
    made
}

fn share(
    vb: &ShardedVarBuilder,
    variant: &str,
    loading: &Loading,
    make: impl FnOnce() -> Result<Vec<Layer>>,
) -> Result<Vec<Layer>> {
    let key = format!("{}:{variant}:{}", vb.prefix(), dtype_key(vb.dtype(), vb.device()));
    loading.weights.layers(key, || building(make))
}

fn adaptable(
    vb: &ShardedVarBuilder,
    (in_dim, out_dim): (usize, usize),
    variant: &str,
    make: impl FnOnce() -> Result<Layer>,
) -> Result<Layer> {
    let Some(loading) = Loading::current() else {
        return make();
    };
    let Some(base) = share(vb, variant, &loading, || Ok(vec![make()?]))?.pop() else {
        candle_core::bail!("layer {} was not built", vb.prefix())
    };
    let name = vb.prefix();
    let record = loading.weights.record(&name, in_dim, out_dim);
    Ok(Arc::new(LoraLinear {
        base,
        name: name.into(),
        record,
        slot: loading.slot,
    }))
}

fn variant(config: &Option<QuantizedConfig>, bias: bool, shard: Option<Shard>) -> String {
    format!("{config:?}:{bias}:{shard:?}")
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
        adaptable(&vb.clone(), (in_dim, out_dim), &variant(config, bias, None), || {
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
        let variant = variant(config, bias, Some(shard));
        if matches!(shard, Shard::Simple { world_size: 1, .. }) {
            return adaptable(&vb.clone(), (in_dim, out_dim), &variant, || make(vb));
        }
        // A part of a fused weight: several layers have this one's name, so an adapter could not say which it means.
        part(&vb.clone(), &variant, || make(vb))
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
        let make = |vb| upstream::ColumnParallelLayer::new_merged(in_dim, out_dim, chunks, config, bias, comm, vb);
        match Loading::current() {
            None => make(vb),
            Some(loading) => share(
                &vb.clone(),
                &format!("merged{chunks}:{}", variant(config, bias, None)),
                &loading,
                || make(vb),
            ),
        }
    }

    pub fn deserialize(data: Cow<[u8]>, device: &Device, comm: &Arc<Comm>, guard: QuantizeOntoGuard) -> Result<Layer> {
        <upstream::ColumnParallelLayer as QuantizedSerde>::deserialize(data, device, comm, guard)
    }
}

fn part(vb: &ShardedVarBuilder, variant: &str, make: impl FnOnce() -> Result<Layer>) -> Result<Layer> {
    let Some(loading) = Loading::current() else {
        return make();
    };
    match share(vb, variant, &loading, || Ok(vec![make()?]))?.pop() {
        Some(layer) => Ok(layer),
        None => candle_core::bail!("layer {} was not built", vb.prefix()),
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
        adaptable(&vb.clone(), (in_dim, out_dim), &variant(config, bias, None), || {
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
        adaptable(&vb.clone(), (in_dim, out_dim), &variant(config, bias, None), || {
            upstream::ReplicatedLayer::new(in_dim, out_dim, config, bias, vb)
        })
    }

    /// A layer over a tensor that is already there (tied embeddings): nothing to share, and no name to adapt it by.
    pub fn from_linear(linear: Linear) -> Result<Layer> {
        upstream::ReplicatedLayer::from_linear(linear)
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
    adaptable(&vb.clone(), (in_dim, out_dim), &variant(config, false, None), || {
        upstream::linear_no_bias(in_dim, out_dim, config, vb)
    })
}

pub fn linear(in_dim: usize, out_dim: usize, config: &Option<QuantizedConfig>, vb: ShardedVarBuilder) -> Result<Layer> {
    adaptable(&vb.clone(), (in_dim, out_dim), &variant(config, true, None), || {
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
