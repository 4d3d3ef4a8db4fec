//! The crate that `mistralrs-core` sees as `mistralrs-paged-attn`. On a GPU everything is the real one's. On a CPU the functions
//! below compute with `riad-kernels`, whose caches have layouts of their own (patch 0002 allocates them so): keys `[blocks,
//! kv_heads, head_dim, block_size]`, values `[blocks, kv_heads, block_size, head_dim]`.

mod cpu;

#[cfg(any(feature = "cuda", feature = "metal"))]
pub use mistralrs_paged_attn::*;

pub use cpu::attend;

use candle_core::{DType, Result, Tensor, bail};

/// Writes keys and values (`[tokens, kv_heads, head_dim]`) into the caches at the slots (`[tokens]`, i64; a negative slot is
/// skipped).
///
/// # Errors
/// When shapes, number formats or devices do not fit, or a slot is beyond the cache.
pub fn reshape_and_cache(
    key: &Tensor,
    value: &Tensor,
    k_scale: Option<&Tensor>,
    v_scale: Option<&Tensor>,
    key_cache: &Tensor,
    value_cache: &Tensor,
    slot_mapping: &Tensor,
) -> Result<()> {
    if key.device().is_cpu() {
        return cpu::write(key, value, key_cache, value_cache, slot_mapping);
    }
    #[cfg(any(feature = "cuda", feature = "metal"))]
    return mistralrs_paged_attn::reshape_and_cache(key, value, k_scale, v_scale, key_cache, value_cache, slot_mapping);
    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    {
        let _ = (k_scale, v_scale);
        bail!("{:?} is not compiled in", key.device().location())
    }
}

/// Attention of one token per row, on a GPU; on a CPU patch 0002 calls [`attend`].
///
/// # Errors
/// As the real function; always on a CPU.
pub fn paged_attention(
    q: &Tensor,
    k_scale: Option<&Tensor>,
    v_scale: Option<&Tensor>,
    key_cache: &Tensor,
    value_cache: &Tensor,
    block_tables: &Tensor,
    context_lens: &Tensor,
    alibi_slopes: Option<&Tensor>,
    max_context_len: usize,
    softmax_scale: f32,
    softcapping: f32,
    sinks: Option<&Tensor>,
) -> Result<Tensor> {
    #[cfg(any(feature = "cuda", feature = "metal"))]
    if !q.device().is_cpu() {
        return mistralrs_paged_attn::paged_attention(
            q,
            k_scale,
            v_scale,
            key_cache,
            value_cache,
            block_tables,
            context_lens,
            alibi_slopes,
            max_context_len,
            softmax_scale,
            softcapping,
            sinks,
        );
    }
    let _ = (k_scale, v_scale, key_cache, value_cache, block_tables, context_lens);
    let _ = (alibi_slopes, max_context_len, softmax_scale, softcapping, sinks);
    bail!("{:?} is not compiled in", q.device().location())
}

/// All keys and values of the sequences of `block_table` (`[sequences, blocks]`), `[all tokens, kv_heads, head_dim]` each.
/// `cu_seq_lens` (`[sequences + 1]`, u32) has where each sequence ends.
///
/// # Errors
/// As the real function; always on a CPU, where prompts are rows like any other.
pub fn gather_kv_cache(
    key_cache: &Tensor,
    value_cache: &Tensor,
    k_scale: Option<&Tensor>,
    v_scale: Option<&Tensor>,
    block_table: &Tensor,
    cu_seq_lens: &Tensor,
    out_dtype: DType,
) -> Result<(Tensor, Tensor)> {
    #[cfg(any(feature = "cuda", feature = "metal"))]
    if !key_cache.device().is_cpu() {
        return mistralrs_paged_attn::gather_kv_cache(
            key_cache,
            value_cache,
            k_scale,
            v_scale,
            block_table,
            cu_seq_lens,
            out_dtype,
        );
    }
    let _ = (value_cache, k_scale, v_scale, block_table, cu_seq_lens, out_dtype);
    bail!("{:?} is not compiled in", key_cache.device().location())
}

/// Measures the scales of a cache of 8-bit floats, which only GPUs have.
///
/// # Errors
/// As the real function; always on a CPU.
pub fn kv_scale_update(key: &Tensor, value: &Tensor, k_scales: &Tensor, v_scales: &Tensor) -> Result<()> {
    #[cfg(any(feature = "cuda", feature = "metal"))]
    if !key.device().is_cpu() {
        return mistralrs_paged_attn::kv_scale_update(key, value, k_scales, v_scales);
    }
    let _ = (key, value, k_scales, v_scales);
    bail!("a cache of 8-bit floats is not implemented on a CPU")
}
