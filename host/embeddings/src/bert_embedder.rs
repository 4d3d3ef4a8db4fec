//! The `bert` embedder: a sentence-transformers folder of a BERT. Not here: the model (`bert`), what the folder says (`sentence_transformer`).

use crate::{
    bert::{Batch, Bert, BertFiles},
    folder::Folder,
    sentence_transformer::{Pooling, Settings},
    tokens::Encoder,
};
use candle_core::{DType, Tensor};
use riad_core::{
    Error, Result,
    ports::{Embedder, EmbeddingSpace, TextRole},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// As much as words.
const FUSION_WEIGHT: f32 = 1.0;
/// A small model reads these in about 100 ms.
const CALL_BYTES: usize = 2 << 10;

pub(crate) struct BertEmbedder {
    bert: Bert,
    encoder: Encoder,
    settings: Settings,
    name: String,
    space: EmbeddingSpace,
    counted: AtomicU64,
}

impl BertEmbedder {
    /// The model's name in the API is `bert-<dimensions>`; its space has a digest of the weights and of all else that its vectors
    /// depend on.
    pub fn open(folder: &Folder) -> Result<Self> {
        let mut settings = Settings::read(folder)?;
        let files = BertFiles::read(folder)?;
        settings.max_tokens = settings.max_tokens.min(files.config.max_position_embeddings);
        let encoder = Encoder::open(folder, settings.max_tokens, settings.lowercase, false)?;
        encoder.check_vocabulary(folder, files.config.vocab_size)?;
        let bert = Bert::load(folder, &files)?;
        let dimensions = files.config.hidden_size;
        let digest = crate::short_digest(format!("{} {settings:?}", files.digest));
        let name = format!("bert-{dimensions}");
        Ok(Self {
            bert,
            encoder,
            settings,
            space: EmbeddingSpace {
                model: format!("{name}-{digest}"),
                dimensions,
            },
            name,
            counted: AtomicU64::default(),
        })
    }

    fn pool(&self, vectors: &Tensor, batch: &Batch) -> candle_core::Result<Vec<Vec<f32>>> {
        let pooled = match self.settings.pooling {
            Pooling::First => vectors.narrow(1, 0, 1)?.squeeze(1)?,
            Pooling::Mean => {
                let mask = batch.mask.to_dtype(DType::F32)?.unsqueeze(2)?;
                let sum = vectors.broadcast_mul(&mask)?.sum(1)?;
                sum.broadcast_div(&mask.sum(1)?)?
            }
        };
        pooled.to_vec2()
    }
}

impl Embedder for BertEmbedder {
    fn space(&self) -> &EmbeddingSpace {
        &self.space
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn fusion_weight(&self) -> f32 {
        FUSION_WEIGHT
    }

    fn text_of(&self, tokens: &[u32]) -> Option<String> {
        self.encoder.text_of(tokens)
    }

    fn call_bytes(&self) -> usize {
        CALL_BYTES
    }

    fn most_tokens(&self, bytes: usize) -> u64 {
        self.encoder.most_tokens(bytes + self.settings.prompts.longest())
    }

    fn embed(&self, texts: &[String], role: TextRole) -> Result<(Vec<Vec<f32>>, u32)> {
        let prompt = self.settings.prompts.of(role);
        let encode = |text: &String| match prompt.is_empty() {
            true => self.encoder.encode(text),
            false => self.encoder.encode(&format!("{prompt}{text}")),
        };
        let encodings = texts.iter().map(encode).collect::<Result<Vec<_>>>()?;
        let (mut vectors, tokens) = self
            .bert
            .compute(&encodings, |vectors, batch| self.pool(vectors, batch))?;
        self.counted.fetch_add(u64::from(tokens), Ordering::Relaxed);
        for vector in &mut vectors {
            let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
            if !length.is_normal() {
                return Err(Error::internal("the embedding model gives vectors without a direction"));
            }
            vector.iter_mut().for_each(|number| *number /= length);
        }
        Ok((vectors, tokens))
    }

    fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }
}
