//! From tensors to the kernels' slices.

use candle_core::{CpuStorage, DType, Result, Storage, Tensor, bail};

/// Runs `run` on the numbers of a tensor on the CPU, as f32.
pub(crate) fn with_numbers<R>(tensor: &Tensor, run: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let wide = tensor.to_dtype(DType::F32)?.contiguous()?;
    let (storage, layout) = wide.storage_and_layout();
    let (Storage::Cpu(CpuStorage::F32(all)), Some((from, to))) = (&*storage, layout.contiguous_offsets()) else {
        bail!("a contiguous input on the CPU is wanted");
    };
    match all.get(from..to) {
        Some(numbers) => run(numbers),
        None => bail!("an input beyond its storage"),
    }
}
