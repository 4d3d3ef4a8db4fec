//! A BERT on the processor: the vectors of a text's tokens.

mod layers;

use crate::{
    folder::{Folder, WEIGHTS},
    single_threads::SingleThreads,
};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use layers::{Config, Layers};
use riad_core::{Error, Result};
use tokenizers::Encoding;

/// Tokens that are computed together, the padding counted. More would take more memory and be no faster on one processor.
const TOKENS_TOGETHER: usize = 512;

pub(crate) struct Bert {
    layers: Layers,
    threads: SingleThreads,
}

/// The files of a BERT that is being opened.
pub(crate) struct BertFiles {
    pub config: Config,
    pub weights: VarBuilder<'static>,
    /// Of the weights.
    pub digest: String,
}

/// Encodings that are computed together, padded to one length.
pub(crate) struct Batch {
    tokens: Tensor,
    types: Tensor,
    /// 1 for a token, 0 for padding.
    pub mask: Tensor,
}

impl BertFiles {
    pub fn read(folder: &Folder) -> Result<Self> {
        let config: Config = folder.config()?;
        let heads = config.num_attention_heads;
        if heads == 0 || !config.hidden_size.is_multiple_of(heads) || config.hidden_size == 0 {
            return Err(folder.wrong("config.json: hidden_size must be a multiple of num_attention_heads"));
        }
        let bytes = folder.read(WEIGHTS)?;
        let digest = crate::short_digest(&bytes);
        let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu)
            .map_err(|error| folder.wrong(format!("{WEIGHTS}: {error}")))?;
        Ok(Self {
            config,
            weights,
            digest,
        })
    }
}

impl Bert {
    pub fn load(folder: &Folder, files: &BertFiles) -> Result<Self> {
        // A model with a head has the layers below a name of their own.
        let below = files.weights.pp("bert");
        let weights = match below.contains_tensor("embeddings.word_embeddings.weight") {
            true => &below,
            false => &files.weights,
        };
        let layers =
            Layers::load(weights, &files.config).map_err(|error| folder.wrong(format!("{WEIGHTS}: {error}")))?;
        Ok(Self {
            layers,
            threads: SingleThreads::default(),
        })
    }

    /// What `read` makes of the vectors of all encodings: it is called with those that were computed together, of dimensions
    /// (encoding, token, vector), and gives one for each of them. In the order of the encodings, with the number of all tokens.
    pub fn compute<T: Send>(
        &self,
        encodings: &[Encoding],
        read: impl Fn(&Tensor, &Batch) -> candle_core::Result<Vec<T>> + Send + Sync,
    ) -> Result<(Vec<T>, u32)> {
        let computed = self.threads.run(|| self.compute_here(encodings, read))?;
        let tokens: usize = encodings.iter().map(Encoding::len).sum();
        Ok((computed?, u32::try_from(tokens).unwrap_or(u32::MAX)))
    }

    fn compute_here<T>(
        &self,
        encodings: &[Encoding],
        read: impl Fn(&Tensor, &Batch) -> candle_core::Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let failed = |error: candle_core::Error| Error::internal(error.to_string());
        let mut sorted: Vec<_> = encodings.iter().enumerate().collect();
        sorted.sort_by_key(|(_, encoding)| encoding.len());
        let mut done = Vec::with_capacity(encodings.len());
        let mut rest = sorted.as_slice();
        while !rest.is_empty() {
            let (together, others) = rest.split_at(count_together(rest));
            rest = others;
            let batch = Batch::of(together).map_err(failed)?;
            let vectors = self.layers.forward(&batch.tokens, &batch.types, &batch.mask);
            let read = vectors.and_then(|vectors| read(&vectors, &batch)).map_err(failed)?;
            if read.len() != together.len() {
                return Err(Error::internal("another number of results than of texts"));
            }
            done.extend(together.iter().map(|(index, _)| *index).zip(read));
        }
        done.sort_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }
}

/// How many of the encodings, which are sorted by length, are computed together: at least one.
fn count_together(sorted: &[(usize, &Encoding)]) -> usize {
    let fits =
        |(before, (_, encoding)): &(usize, &(usize, &Encoding))| (before + 1) * encoding.len() <= TOKENS_TOGETHER;
    sorted.iter().enumerate().take_while(fits).count().max(1)
}

impl Batch {
    fn of(encodings: &[(usize, &Encoding)]) -> candle_core::Result<Self> {
        let longest = encodings
            .iter()
            .map(|(_, encoding)| encoding.len())
            .max()
            .unwrap_or_default();
        let padded = |read: fn(&Encoding) -> &[u32]| {
            let rows = encodings.iter().flat_map(|(_, encoding)| {
                let row = read(encoding).iter().copied();
                row.chain(std::iter::repeat(0)).take(longest)
            });
            Tensor::from_vec(rows.collect::<Vec<u32>>(), (encodings.len(), longest), &Device::Cpu)
        };
        Ok(Self {
            tokens: padded(Encoding::get_ids)?,
            types: padded(Encoding::get_type_ids)?,
            mask: padded(Encoding::get_attention_mask)?,
        })
    }
}
