//! The rows of a step as the tensors that a model's forward pass takes. Each row is one token with its own position, slot, context
//! and block table, so that prompts, parts of prompts and single tokens of any sequences are the same to the model.
//! Not here: which rows (`riad_batch`).

use crate::memory::BLOCK_SIZE;
use candle_core::{Device, DeviceLocation, Result, Tensor, bail};
use mistralrs::core::{FlashParams, ModelInputs, PagedAttentionInputMetadata};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct StepInputs {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    slots: Vec<i64>,
    /// The blocks of each row's context.
    tables: Vec<Vec<u32>>,
    sampled: Vec<bool>,
}

impl StepInputs {
    /// A row whose keys and values are written nowhere.
    pub fn warm_up() -> Self {
        Self {
            tokens: vec![0],
            positions: vec![0],
            slots: vec![-1],
            tables: vec![vec![0]],
            sampled: vec![true],
        }
    }

    /// Adds `tokens`, whose first is at `first_position`. `table` has the blocks of the sequence; `samples` says whether the logits
    /// of the last are wanted.
    pub fn push(&mut self, tokens: &[u32], first_position: usize, table: &[u32], samples: bool) -> Result<()> {
        for (position, token) in (first_position..).zip(tokens) {
            let index = position / BLOCK_SIZE;
            let (Some(block), Some(context)) = (table.get(index), table.get(..=index)) else {
                bail!("position {position} has no block")
            };
            self.tokens.push(*token);
            self.positions.push(position);
            let slot = *block as usize * BLOCK_SIZE + position % BLOCK_SIZE;
            self.slots.push(i64::try_from(slot).map_err(candle_core::Error::wrap)?);
            self.tables.push(context.to_vec());
            self.sampled.push(false);
        }
        if let Some(last) = self.sampled.last_mut().filter(|_| !tokens.is_empty()) {
            *last = samples;
        }
        Ok(())
    }

    pub fn sampled(&self) -> usize {
        self.sampled.iter().filter(|sampled| **sampled).count()
    }

    pub fn tensors(&self, device: &Device, devices: &[Device], window: Option<usize>) -> Result<ModelInputs> {
        let everywhere = |tensor: Tensor| -> Result<HashMap<DeviceLocation, Tensor>> {
            devices
                .iter()
                .map(|device| Ok((device.location(), tensor.to_device(device)?)))
                .collect()
        };
        // The kernels of a GPU do not know windows: there the tables begin with the window's first block. On a CPU they are
        // whole, and the kernel cuts exactly.
        let cut = window.filter(|_| !device.is_cpu());
        let tables = |window: Option<usize>| -> Result<Tables> {
            let skipped =
                |position: usize| window.map_or(0, |window| (position + 1).saturating_sub(window) / BLOCK_SIZE);
            let longest = |row: (&usize, &Vec<u32>)| row.1.len() - skipped(*row.0);
            let stride = self.positions.iter().zip(&self.tables).map(longest).max().unwrap_or(1);
            let (mut blocks, mut contexts) = (Vec::with_capacity(self.tables.len() * stride), Vec::new());
            for (position, table) in self.positions.iter().zip(&self.tables) {
                let seen = table.get(skipped(*position)..).unwrap_or_default();
                blocks.extend_from_slice(seen);
                blocks.resize(blocks.len() + stride - seen.len(), 0);
                let context = position + 1 - skipped(*position) * BLOCK_SIZE;
                contexts.push(u32::try_from(context).map_err(candle_core::Error::wrap)?);
            }
            let longest = contexts.iter().max().map_or(0, |longest| *longest as usize);
            Ok(Tables {
                blocks: everywhere(Tensor::from_vec(blocks, (self.tables.len(), stride), &Device::Cpu)?)?,
                longest,
                contexts: everywhere(Tensor::new(contexts, &Device::Cpu)?)?,
            })
        };
        let main = tables(cut)?;
        let whole = cut.map(|_| tables(None)).transpose()?;
        let (whole_blocks, whole_contexts, whole_longest) = match whole {
            Some(whole) => (Some(whole.blocks), Some(whole.contexts), Some(whole.longest)),
            None => (None, None, None),
        };
        Ok(ModelInputs {
            input_ids: Tensor::from_slice(&self.tokens, (self.tokens.len(), 1), device)?,
            input_ids_full: None,
            seqlen_offsets: self.positions.clone(),
            seqlen_offsets_full: None,
            // Upstream's (start, length): of length 0 are rows whose logits nobody wants (patch 0003).
            context_lens: self.sampled.iter().map(|sampled| (0, usize::from(*sampled))).collect(),
            position_ids: self.positions.iter().map(|position| position + 1).collect(),
            paged_attn_meta: Some(PagedAttentionInputMetadata {
                block_tables: Some(main.blocks),
                context_lens: Some(main.contexts),
                slot_mappings: everywhere(Tensor::from_slice(&self.slots, self.slots.len(), &Device::Cpu)?)?,
                max_context_len: Some(main.longest),
                full_block_tables: whole_blocks,
                full_context_lens: whole_contexts,
                full_max_context_len: whole_longest,
                is_first_prompt_chunk: false,
                paged_kv_indptr: None,
                paged_kv_indices: None,
                paged_kv_last_page_len: None,
                paged_kv_request_indices: None,
                paged_kv_tile_indices: None,
                paged_kv_o_indptr: None,
                paged_kv_chunk_size: None,
                num_cached_tokens: None,
                query_lens: None,
                cu_seqlens_q: None,
                cu_seqlens_kv: None,
            }),
            flash_meta: FlashParams::empty(true),
            flash_meta_full: None,
        })
    }
}

struct Tables {
    blocks: HashMap<DeviceLocation, Tensor>,
    contexts: HashMap<DeviceLocation, Tensor>,
    longest: usize,
}
