//! From tensors to the kernels' slices. Not here: arithmetic (`riad-kernels`).

use candle_core::{CpuStorage, DType, Error, InplaceOp3, Layout, Result, Storage, Tensor, WithDType, bail};
use half::{bf16, f16};
use riad_kernels::{
    Element,
    attention::{self, Shape},
};

fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let all = storage.as_slice::<T>()?;
    let part = layout.contiguous_offsets().and_then(|(from, to)| all.get(from..to));
    part.ok_or_else(|| Error::Msg("a contiguous tensor is wanted".to_owned()))
}

/// Runs `run` on the numbers of a tensor on the CPU.
fn with<T: WithDType, R>(tensor: &Tensor, run: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => run(slice(storage, layout)?),
        Storage::Cuda(_) | Storage::Metal(_) => bail!("a tensor on the CPU is wanted"),
    }
}

/// The cache's shape, as the value cache has it.
fn shape(value_cache: &Tensor, heads: Option<usize>) -> Result<Shape> {
    let (_, kv_heads, block_size, head_dim) = value_cache.dims4()?;
    Ok(Shape {
        heads: heads.unwrap_or(kv_heads),
        kv_heads,
        head_dim,
        block_size,
        scale: 1.0,
        softcap: None,
        window: None,
    })
}

/// Writes into a cache in place: candle's tensors can be changed by such an operation only.
struct Write {
    shape: Shape,
    keys: bool,
}

impl Write {
    fn run<T: WithDType + Element, C: Element>(
        &self,
        new: &CpuStorage,
        new_layout: &Layout,
        cache: &mut [C],
        slots: &[i64],
    ) -> Result<()> {
        let new = slice::<T>(new, new_layout)?;
        let written = if self.keys {
            attention::write_keys(new, cache, slots, &self.shape)
        } else {
            attention::write_values(new, cache, slots, &self.shape)
        };
        written.map_err(Error::wrap)
    }
}

impl InplaceOp3 for Write {
    fn name(&self) -> &'static str {
        "write-kv-cache"
    }

    fn cpu_fwd(
        &self,
        cache: &mut CpuStorage,
        cache_layout: &Layout,
        new: &CpuStorage,
        new_layout: &Layout,
        slots: &CpuStorage,
        slots_layout: &Layout,
    ) -> Result<()> {
        let slots = slice::<i64>(slots, slots_layout)?;
        if cache_layout.start_offset() != 0 || !cache_layout.is_contiguous() {
            bail!("a cache is a whole tensor");
        }
        match (new, cache) {
            (CpuStorage::F32(_), CpuStorage::F32(cache)) => self.run::<f32, _>(new, new_layout, cache, slots),
            (CpuStorage::F32(_), CpuStorage::BF16(cache)) => self.run::<f32, _>(new, new_layout, cache, slots),
            (CpuStorage::BF16(_), CpuStorage::BF16(cache)) => self.run::<bf16, _>(new, new_layout, cache, slots),
            (CpuStorage::F16(_), CpuStorage::F16(cache)) => self.run::<f16, _>(new, new_layout, cache, slots),
            _ => bail!("a cache of the numbers' own format or of bf16 is wanted, of f32, bf16 or f16"),
        }
    }
}

pub(crate) fn write(
    key: &Tensor,
    value: &Tensor,
    key_cache: &Tensor,
    value_cache: &Tensor,
    slots: &Tensor,
) -> Result<()> {
    let shape = shape(value_cache, None)?;
    let (key, value, slots) = (key.contiguous()?, value.contiguous()?, slots.contiguous()?);
    key_cache.inplace_op3(
        &key,
        &slots,
        &Write {
            shape: shape.clone(),
            keys: true,
        },
    )?;
    value_cache.inplace_op3(&value, &slots, &Write { shape, keys: false })
}

/// Causal attention of rows of one token each over the paged cache. `q` is `[rows, heads, head_dim]`, `block_tables` is
/// `[rows, blocks]` (u32), `context_lens` is `[rows]` (u32): how many tokens of its sequence a row sees, itself included. With a
/// window it sees only the last ones. Returns `q`'s shape.
///
/// # Errors
/// When shapes or number formats do not fit, or a table names a block beyond the cache.
pub fn attend(
    q: &Tensor,
    key_cache: &Tensor,
    value_cache: &Tensor,
    block_tables: &Tensor,
    context_lens: &Tensor,
    scale: f32,
    softcap: Option<f32>,
    window: Option<usize>,
) -> Result<Tensor> {
    let (_, heads, _) = q.dims3()?;
    let shape = Shape {
        scale,
        softcap,
        window,
        ..shape(value_cache, Some(heads))?
    };
    with::<u32, _>(block_tables, |tables| {
        with::<u32, _>(context_lens, |contexts| match (q.dtype(), key_cache.dtype()) {
            (DType::F32, DType::F32) => run::<f32, f32>(q, key_cache, value_cache, tables, contexts, &shape),
            (DType::F32, DType::BF16) => run::<f32, bf16>(q, key_cache, value_cache, tables, contexts, &shape),
            (DType::BF16, DType::BF16) => run::<bf16, bf16>(q, key_cache, value_cache, tables, contexts, &shape),
            (DType::F16, DType::F16) => run::<f16, f16>(q, key_cache, value_cache, tables, contexts, &shape),
            (q, cache) => bail!("attention on a CPU takes f32, bf16 or f16, not {q:?} with a cache of {cache:?}"),
        })
    })
}

fn run<T: WithDType + Element, C: WithDType + Element>(
    q: &Tensor,
    key_cache: &Tensor,
    value_cache: &Tensor,
    tables: &[u32],
    contexts: &[u32],
    shape: &Shape,
) -> Result<Tensor> {
    let stride = tables.len() / contexts.len().max(1);
    let out = with::<T, _>(q, |q| {
        with::<C, _>(key_cache, |keys| {
            with::<C, _>(value_cache, |values| {
                let mut out = vec![T::zero(); q.len()];
                attention::attend(q, keys, values, tables, stride, contexts, shape, &mut out).map_err(Error::wrap)?;
                Ok(out)
            })
        })
    })?;
    Tensor::from_vec(out, q.dims(), q.device())
}
